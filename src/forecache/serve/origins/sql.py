"""SQL as SQLite and PostgreSQL share it: plans to read rows by key, and to write them and be told which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from forecache.errors import KeyTypeError, StatementError, TableError
from forecache.serve.origin import Key, Row, Table
from forecache.serve.origins.plan import Answer, Plan, Statement
from forecache.serve.origins.rows import asked_keys, check_columns, columns_of, row_maker, rows_by_key, values_of

__all__ = ["Details", "Found", "Schema", "Sql", "dependents_of", "has_zero", "key_in"]

MOST_SCHEMA_CHANGES: Final = 3  # while one batch is read


@dataclass(frozen=True, slots=True)
class Details:
    """What SQL has to know about a table besides its columns."""

    address: str  # its name, quoted
    types: tuple[object, ...] = ()  # of the columns, as in answers
    generated: frozenset[str] = frozenset()  # columns that only the database writes
    dependents: tuple[str, ...] = ()  # tables whose rows change when a key here is deleted or changed
    key_types: tuple[str, ...] = ()  # of the columns of the key, as SQL names them
    json: frozenset[str] = frozenset()  # columns of documents


class Schema(NamedTuple):
    """A table as the catalogue describes it."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    details: Details

    def table(self, row: type) -> Table:
        """The table with rows of a type.

        Raises:
            TableError: it has no primary key, or lacks a column of `row`.
        """
        if not self.key:
            raise TableError(
                f"{self.name!r} has no primary key; rows are cached by it: add one, or choose a table that has one"
            )
        wanted = columns_of(row)
        check_columns(self.name, wanted or (), self.columns, row)
        return Table(self.name, self.key, wanted or self.columns, row, self.details)


class Found(NamedTuple):
    """A batch that does not yet know when it was read."""

    rows: dict[Key, Row]
    table: Table
    stamp: int | None


