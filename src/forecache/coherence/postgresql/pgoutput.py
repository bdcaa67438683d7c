"""pgoutput: what PostgreSQL's logical replication sends, from bytes to records; knows no tables and no connection.

Source: PostgreSQL documentation, 54.9, "Logical Replication Message Formats", version 1, values as text.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception
from typing import Final, NamedTuple

from forecache.errors import ChangeLogError

__all__ = [
    "UNCHANGED",
    "Begin",
    "Column",
    "Deleted",
    "End",
    "Inserted",
    "Logged",
    "Record",
    "Relation",
    "Truncated",
    "Updated",
    "Values",
    "Written",
    "decode",
    "widen",
]


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "as it was"


UNCHANGED: Final = Unchanged.UNCHANGED  # a large value that an update did not touch, and that is not sent again

Values = list["bytes | Unchanged | None"]  # of a row, as text, by column; None for NULL


class Begin(NamedTuple):
    """What follows is of one transaction that committed."""

    xid: int  # its last 32 bits


class End(NamedTuple):
    """The transaction is complete."""

    position: int  # where the next one may begin


class Column(NamedTuple):
    """Of a relation."""

    name: str
    is_key: bool  # part of the replica identity
    kind: int  # oid of its type


class Relation(NamedTuple):
    """How rows of a table look from now on."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]


class Inserted(NamedTuple):
    """A new row."""

    oid: int
    new: Values


class Updated(NamedTuple):
    """A row that was changed."""

    oid: int
    old: Values | None  # if its replica identity changed or is the whole row
    new: Values


class Deleted(NamedTuple):
    """A row that is gone."""

    oid: int
    old: Values  # only columns of the replica identity are not NULL


class Truncated(NamedTuple):
    """Tables that are empty."""

    oids: tuple[int, ...]


class Logged(NamedTuple):
    """What `pg_logical_emit_message` wrote."""

    is_transactional: bool
    position: int
    prefix: str
    content: bytes


Written = Inserted | Updated | Deleted
Record = Begin | End | Relation | Inserted | Updated | Deleted | Truncated | Logged

BEGIN: Final = Struct("!xQqI")  # type, position of the commit, time, xid
END: Final = Struct("!xxQQq")  # type, flags, position of the commit, of its end, time
OID: Final = Struct("!I")
COUNT: Final = Struct("!H")
LENGTH: Final = Struct("!i")
RELATION: Final = Struct("!BH")  # replica identity, columns
COLUMN: Final = Struct("!Ii")  # type, modifier
TRUNCATE: Final = Struct("!xIB")  # type, relations, options
LOGGED: Final = Struct("!xBQ")  # type, flags, position
SIXTEEN_MORE, HALF = 2**32, 2**31

NEW, KEY, OLD = ord("N"), ord("K"), ord("O")
NULL, TOASTED, TEXT = ord("n"), ord("u"), ord("t")


def decode(data: bytes) -> Record | None:
    """The record that a message is; None for those that say nothing of rows, as where a change came from.

    Raises:
        ChangeLogError: it is not one of this version of the protocol, or is damaged.
    """
    try:
        reader = READERS[data[0]]
        return None if reader is None else reader(data)
    except (KeyError, IndexError, ValueError, StructError) as error:
        raise ChangeLogError(
            f"a message of the replication stream is not understood ({len(data)} bytes, {data[:16]!r}); "
            "expected pgoutput, version 1, with values as text"
        ) from error


def widen(xid: int, near: int) -> int:
    """The number of a transaction in 64 bits, of which the log has 32.

    Args:
        xid: the last 32 bits.
        near: a number of 64 bits from which it is less than 2^31 away, as any two are that a server knows.
    """
    return near + (xid - near + HALF) % SIXTEEN_MORE - HALF


def text(data: bytes, at: int) -> tuple[str, int]:
    """A text that ends with a zero byte, and where it ends."""
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def values(data: bytes, at: int) -> tuple[Values, int]:
    """A row, and where it ends."""
    (count,) = COUNT.unpack_from(data, at)
    at += COUNT.size
    found: Values = []
    for _ in range(count):
        kind = data[at]
        at += 1
        if kind == TEXT:
            (length,) = LENGTH.unpack_from(data, at)
            at += LENGTH.size
            if length < 0 or at + length > len(data):
                raise ValueError(f"a value of {length} bytes")
            found.append(data[at : at + length])
            at += length
        elif kind in {NULL, TOASTED}:
            found.append(None if kind == NULL else UNCHANGED)
        else:
            raise ValueError(f"a value of kind {kind}")
    return found, at


def begin(data: bytes) -> Begin:
    """BEGIN."""
    return Begin(BEGIN.unpack(data)[2])


def end(data: bytes) -> End:
    """COMMIT."""
    return End(END.unpack(data)[1])


def relation(data: bytes) -> Relation:
    """A table."""
    (oid,) = OID.unpack_from(data, 1)
    schema, at = text(data, 1 + OID.size)
    name, at = text(data, at)
    _, count = RELATION.unpack_from(data, at)
    at += RELATION.size
    columns = []
    for _ in range(count):
        is_key = data[at] & 1 == 1
        column, at = text(data, at + 1)
        kind, _ = COLUMN.unpack_from(data, at)
        at += COLUMN.size
        columns.append(Column(column, is_key, kind))
    whole(data, at)
    return Relation(oid, schema or "pg_catalog", name, tuple(columns))


def inserted(data: bytes) -> Inserted:
    """INSERT."""
    (oid,) = OID.unpack_from(data, 1)
    expect(data, 5, NEW)
    new, at = values(data, 6)
    whole(data, at)
    return Inserted(oid, new)


def updated(data: bytes) -> Updated:
    """UPDATE."""
    (oid,) = OID.unpack_from(data, 1)
    old, at = None, 5
    if data[at] != NEW:
        expect(data, at, KEY, OLD)
        old, at = values(data, at + 1)
    expect(data, at, NEW)
    new, at = values(data, at + 1)
    whole(data, at)
    return Updated(oid, old, new)


def deleted(data: bytes) -> Deleted:
    """DELETE."""
    (oid,) = OID.unpack_from(data, 1)
    expect(data, 5, KEY, OLD)
    old, at = values(data, 6)
    whole(data, at)
    return Deleted(oid, old)


def truncated(data: bytes) -> Truncated:
    """TRUNCATE."""
    count, _ = TRUNCATE.unpack_from(data)
    return Truncated(Struct(f"!{count}I").unpack(data[TRUNCATE.size :]) if count <= len(data) else wrong(count))


def logged(data: bytes) -> Logged:
    """A message."""
    flags, position = LOGGED.unpack_from(data)
    prefix, at = text(data, LOGGED.size)
    (length,) = OID.unpack_from(data, at)
    at += OID.size
    whole(data, at + length)
    return Logged(flags & 1 == 1, position, prefix, data[at:])


def expect(data: bytes, at: int, *kinds: int) -> None:
    """What must be there."""
    if data[at] not in kinds:
        wrong(data[at])


def whole(data: bytes, at: int) -> None:
    """Where it must end."""
    if at != len(data):
        wrong(len(data) - at)


def wrong(what: int) -> tuple[int, ...]:
    """Something else was expected."""
    raise ValueError(f"not expected: {what}")


READERS: Final[dict[int, Callable[[bytes], Record] | None]] = {
    ord("B"): begin,
    ord("C"): end,
    ord("R"): relation,
    ord("I"): inserted,
    ord("U"): updated,
    ord("D"): deleted,
    ord("T"): truncated,
    ord("M"): logged,
    ord("O"): None,  # origin
    ord("Y"): None,  # type
}
