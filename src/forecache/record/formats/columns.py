"""Columns of a table turned into those of a trace: their names, and the values they may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.trace import UNKNOWN_SIZE, Op

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt
    import polars as pl

__all__ = ["Where", "accesses", "canonical", "choose", "hash64"]

Where = Callable[[int | None], str]  # row, from 0, or None for all → where, as "requests.csv, line 12"

SYNONYMS: Final = {
    "time": ("time", "timestamp", "ts", "clock_time", "real_time", "request_time"),
    "key": ("key", "obj_id", "object_id", "object", "obj", "id", "item", "item_id", "url", "block", "lbn", "lba"),
    "size": ("size", "obj_size", "object_size", "bytes", "length", "value_size"),
    "op": ("op", "operation", "cmd", "command", "method", "request_type"),
    "context": ("context",),
}
CANONICAL: Final = {synonym: name for name, synonyms in SYNONYMS.items() for synonym in synonyms}
OPS: Final = {
    Op.GET: ("get", "gets", "read", "r", "28", "88"),  # the numbers: SCSI READ (10) and (16), as in block traces
    Op.SET: ("set", "put", "write", "w", "add", "replace", "2a", "8a"),  # SCSI WRITE (10) and (16)
}
OP_BY_NAME: Final = {name: int(op) for op, names in OPS.items() for name in names}
UNKNOWN_OP: Final = 255
DECIMAL: Final = r"^(0|-?[1-9][0-9]*)$"  # "007" is another key than "7"
TEXT: Final = (pl.String, pl.Categorical, pl.Enum)


def canonical(name: str) -> str | None:
    """Which column of a trace a name stands for; None if for none."""
    return CANONICAL.get(name.strip().lstrip("#").strip().lower().replace(" ", "_").replace("-", "_"))


def choose(names: Sequence[str], where: str) -> dict[str, int]:
    """Position of each column of a trace among the columns of a table; others are left out.

    Raises:
        TraceFormatError: no column holds the key, or two could hold the same.
    """
    chosen: dict[str, int] = {}
    for position, name in enumerate(names):
        column = canonical(name)
        if column in chosen:
            both = f"{names[chosen[column]]!r} and {name!r}"
            raise TraceFormatError(f"{where}: columns {both} could both be the {column}; rename one of them")
        if column is not None:
            chosen[column] = position
    if "key" not in chosen:
        listed = ", ".join(map(repr, names))
        expected = ", ".join(SYNONYMS["key"])
        raise TraceFormatError(f"{where}: no column holds the key; found {listed}; name one of them {expected}")
    return chosen


def accesses(table: pl.DataFrame, where: Where) -> dict[str, Any]:
    """Columns of a trace from those of a table, named as in a trace; what the table lacks stays away.

    Args:
        table: columns time and size of integers or text, key of integers or text, op of text.
        where: tells where a row stands, and of what table a column is.

    Raises:
        TraceFormatError: a value is missing, or not what its column holds.
    """
    convert: Mapping[str, Callable[[pl.Series, Where], npt.NDArray[Any]]] = {
        "time": _integers,
        "key": _keys,
        "size": _sizes,
        "op": _ops,
        "context": _integers,
    }
    for column in table.get_columns():
        if column.null_count():
            row = int(column.is_null().arg_max() or 0)
            raise TraceFormatError(f"{where(row)}: {column.name} is missing; every access needs all columns")
    return {name: convert[name](table[name], where) for name in table.columns}


def _integers(column: pl.Series, where: Where) -> npt.NDArray[np.int64]:
    """Values of a column of integers or of decimal text."""
    if not column.dtype.is_integer() and column.dtype != pl.String:
        raise TraceFormatError(f"{where(None)}: {column.name} is of type {column.dtype}; expected integers; convert it")
    integers = column.cast(pl.Int64, strict=False)
    if integers.null_count() and column.dtype == pl.String:
        integers = column.str.strip_chars().cast(pl.Int64, strict=False)
    if integers.null_count():
        row = int(integers.is_null().arg_max() or 0)
        raise TraceFormatError(
            f"{where(row)}: {column.name} {column[row]!r} is not a whole number below 2^63; "
            "scale fractions to a smaller unit, or name the columns in a header if this is another one"
        )
    return integers.to_numpy()


def _sizes(column: pl.Series, where: Where) -> npt.NDArray[np.int64]:
    """Sizes in bytes; 0, which some sources write for unknown, becomes unknown."""
    sizes = _integers(column, where)
    if sizes.size and sizes.min() < 0:
        row = int(np.argmax(sizes < 0))
        raise TraceFormatError(f"{where(row)}: size {sizes[row]} is negative; expected bytes, or 1 where it is unknown")
    return np.maximum(sizes, UNKNOWN_SIZE)


def _ops(column: pl.Series, where: Where) -> npt.NDArray[np.uint8]:
    if column.dtype not in TEXT:
        raise TraceFormatError(f"{where(None)}: op is of type {column.dtype}; expected text, get or set; convert it")
    names, codes = _coded(column)
    ops = np.array([OP_BY_NAME.get(name.strip().lower(), UNKNOWN_OP) for name in names], dtype=np.uint8)[codes]
    if ops.size and ops.max() == UNKNOWN_OP:
        row = int(ops.argmax())
        known = ", ".join(OP_BY_NAME)
        raise TraceFormatError(
            f"{where(row)}: op {column[row]!r} is unknown; expected one of {known}; leave out such rows, or the column"
        )
    return ops


def _keys(column: pl.Series, where: Where) -> npt.NDArray[np.uint64]:
    """Keys: integers keep their 64 bits, negative ones in two's complement; other text is hashed."""
    if column.dtype.is_integer():
        return _integer_keys(column)
    if column.dtype not in TEXT:
        raise TraceFormatError(f"{where(None)}: key is of type {column.dtype}; expected integers or text; convert it")
    text = column.cast(pl.String)
    if not text.str.contains(DECIMAL).all():
        text = text.str.strip_chars()
    if text.str.contains(DECIMAL).all():
        for integer in (pl.UInt64, pl.Int64):
            numbers = text.cast(integer, strict=False)
            if not numbers.null_count():
                return _integer_keys(numbers)
    return _hashed(text)


def _integer_keys(column: pl.Series) -> npt.NDArray[np.uint64]:
    return column.to_numpy().astype(np.int64 if column.dtype.is_signed_integer() else np.uint64).view(np.uint64)


def _hashed(column: pl.Series) -> npt.NDArray[np.uint64]:
    """Keys by `hash64`, each distinct key once."""
    distinct, codes = _coded(column)
    return np.fromiter(map(hash64, distinct), dtype=np.uint64, count=len(distinct))[codes]


def _coded(column: pl.Series) -> tuple[pl.Series, npt.NDArray[np.uint32]]:
    """Distinct texts, and for each row the position of its text among them, shape (rows,)."""
    distinct = column.unique().cast(pl.String)
    return distinct, column.cast(pl.Enum(distinct)).to_physical().to_numpy()


def hash64(key: str) -> int:
    """Stable 64-bit id of a key that is no integer: BLAKE2b of its UTF-8 bytes, 8 bytes of digest, little-endian.

    Source: RFC 7693.
    """
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