class Sql:
    """Plans in SQL; what differs between databases is left to subclasses."""

    mark = "?"  # placeholder of a value
    stamp = "NULL"  # expression: the number of the snapshot
    counts = True  # whether the statement for a batch depends on the number of its keys
    lock = ""  # at the end of a query: keeps others from writing what it returns
    begin = Statement("BEGIN")
    commit = Statement("COMMIT")
    rollback = Statement("ROLLBACK")

    def schema(self, name: str) -> Plan[Schema]:
        """Reads the catalogue.

        Raises:
            TableError: there is no such table.
        """
        raise NotImplementedError

    def chunks(self, table: Table, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
        """Keys in portions that one statement can take."""
        raise NotImplementedError

    def matching(self, table: Table, count: int) -> str:
        """What to join to get the rows with so many keys, called `t`."""
        raise NotImplementedError

    def arguments(self, table: Table, keys: Sequence[Key]) -> Sequence[Any]:
        """Keys as the values of the placeholders in `matching`."""
        raise NotImplementedError

    def ending(self) -> Plan[int | None]:
        """Commits, and tells the number of the transaction."""
        yield self.commit
        return None

    def value(self, table: Table, column: str, value: Any) -> Any:
        """A value as the driver wants it for a column."""
        return value

    def quote(self, name: str) -> str:
        """A name that means itself, whatever letters it has."""
        return '"' + name.replace('"', '""') + '"'

    def names(self, columns: Iterable[str], of: str = "") -> str:
        """Names with commas between."""
        return ", ".join(of + self.quote(column) for column in columns)

    def selected(self, table: Table) -> str:
        """The columns of the key, and then those of a row; all there are, so that new ones are noticed."""
        return f"{self.names(table.key, 't.')}, {'t.*' if table.row is dict else self.names(table.columns, 't.')}"

    def table(self, name: str, row: type) -> Plan[Table]:
        """The table as it is now."""
        schema = yield from self.schema(name)
        return schema.table(row)

    def read(self, table: Table, keys: Iterable[Key]) -> Plan[Found]:
        """Rows by their keys, with the table as it is now."""
        asked = asked_keys(table, keys)
        for _ in range(MOST_SCHEMA_CHANGES):
            answers = yield from self.select(table, list(asked))
            if all(self.is_current(table, answer) for answer in answers):
                return self.interpret(table, asked, answers)
            table = yield from self.renewed(table)
        raise TableError(f"the columns of table {table.name!r} changed {MOST_SCHEMA_CHANGES} times during one read")

    def select(self, table: Table, keys: Sequence[Key]) -> Plan[list[Answer]]:
        """One answer for each portion of the keys."""
        answers = []
        for chunk in self.chunks(table, keys):
            try:
                answers.append(
                    (
                        yield Statement(
                            query_of(self, table, len(chunk) if self.counts else 0), self.arguments(table, chunk)
                        )
                    )
                )
            except StatementError as error:  # the statement is ours, and right: a key is not
                raise KeyTypeError(f"a key cannot be one of table {table.name!r}: {error}") from error
        return answers

    def is_current(self, table: Table, answer: Answer) -> bool:
        """Whether rows still have the shape that we know."""
        first = 1 + len(table.key)
        if answer.columns[first:] != table.columns:
            return False
        known = table.details.types
        return table.row is not dict or not known or answer.types[first:] == known

    def renewed(self, table: Table) -> Plan[Table]:
        """The table as it is now.

        Raises:
            TableError: its primary key is another.
        """
        now = yield from self.table(table.name, table.row)
        if now.key != table.key:
            raise TableError(
                f"the primary key of table {table.name!r} changed from {', '.join(table.key)} to {', '.join(now.key)}; "
                "read its schema again"
            )
        return now

    def interpret(self, table: Table, asked: Mapping[Key, Key], answers: Iterable[Answer]) -> Found:
        """Rows by key; where there are none, an answer still holds one row that is empty but for the stamp."""
        make, after, stamp = row_maker(table), 1 + len(table.key), None
        found = []
        for answer in answers:
            for values in answer.rows:
                stamp = values[0]
                if values[1] is not None:
                    key = values[1] if after == 2 else tuple(values[1:after])  # noqa: PLR2004 - a key of one column
                    found.append((key, make(values[after:])))
        return Found(rows_by_key(table, asked, found), table, stamp)

    def one(self, table: Table, key: Key) -> Plan[tuple[Key, Row] | None]:
        """A row with its key, which nobody else may write until the transaction ends."""
        where = self.where(table, key)
        query = f"SELECT {self.selected(table)} FROM {table.details.address} AS t WHERE {where.sql}{self.lock}"  # noqa: S608 - names are quoted
        answer = yield Statement(query, where.parameters)
        if not answer.rows:
            return None
        after = len(table.key)
        if answer.columns[after:] != table.columns:
            table = yield from self.renewed(table)
        values = answer.rows[0]
        return key_in(values[:after]), row_maker(table)(values[after:])

    def where(self, table: Table, key: Key) -> Statement:
        """The condition that a row has this key."""
        parts = table.parts_of(key)
        if len(parts) != len(table.key):
            raise KeyTypeError(f"key {key!r} does not fit table {table.name!r}; expected {', '.join(table.key)}")
        return Statement(" AND ".join(f"{self.quote(column)} = {self.mark}" for column in table.key), parts)

    def put(self, table: Table, row: Mapping[str, Any] | Row) -> Plan[Key]:
        """Inserts or overwrites."""
        values = self.written(table, values_of(table, row))
        if any(values.get(column) is None for column in table.key):
            return (yield from self.insert(table, values))
        rest = {column: value for column, value in values.items() if column not in table.key}
        if rest and not values.keys() >= set(table.columns) - table.details.generated:  # what is not given is kept
            key = yield from self.change(table, table.key_of(values), rest)
            if key is not None:
                return key
        return (yield from self.insert(table, values, tuple(rest)))

    def written(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the columns that can be written, as the driver wants them."""
        generated = table.details.generated
        return {name: self.value(table, name, value) for name, value in values.items() if name not in generated}

    def insert(self, table: Table, values: Mapping[str, Any], rest: Sequence[str] | None = None) -> Plan[Key]:
        """A new row; if its key is there, the columns `rest` of that row.

        None for a column of the key is left out, so that the database chooses.
        """
        given = {name: value for name, value in values.items() if value is not None or name not in table.key}
        marks = ", ".join([self.mark] * len(given))
        row = f"({self.names(given)}) VALUES ({marks})" if given else "DEFAULT VALUES"
        otherwise = "" if rest is None else self.overwriting(table, rest)
        sql = f"INSERT INTO {table.details.address} {row}{otherwise} RETURNING {self.names(table.key)}"
        answer = yield Statement(sql, tuple(given.values()))
        return key_in(answer.rows[0])

    def overwriting(self, table: Table, rest: Sequence[str]) -> str:
        """What to do if the key is there; an update that changes nothing lets RETURNING speak."""
        changes = ", ".join(f"{self.quote(column)} = excluded.{self.quote(column)}" for column in rest or table.key)
        return f" ON CONFLICT ({self.names(table.key)}) DO UPDATE SET {changes}"

    def update(self, table: Table, key: Key, values: Mapping[str, Any]) -> Plan[tuple[Key, ...]]:
        """The keys that the row had and has; none if there is no such row."""
        values = self.written(table, values)
        before = key
        if not values or values.keys() & set(table.key):
            there = yield from self.one(table, key)
            if there is None or not values:
                return ()
            before = there[0]
        after = yield from self.change(table, key, values)
        return () if after is None else (before, after) if values.keys() & set(table.key) else (after,)

    def change(self, table: Table, key: Key, values: Mapping[str, Any]) -> Plan[Key | None]:
        """The key of the row that was changed."""
        where = self.where(table, key)
        changes = ", ".join(f"{self.quote(column)} = {self.mark}" for column in values)
        sql = f"UPDATE {table.details.address} SET {changes} WHERE {where.sql} RETURNING {self.names(table.key)}"  # noqa: S608 - names are quoted
        answer = yield Statement(sql, (*values.values(), *where.parameters))
        return key_in(answer.rows[0]) if answer.rows else None

    def delete(self, table: Table, key: Key) -> Plan[Key | None]:
        """The key of the row that was deleted."""
        where = self.where(table, key)
        sql = f"DELETE FROM {table.details.address} WHERE {where.sql} RETURNING {self.names(table.key)}"  # noqa: S608 - names are quoted
        answer = yield Statement(sql, where.parameters)
        return key_in(answer.rows[0]) if answer.rows else None


def key_in(parts: Sequence[Any]) -> Key:
    """The key of these values: the only one by itself."""
    return parts[0] if len(parts) == 1 else tuple(parts)


@lru_cache(maxsize=1024)  # statements; each table has few
def query_of(sql: Sql, table: Table, count: int) -> str:
    """The query of a batch: the stamp, the key, and the row, if there is one."""
    stamp, match = f"(SELECT {sql.stamp} AS n) AS s", sql.matching(table, count)
    return f"SELECT s.n, {sql.selected(table)} FROM {stamp} LEFT JOIN {match}"  # noqa: S608 - names are quoted


def has_zero(part: Any) -> bool:
    """Whether it is text with a zero byte, which not every database can hold."""
    return isinstance(part, str) and "\0" in part


def dependents_of(name: str, references: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """All tables that refer to one, also over others, by references (from, to) that change rows."""
    edges = set(references)
    found: set[str] = set()
    todo = {name}
    while todo:
        parents, todo = todo, set[str]()
        for child, parent in edges:
            if parent in parents and child not in found:
                found.add(child)
                todo.add(child)
    return tuple(sorted(found))
