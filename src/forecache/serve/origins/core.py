"""SQL as SQLAlchemy builds it for any database, from tables that it reflects; values have the types that it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from forecache.errors import KeyTypeError, StatementError, TableError
from forecache.extras import extra
from forecache.serve.origin import Key, Row, Table
from forecache.serve.origins.plan import Answer, Plan, Statement
from forecache.serve.origins.rows import row_maker
from forecache.serve.origins.sql import Details, Found, Schema, Sql, dependents_of, has_zero, key_in
from forecache.serve.origins.sqlite import REFERENCES

with extra("sqlalchemy"):
    import sqlalchemy
    from sqlalchemy import Connection, Dialect, MetaData, bindparam, delete, insert, inspect, select, tuple_, update
    from sqlalchemy.dialects import mysql, postgresql, sqlite

__all__ = ["CHUNK", "Core"]

CHUNK: Final = 10_000  # values in one statement
UPSERTS: Final[dict[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
REPLACES: Final = ("mysql", "mariadb")
PLAIN: Final = (  # types of keys that every driver gives as the same values
    *(sqlalchemy.SMALLINT, sqlalchemy.INTEGER, sqlalchemy.BIGINT, sqlalchemy.BOOLEAN, sqlalchemy.DATE),
    *(sqlalchemy.CHAR, sqlalchemy.VARCHAR, sqlalchemy.TEXT, sqlalchemy.UUID),
)
WRITES: Final = {"CASCADE", "SET NULL", "SET DEFAULT"}


@dataclass(frozen=True, slots=True)
class CoreDetails(Details):
    """And the table as SQLAlchemy has it."""

    core: Any = field(default=None, compare=False, repr=False)
    has_plain_key: bool = False  # whether a sequencer calls its rows by the same keys


def doing(act: Callable[[Connection], object]) -> Statement:
    """A step that is no statement."""
    return Statement(act)


class Core(Sql):
    """Statements of SQLAlchemy Core in the place of text."""

    commit = doing(lambda connection: connection.commit())
    rollback = doing(lambda connection: connection.rollback())

    def __init__(self, dialect: Dialect) -> None:
        """For a kind of database."""
        self._dialect = dialect
        self.is_postgresql = dialect.name == "postgresql"
        self.begin = doing(begin_writing if dialect.name == "sqlite" else lambda connection: connection.begin())

    def schema(self, name: str) -> Plan[Schema]:
        """Reflects a table; its name may have that of its schema before a dot."""
        answer = yield doing(lambda connection: reflected(connection, name))
        core, references = answer.rows[0][0]
        details = CoreDetails(
            address=self._dialect.identifier_preparer.format_table(core),
            generated=frozenset(column.name for column in core.columns if is_generated(column)),
            dependents=dependents_of(core.fullname, references),
            core=core,
            has_plain_key=all(type(column.type) in PLAIN for column in core.primary_key.columns),
        )
        key = tuple(str(column.name) for column in core.primary_key.columns)
        return Schema(str(core.fullname), key, tuple(str(column.name) for column in core.columns), details)

    def read(self, table: Table, keys: Any) -> Plan[Found]:
        """Rows by their keys; if a column is gone, with the table as it is now."""
        keys = list(keys)
        try:
            return (yield from super().read(table, keys))
        except TableError:
            yield self.rollback
            now = yield from self.renewed(table)
            if now == table:
                raise
            return (yield from super().read(now, keys))

    def is_current(self, table: Table, answer: Answer) -> bool:
        """Columns are asked for by name: if one is gone, that is an error."""
        return True

    def chunks(self, table: Table, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
        """Portions that databases can take."""
        if self.is_postgresql:
            keys = [key for key in keys if not any(map(has_zero, table.parts_of(key)))]
        size = CHUNK // len(table.key)
        return (keys[start : start + size] for start in range(0, len(keys), size))

    def select(self, table: Table, keys: Sequence[Key]) -> Plan[list[Answer]]:
        """One answer for each portion of the keys; without a stamp."""
        columns = key_columns(table)
        target = columns[0] if len(columns) == 1 else tuple_(*columns)
        answers = []
        for chunk in self.chunks(table, keys):
            try:
                among = target.in_(bindparam("keys", chunk, type_=target.type, expanding=True))
                answers.append((yield Statement(self.query(table).where(among))))
            except StatementError as error:  # the statement is ours, and right: a key is not
                raise KeyTypeError(f"a key cannot be one of table {table.name!r}: {error}") from error
        return answers

    def query(self, table: Table) -> Any:
        """Nothing in the place of a stamp, the key, and the columns of a row."""
        core = table.details.core
        return select(sqlalchemy.null(), *key_columns(table), *(core.c[column] for column in table.columns))

    def one(self, table: Table, key: Key) -> Plan[tuple[Key, Row] | None]:
        """A row with its key, which nobody else may write until the transaction ends."""
        answer = yield Statement(self.query(table).where(*self.having(table, key)).with_for_update())
        if not answer.rows:
            return None
        values, after = answer.rows[0], 1 + len(table.key)
        return key_in(values[1:after]), row_maker(table)(values[after:])

    def with_writer(self, table: Table, key: Key) -> Plan[tuple[Row, int] | None]:
        """A row of PostgreSQL and the number of the transaction that wrote it, out of one snapshot; None if absent."""
        writer: sqlalchemy.ColumnClause[str] = sqlalchemy.literal_column("CAST(xmin AS text)")
        answer = yield Statement(self.query(table).add_columns(writer).where(*self.having(table, key)))
        if not answer.rows:
            return None
        *values, number = answer.rows[0]
        return row_maker(table)(tuple(values[1 + len(table.key) :])), int(number)

    def having(self, table: Table, key: Key) -> list[Any]:
        """The conditions that a row has this key."""
        parts = self.where(table, key).parameters
        return [
            column == bindparam(f"key{number}", part, type_=column.type)
            for number, (column, part) in enumerate(zip(key_columns(table), parts, strict=True))
        ]

    def insert(self, table: Table, values: Mapping[str, Any], rest: Sequence[str] | None = None) -> Plan[Key]:
        """A new row; if its key is there, the columns `rest` of that row, where the database can."""
        given = {name: value for name, value in values.items() if value is not None or name not in table.key}
        if rest is not None and self._dialect.name not in UPSERTS | dict.fromkeys(REPLACES):
            there = yield from self.one(table, table.key_of(values))
            if there is not None:
                return (yield from self.change(table, there[0], given))
        answer = yield doing(lambda connection: inserted(connection, self.upsert(table, given, rest)))
        return key_in(answer.rows[0][0])

    def written(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the columns that can be written."""
        there = table.details.core.c
        lacking = [column for column in values if column not in there]
        if lacking:
            raise TableError(f"table {table.name!r} has no column {lacking[0]!r}; it has {', '.join(there.keys())}")
        return super().written(table, values)

    def upsert(self, table: Table, given: Mapping[str, Any], rest: Sequence[str] | None) -> Any:
        """INSERT, and what to do if the key is there."""
        core, kind = table.details.core, self._dialect.name
        columns = rest or table.key
        if rest is not None and kind in UPSERTS:
            query = UPSERTS[kind](core).values(given)
            return query.on_conflict_do_update(index_elements=key_columns(table), set_=chosen(query.excluded, columns))
        if rest is not None and kind in REPLACES:
            replacing = mysql.insert(core).values(given)
            return replacing.on_duplicate_key_update(chosen(replacing.inserted, columns))
        return insert(core).values(given)

    def change(self, table: Table, key: Key, values: Mapping[str, Any]) -> Plan[Key | None]:
        """The key of the row that was changed, as the database has it."""
        there = yield from self.one(table, key)
        if there is None:
            return None
        yield Statement(update(table.details.core).where(*self.having(table, key)).values(values))
        if not values.keys() & set(table.key):
            return there[0]
        moved = dict(zip(table.key, table.parts_of(there[0]), strict=True)) | dict(values)
        return (yield from self.true_key(table, table.key_of(moved)))

    def true_key(self, table: Table, key: Key) -> Plan[Key]:
        """A key as the database has it."""
        there = yield from self.one(table, key)
        return key if there is None else there[0]

    def delete(self, table: Table, key: Key) -> Plan[Key | None]:
        """The key of the row that was deleted, as the database has it."""
        there = yield from self.one(table, key)
        if there is None:
            return None
        yield Statement(delete(table.details.core).where(*self.having(table, key)))
        return there[0]


