"""The change log of an SQLite file: triggers that note each key written, in the transaction that writes it.

A row of the log is a table's name and the values of a key; without values it stands for any row of the table. SQLite
lets one writer in at a time, so the numbers are in the order of commits. The log keeps the last `KEPT` of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from forecache.errors import ConfigurationError

__all__ = ["KEPT", "LOG", "STAMP", "Logged", "Unique", "install", "keys_of", "statements"]

LOG: Final = "_forecache_changes"
KEPT: Final = 65_536  # changes: a process that is further behind drops everything
BUSY_MILLISECONDS: Final = 5_000  # waited for a writer when triggers are made
TRIM_EVERY: Final = 1_024  # changes, so that most writes need not delete
KEY_COLUMNS: Final = 4  # of the log; tables with longer keys are noted as a whole
STAMP: Final = f'(SELECT coalesce(max(seq), 0) + 1 FROM "{LOG}")'  # noqa: S608 - a constant; one more than the last change
KEYS: Final = tuple(f"key{at}" for at in range(1, KEY_COLUMNS + 1))


@dataclass(frozen=True, slots=True)
class Unique:
    """An index in which a new row may meet another one, which REPLACE then deletes without firing triggers."""

    columns: tuple[tuple[str, str], ...]  # names and collations; () if it cannot be asked by columns


@dataclass(frozen=True, slots=True)
class Logged:
    """A table whose writes are noted."""

    name: str
    key: tuple[str, ...]
    unique: tuple[Unique, ...] = ()


def statements(tables: Iterable[Logged]) -> dict[str, str]:
    """What to create, by name: the log, and the triggers that write it."""
    log = f'CREATE TABLE "{LOG}" (seq INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, {", ".join(KEYS)})'
    trim = (
        f'CREATE TRIGGER "{LOG}_trim" AFTER INSERT ON "{LOG}" WHEN new.seq % {TRIM_EVERY} = 0 '  # noqa: S608 - constants
        f'BEGIN DELETE FROM "{LOG}" WHERE seq <= new.seq - {KEPT}; END'
    )
    created = {LOG: log, f"{LOG}_trim": trim}
    for table in tables:
        created |= {name_of(table, event): sql for event, sql in triggers(table)}
    return created


def triggers(table: Logged) -> Iterator[tuple[str, str]]:
    """The triggers of a table, by the event that fires them."""
    written = note(table, "new.")
    moved = " OR ".join(
        f"{old} IS NOT {new} COLLATE BINARY"
        for old, new in zip(parts(table, "old."), parts(table, "new."), strict=True)
    )
    yield trigger(table, "AFTER INSERT", written)
    yield trigger(table, "AFTER DELETE", note(table, "old."))
    yield trigger(table, "AFTER UPDATE", note(table, "old."), note_selected(table, written, f"WHERE {moved}"))
    replaced = [replaced_by(table, unique) for unique in table.unique]
    if replaced:
        yield trigger(table, "BEFORE INSERT", *replaced)
        columns = {column for unique in table.unique for column, _ in unique.columns}
        every = not all(unique.columns for unique in table.unique)
        of = "" if every else f" OF {', '.join(quoted(column) for column in sorted(columns))}"
        yield trigger(table, "BEFORE UPDATE", *replaced, of=of)


def trigger(table: Logged, event: str, *notes: str, of: str = "") -> tuple[str, str]:
    """One trigger."""
    body = " ".join(f"{note};" for note in notes)
    name = quoted(name_of(table, event))
    return event, f"CREATE TRIGGER {name} {event}{of} ON {quoted(table.name)} BEGIN {body} END"


def name_of(table: Logged, event: str) -> str:
    """What a trigger is called."""
    return f"_forecache_{event.lower().replace(' ', '_')}_{table.name}"


def note(table: Logged, row: str) -> str:
    """Notes the key of a row."""
    return f'INSERT INTO "{LOG}" (tbl{columns(table)}) VALUES ({", ".join([text(table.name), *parts(table, row)])})'  # noqa: S608 - names are quoted


def note_selected(table: Logged, noted: str, condition: str) -> str:
    """Notes a key under a condition."""
    head, _, values = noted.partition(" VALUES ")
    return f"{head} SELECT {values[1:-1]} {condition}"


def replaced_by(table: Logged, unique: Unique) -> str:
    """Notes the rows that a new one would replace; any row, if they cannot be asked for."""
    if not unique.columns:
        return f'INSERT INTO "{LOG}" (tbl) VALUES ({text(table.name)})'  # noqa: S608 - quoted
    same = " AND ".join(
        f"t.{quoted(name)} = new.{quoted(name)} COLLATE {quoted(order)}" for name, order in unique.columns
    )
    selected = ", ".join([text(table.name), *parts(table, "t.")])
    return f'INSERT INTO "{LOG}" (tbl{columns(table)}) SELECT {selected} FROM {quoted(table.name)} AS t WHERE {same}'  # noqa: S608 - names are quoted


def fits(table: Logged) -> bool:
    """Whether the log has room for the table's key."""
    return len(table.key) <= KEY_COLUMNS


def columns(table: Logged) -> str:
    """The columns of the log that hold a key."""
    return "".join(f", {name}" for name in KEYS[: len(table.key)]) if fits(table) else ""


def parts(table: Logged, row: str) -> list[str]:
    """The values of a key."""
    return [row + quoted(column) for column in table.key] if fits(table) else []


def keys_of(width: int) -> str:
    """The columns of the log to read, for keys of at most so many columns."""
    return ", ".join(KEYS[:width])


def quoted(name: str) -> str:
    """A name that means itself, whatever letters it has."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string as SQL has it."""
    return "'" + value.replace("'", "''") + "'"


def install(connection: sqlite3.Connection, tables: Mapping[str, tuple[str, ...]]) -> None:
    """Makes the log, and the triggers of the tables that there are, as they must be.

    Args:
        connection: to the file, in no transaction.
        tables: columns of the primary key, by the names of the tables.

    Raises:
        ConfigurationError: they are not there, and the file can only be read.
    """
    wanted = statements(logged(connection, tables))
    if not lacking(connection, wanted):
        return
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for name, statement in lacking(connection, wanted).items():
                connection.execute(f"DROP TRIGGER IF EXISTS {quoted(name)}")
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise
        raise ConfigurationError(
            "the file is read-only, so its changes cannot be noted; open it once where it can be written"
        ) from error


def logged(connection: sqlite3.Connection, tables: Mapping[str, tuple[str, ...]]) -> list[Logged]:
    """What is to be noted of each table."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return [Logged(name, key, tuple(uniques(connection, name))) for name, key in tables.items() if name in there]


def uniques(connection: sqlite3.Connection, table: str) -> Iterable[Unique]:
    """The indexes in which REPLACE may find another row than that of the key."""
    found = connection.execute('SELECT name, origin, partial FROM pragma_index_list(?) WHERE "unique"', (table,))
    for index, origin, partial in found.fetchall():
        query = "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
        columns = tuple(connection.execute(query, (index,)).fetchall())
        can_ask = not partial and all(name is not None for name, _ in columns)
        if origin != "pk" or any(collation != "BINARY" for _, collation in columns):
            yield Unique(columns if can_ask else ())


def lacking(connection: sqlite3.Connection, wanted: Mapping[str, str]) -> dict[str, str]:
    """What of it is not there as it should be."""
    there = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE name LIKE '\\_forecache%' ESCAPE '\\'"))
    return {name: statement for name, statement in wanted.items() if there.get(name) != statement}
