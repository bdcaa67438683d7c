"""Keys as bytes: what many processes call a row, one name for each key and no name for two.

A letter tells the type, so that 1, True, "1" and b"1" have four names; what follows it is readable where it can be.
Keys of one type that are equal have one name, as Decimal("1") and Decimal("1.0") do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from forecache.errors import KeyTypeError

__all__ = ["decode_key", "encode_key"]

LONGEST: Final = 200  # bytes of a name; longer keys are named by a digest of 256 bits and their beginning
BEGINNING: Final = 64  # bytes
DEEPEST: Final = 8  # tuples within tuples


def encode_key(key: Any) -> bytes:
    """The name of a key.

    >>> encode_key(42), encode_key("a b"), encode_key((1, "x"))
    (b'i42', b'sa b', b'(2:i12:sx)')

    Args:
        key: None, bool, int, float, str, bytes, Decimal, UUID, date, datetime, or a tuple of those; no subclasses.

    Returns:
        At most 200 bytes.

    Raises:
        KeyTypeError: the key, or an item of it, is of another type.
    """
    name = _name(key, DEEPEST)
    if len(name) <= LONGEST:
        return name
    return b"#" + blake2b(name, digest_size=32).hexdigest().encode() + b":" + name[:BEGINNING]


def decode_key(name: bytes) -> Any:
    """The key of a name: one that is equal to that which was named, and of its type.

    >>> decode_key(b"i42"), decode_key(b"(2:i12:sx)")
    (42, (1, 'x'))

    Raises:
        ValueError: it is no name, or that of a long key, in which the key is not.
    """
    return _key(name, DEEPEST)


def _key(name: bytes, depth: int) -> Any:
    kind, rest = name[:1], name[1:]
    try:
        if kind == b"(" and depth:
            return tuple(_key(item, depth - 1) for item in _items(rest))
        return KEYS[kind](rest)
    except (KeyError, ArithmeticError):
        raise ValueError(f"{name[:BEGINNING]!r} is no name of a key") from None


def _items(rest: bytes) -> Iterator[bytes]:
    """The names in that of a tuple, after its bracket."""
    while rest != b")":
        length, colon, rest = rest.partition(b":")
        if not colon or not length.isdigit() or int(length) >= len(rest):
            raise ValueError("a tuple of keys is cut off")
        yield rest[: int(length)]
        rest = rest[int(length) :]


def _name(key: Any, depth: int) -> bytes:
    kind = type(key)
    if kind is tuple and depth:
        names = [_name(item, depth - 1) for item in key]
        return b"(" + b"".join(b"%d:%b" % (len(name), name) for name in names) + b")"
    try:
        return NAMES[kind](key)
    except KeyError:
        expected = ", ".join(each.__name__ for each in NAMES)
        raise KeyTypeError(
            f"a key of type {kind.__name__} cannot be shared between processes; expected one of {expected}, "
            f"or a tuple of those, at most {DEEPEST} deep"
        ) from None


def _float_name(key: float) -> bytes:
    return b"d" + repr(key + 0.0).encode()  # -0.0 equals 0.0, and becomes it


def _int_name(key: int) -> bytes:
    return b"i%d" % key if abs(key) < 2**64 else b"x%x" % key  # the decimal digits of long ints take quadratic time


def _decimal_name(key: Decimal) -> bytes:
    sign, digits, exponent = key.as_tuple()
    if not isinstance(exponent, int):
        return b"D" + str(key).encode()  # an infinity or a NaN
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    if not short:
        return b"D0"
    return f"D{'-' * sign}{short}e{exponent + len(text) - len(short)}".encode()


def _datetime_name(key: datetime) -> bytes:
    if key.utcoffset() is None:
        return b"t" + key.replace(tzinfo=None).isoformat().encode()
    return b"T" + key.astimezone(UTC).replace(tzinfo=None).isoformat().encode()


NAMES: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"n",
    bool: lambda key: b"o1" if key else b"o0",
    int: _int_name,
    float: lambda key: b"dnan" if math.isnan(key) else _float_name(key),
    str: lambda key: b"s" + key.encode("utf-8", "surrogatepass"),
    bytes: lambda key: b"b" + key,
    Decimal: _decimal_name,
    UUID: lambda key: b"u" + str(key).encode(),
    date: lambda key: b"y" + key.isoformat().encode(),
    datetime: _datetime_name,
}
KEYS: Final[dict[bytes, Callable[[bytes], Any]]] = {
    b"n": lambda _: None,
    b"o": lambda rest: rest == b"1",
    b"i": int,
    b"x": lambda rest: int(rest, 16),
    b"d": float,
    b"s": lambda rest: rest.decode("utf-8", "surrogatepass"),
    b"b": bytes,
    b"D": lambda rest: Decimal(rest.decode()),
    b"u": lambda rest: UUID(rest.decode()),
    b"y": lambda rest: date.fromisoformat(rest.decode()),
    b"t": lambda rest: datetime.fromisoformat(rest.decode()),
    b"T": lambda rest: datetime.fromisoformat(rest.decode()).replace(tzinfo=UTC),
}