def key_columns(table: Table) -> list[Any]:
    """The columns of the primary key."""
    return [table.details.core.c[column] for column in table.key]


def chosen(row: Any, columns: Sequence[str]) -> dict[str, Any]:
    """What was to be inserted into some columns."""
    return {column: row[column] for column in columns}


def begin_writing(connection: Connection) -> None:
    """Begins before the first read; the driver of SQLite would begin with the first write."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def inserted(connection: Connection, query: Any) -> tuple[Any, ...]:
    """The key that a row got."""
    if connection.dialect.insert_returning:
        return tuple(connection.execute(query.returning(*query.table.primary_key.columns)).one())
    return tuple(connection.execute(query).inserted_primary_key or ())


def is_generated(column: Any) -> bool:
    """Whether only the database writes a column."""
    return column.computed is not None or (column.identity is not None and bool(column.identity.always))


def reflected(connection: Connection, name: str) -> tuple[Any, list[tuple[str, str]]]:
    """A table, and all references that change rows, as (from, to).

    Raises:
        TableError: there is no such table.
    """
    there = inspect(connection)
    schema, _, bare = name.rpartition(".")
    if there.has_table(name):
        schema, bare = "", name
    elif not (schema and there.has_table(bare, schema or None)):
        raise TableError(f"there is no table {name!r}; check its name, its schema, and which database this is")
    shown = "" if is_visible(connection, schema, bare) else schema
    core = sqlalchemy.Table(bare, MetaData(), schema=shown or None, autoload_with=connection, resolve_fks=False)
    return core, references_in(connection, schema or None)


def is_visible(connection: Connection, schema: str, name: str) -> bool:
    """Whether PostgreSQL knows a table without its schema, as a sequencer then calls it."""
    if not schema or connection.dialect.name != "postgresql":
        return False
    quote = connection.dialect.identifier_preparer.quote_identifier
    asked = sqlalchemy.text("SELECT pg_table_is_visible(CAST(:name AS regclass))")
    return bool(connection.execute(asked, {"name": f"{quote(schema)}.{quote(name)}"}).scalar())


def references_in(connection: Connection, schema: str | None) -> list[tuple[str, str]]:
    """All references that change rows, as (from, to); SQLAlchemy does not see all of SQLite's."""
    if connection.dialect.name == "sqlite":
        return [(child, parent) for child, parent in connection.exec_driver_sql(REFERENCES)]
    found = inspect(connection).get_multi_foreign_keys(schema=schema)
    return [
        (full(*child), full(key["referred_schema"], key["referred_table"]))
        for child, keys in found.items()
        for key in keys
        if WRITES & {str(key["options"].get(event, "")).upper() for event in ("ondelete", "onupdate")}
    ]


def full(schema: str | None, name: str) -> str:
    """The name of a table, with that of its schema if it is not the usual one."""
    return f"{schema}.{name}" if schema else name
