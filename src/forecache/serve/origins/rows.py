"""Rows: what a query returned, as rows by the keys asked for, in the type that the table was declared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from forecache.errors import ConfigurationError, KeyTypeError, TableError
from forecache.extras import extra
from forecache.serve.origin import Key, Row, Table

__all__ = ["asked_keys", "check_columns", "columns_of", "row_maker", "rows_by_key", "values_of"]

INTEGERS: Final = range(-(2**63), 2**63)  # that a database can hold
MISSING: Final = object()
NATIVE: Final = (bytes, bytearray, memoryview, date, datetime, time, timedelta, Decimal, UUID)  # as drivers return them


def asked_keys(table: Table, keys: Iterable[Key]) -> dict[Key, Key]:
    """The keys to look for, each once; without those that no row can have.

    Raises:
        KeyTypeError: a key has not as many parts as the primary key, or two are equal but of different types.
    """
    keys = list(keys)
    if are_plain(table, keys):
        return dict(zip(keys, keys, strict=True))
    asked: dict[Key, Key] = {}
    for key in keys:
        if not is_same(asked.setdefault(key, key), key):
            raise KeyTypeError(f"keys {key!r} and {asked[key]!r} are equal; ask table {table.name!r} for one of them")
    if len(table.key) > 1:
        for key in asked:
            check_parts(table, key)
    return {key: key for key in asked if all(map(is_possible, table.parts_of(key)))}


def are_plain(table: Table, keys: list[Any]) -> bool:
    """Whether it is seen at once that they are possible keys of one column and of one type."""
    if len(table.key) > 1:
        return False
    kinds = set(map(type, keys))
    if kinds == {int}:
        return min(keys) in INTEGERS and max(keys) in INTEGERS
    return kinds == {str} and all(map(str.isascii, keys))


def check_parts(table: Table, key: Key) -> None:
    """Whether a key has a value for each column.

    Raises:
        KeyTypeError: it has not.
    """
    if not isinstance(key, tuple) or len(key) != len(table.key):
        wanted = f"a tuple of {len(table.key)}: {', '.join(table.key)}"
        raise KeyTypeError(f"key {key!r} does not fit table {table.name!r}; expected {wanted}")


def is_possible(part: Any) -> bool:
    """Whether any database could hold it as a part of a key."""
    if isinstance(part, int):
        return part in INTEGERS
    if isinstance(part, str):
        return part.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in part)
    return part is not None


def is_same(one: Key, other: Key) -> bool:
    """Whether two equal keys are of one type, part by part: 1 and True are two."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(is_same, one, other))
    return type(one) is type(other)


def rows_by_key(table: Table, asked: Mapping[Key, Key], found: Sequence[tuple[Key, Row]]) -> dict[Key, Row]:
    """Rows by the keys they were asked with.

    Raises:
        KeyTypeError: a row was found by a key that only resembles its own.
        TableError: two rows have one key.
    """
    rows = dict(found)
    for key in rows:
        like = asked.get(key, MISSING)
        if type(like) is not type(key) or (type(key) is tuple and not is_same(like, key)):
            raise KeyTypeError(resemblance(table, asked, key))
    if len(rows) < len(found):
        raise TableError(
            f"two rows of table {table.name!r} have one {', '.join(table.key)}: its primary key is another now"
        )
    return rows


def resemblance(table: Table, asked: Mapping[Key, Key], key: Key) -> str:
    """What was asked for cannot always be told; what must be asked for can."""
    like = asked.get(key, next(iter(asked)) if len(asked) == 1 else "another")
    return f"key {like!r} of table {table.name!r} finds the row whose key is {key!r}; ask for it as {key!r}"


@lru_cache(maxsize=1024)  # tables
def row_maker(table: Table) -> Callable[[Sequence[Any]], Row]:
    """What makes a row of the values of its columns.

    Raises:
        TableError: (by what is returned) a value does not fit its field.
    """
    columns, kind = table.columns, table.row
    if kind is dict:
        return lambda values: dict(zip(columns, values, strict=False))  # as many, and faster
    with extra("struct"):
        import msgspec

    def make(values: Sequence[Any]) -> Row:
        try:
            return msgspec.convert(dict(zip(columns, values, strict=True)), kind, strict=False, builtin_types=NATIVE)
        except msgspec.ValidationError as error:
            raise TableError(f"a row of table {table.name!r} is no {kind.__name__}: {error}") from error

    return make


def columns_of(row: type) -> tuple[str, ...] | None:
    """The columns that rows of a type have; None for all.

    Raises:
        ConfigurationError: the type is neither dict nor a msgspec.Struct.
    """
    if row is dict:
        return None
    with extra("struct"):
        import msgspec
    if not (isinstance(row, type) and issubclass(row, msgspec.Struct)):
        raise ConfigurationError(f"row is {row!r}; expected dict, or a class derived from msgspec.Struct")
    return tuple(field.encode_name for field in msgspec.structs.fields(row))


def check_columns(table: str, wanted: Iterable[str], there: Sequence[str], row: type) -> None:
    """Whether a table has the columns that rows need.

    Raises:
        TableError: it lacks one.
    """
    lacking = [column for column in wanted if column not in there]
    if lacking:
        raise TableError(
            f"table {table!r} has no column {lacking[0]!r}, which {row.__name__} needs; it has {', '.join(there)}"
        )


def values_of(table: Table, row: Mapping[str, Any] | Row) -> dict[str, Any]:
    """The values of a row by column, whatever type it has.

    Raises:
        TypeError: it is neither a mapping nor a struct.
    """
    if isinstance(row, Mapping):
        return dict(row)
    if table.row is not dict and isinstance(row, table.row):
        import msgspec

        fields = msgspec.structs.fields(table.row)
        return {field.encode_name: getattr(row, field.name) for field in fields}
    wanted = "a dict" if table.row is dict else f"a dict, or {table.row.__name__}"
    raise TypeError(f"a row of table {table.name!r} is {type(row).__name__}; expected {wanted}")
