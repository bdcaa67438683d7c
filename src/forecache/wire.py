"""Wire: Python values as MessagePack, such that what comes back is equal and of the same types.

MessagePack knows None, bool, int of 64 bits, float, str, bytes, list and dict. The rest travels as extensions, where
msgspec by itself would make texts of them. What cannot come back as it was is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from forecache.extras import extra

__all__ = ["Refused", "pack", "unpack"]

PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
DEEPEST: Final = 64  # containers within containers
MICROSECOND: Final = timedelta(microseconds=1)
BIG, TEXT, DECIMAL, UNIQUE, DATETIME, DATE, TIME, TIMEDELTA, TUPLE, SET, FROZENSET = range(1, 12)  # never renumbered


class Refused(ValueError):  # noqa: N818 - no error to users: the value stays in the process
    """A value that would not come back as it was."""


@cache
def msgpack() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any], Callable[[int, bytes], Any]]:
    """How to encode, how to decode, and how to make an extension.

    Raises:
        MissingExtraError: msgspec is not installed.
    """
    with extra("valkey"):
        from msgspec.msgpack import Decoder, Encoder, Ext

    return Encoder().encode, Decoder(ext_hook=_restored).decode, Ext


def pack(values: list[Any]) -> bytes:
    """MessagePack of a list.

    Raises:
        Refused: a value is of a type that is not known here, or contains itself.
        MissingExtraError: msgspec is not installed.
    """
    encode = msgpack()[0]
    if PLAIN.issuperset(map(type, values)):
        try:
            return encode(values)
        except (OverflowError, UnicodeEncodeError):
            pass  # an int of more than 64 bits, or half a character
    return encode(_faithful(values, DEEPEST))


def unpack(packed: bytes) -> Any:
    """What was packed.

    Raises:
        Exception: of any kind, if these bytes were not made by `pack`.
        MissingExtraError: msgspec is not installed.
    """
    return msgpack()[1](packed)


def _faithful(value: Any, depth: int) -> Any:
    """The same in what MessagePack knows."""
    kind = type(value)
    if not depth:
        raise Refused("it is nested too deeply, or contains itself")
    if kind in WRITTEN:
        code, write = WRITTEN[kind]
        return msgpack()[2](code, write(value))
    if kind not in KNOWN:
        raise Refused(f"type {kind.__name__} is not known")
    return KNOWN[kind](value, depth - 1)


def _known_int(value: int, _depth: int) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    return msgpack()[2](BIG, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _known_str(value: str, _depth: int) -> Any:
    return value if _is_text(value) else msgpack()[2](TEXT, value.encode("utf-8", "surrogatepass"))


def _known_list(value: Iterable[Any], depth: int) -> list[Any]:
    return [_faithful(item, depth) for item in value]


def _known_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    return {_name(key): _faithful(item, depth) for key, item in value.items()}


def _known_items(code: int) -> Callable[[Iterable[Any], int], Any]:
    return lambda value, depth: msgpack()[2](code, msgpack()[0](_known_list(value, depth)))


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(key: Any) -> str:
    if type(key) is str and _is_text(key):
        return key
    raise Refused(f"a dict has a key of type {type(key).__name__}")


def _zone_name(zone: tzinfo | None) -> str:
    """The name of a zone that has one; offsets are written with the time."""
    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    if zone is None or type(zone) is timezone:
        return ""
    raise Refused(f"a time zone of type {type(zone).__name__} is not known")


def _write_time(moment: datetime | time) -> bytes:
    """ISO 8601, with the offset if it has one; the fold; and the name of the zone."""
    return f"{moment.isoformat()} {moment.fold} {_zone_name(moment.tzinfo)}".encode()


def _read_datetime(data: bytes) -> datetime:
    written, fold, name = data.decode().split(" ")
    moment = datetime.fromisoformat(written)
    restored = moment.replace(tzinfo=ZoneInfo(name) if name else moment.tzinfo, fold=int(fold))
    if restored.utcoffset() != moment.utcoffset():
        raise ValueError("the rules of this time zone are others here")
    return restored


def _read_time(data: bytes) -> time:
    written, fold, name = data.decode().split(" ")
    moment = time.fromisoformat(written)
    return moment.replace(tzinfo=ZoneInfo(name) if name else moment.tzinfo, fold=int(fold))


KNOWN: Final[dict[type, Callable[[Any, int], Any]]] = {
    **dict.fromkeys((type(None), bool, float, bytes), lambda value, _depth: value),
    int: _known_int,
    str: _known_str,
    list: _known_list,
    dict: _known_dict,
    tuple: _known_items(TUPLE),
    set: _known_items(SET),
    frozenset: _known_items(FROZENSET),
}
WRITTEN: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    Decimal: (DECIMAL, lambda value: str(value).encode()),
    UUID: (UNIQUE, lambda value: value.bytes),
    datetime: (DATETIME, _write_time),
    date: (DATE, lambda value: value.isoformat().encode()),
    time: (TIME, _write_time),
    timedelta: (TIMEDELTA, lambda value: b"%d" % (value // MICROSECOND)),
}
READ: Final[dict[int, Callable[[bytes], Any]]] = {
    BIG: lambda data: int.from_bytes(data, "big", signed=True),
    TEXT: lambda data: data.decode("utf-8", "surrogatepass"),
    DECIMAL: lambda data: Decimal(data.decode()),
    UNIQUE: lambda data: UUID(bytes=data),
    DATETIME: _read_datetime,
    DATE: lambda data: date.fromisoformat(data.decode()),
    TIME: _read_time,
    TIMEDELTA: lambda data: timedelta(microseconds=int(data)),
    TUPLE: lambda data: tuple(unpack(data)),
    SET: lambda data: set(unpack(data)),
    FROZENSET: lambda data: frozenset(unpack(data)),
}


def _restored(code: int, data: memoryview) -> Any:
    return READ[code](bytes(data))
