"""Transactions: records of the replication stream, put together to commits; a pure machine, fed one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from forecache.coherence.changes import EVERY, Change, Commit, Every, Key, Message
from forecache.coherence.postgresql.pgoutput import (
    UNCHANGED,
    Begin,
    Deleted,
    End,
    Inserted,
    Logged,
    Record,
    Relation,
    Truncated,
    Updated,
    Values,
    Written,
    widen,
)
from forecache.errors import ChangeLogError

__all__ = ["PREFIX", "SCHEMA_PREFIX", "Followed", "Transactions"]

PREFIX: Final = "forecache"  # of messages
SCHEMA_PREFIX: Final = "forecache-schema"  # of messages in the transaction that changes a table; content: its oid
MOST_KEYS: Final = 100_000  # of one transaction; beyond it tables are told as a whole, so that memory is bounded


@dataclass(frozen=True, slots=True)
class Followed:
    """A table whose changes are told."""

    name: str
    key: tuple[str, ...]  # columns
    load: Callable[[Sequence[bytes]], Key | Every]  # the key of the texts of its columns, as rows have it


class Place(NamedTuple):
    """Where in the rows of a relation the key of a table is."""

    table: Followed
    columns: tuple[int, ...] | None  # None: not there


Resolve = Callable[[int], Sequence[Followed]]  # by the oid of a relation: those whose rows it holds
Renewed = Callable[[bytes], Sequence[str]]  # by what a message about the schema says: names of the tables it is about


class Transactions:
    """Puts them together."""

    def __init__(
        self, resolve: Resolve, near: int, renewed: Renewed = lambda _: (), most_keys: int = MOST_KEYS
    ) -> None:
        """Begins outside of a transaction.

        Args:
            resolve: tells which tables a relation is a part of; asked each time that the stream describes one.
            near: a recent number of a transaction, of 64 bits.
            renewed: tells which tables were changed, not only their rows, by what a message says.
            most_keys: told one by one for a transaction.
        """
        self._resolve = resolve
        self._near = near
        self._renewed = renewed
        self._most = most_keys
        self._places: dict[int, tuple[Place, ...]] = {}
        self._xid: int | None = None
        self._changes: dict[Change, None] = {}
        self._whole: set[str] = set()  # tables that are told as a whole
        self._has_new_schema = False
        self.new_schemas: list[int] = []  # transactions that changed tables, until somebody takes them out

    @property
    def is_open(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return self._xid is not None

    def feed(self, record: Record | None) -> Commit | Message | None:
        """What a record completes, if anything.

        Raises:
            ChangeLogError: it cannot come now.
        """
        match record:
            case Inserted() | Updated() | Deleted():
                self._write(record)
            case Begin(xid):
                if self.is_open:
                    raise unexpected(record)
                self._xid = self._near = widen(xid, self._near)
            case End(position):
                return self._end(position)
            case Logged():
                return self._hear(record)
            case Relation(oid):
                self._places[oid] = tuple(Place(table, find(table, record)) for table in self._resolve(oid))
            case Truncated(oids):
                for oid in oids:
                    self._note_whole(oid)
        return None

    def _write(self, record: Written) -> None:
        """Notes the keys that a row has, and had."""
        for place in self._at(record.oid):
            match record:
                case Inserted(_, new):
                    self._note(place, new)
                case Deleted(_, old):
                    self._note(place, old)
                case Updated(_, old, new):
                    self._note(place, new, old)
                    if old is not None:
                        self._note(place, old)

    def _at(self, oid: int) -> tuple[Place, ...]:
        if self._xid is None or oid not in self._places:
            raise unexpected(oid)
        return self._places[oid]

    def _note(self, place: Place, values: Values, otherwise: Values | None = None) -> None:
        """Notes the key of a row; of columns that an update did not touch, as the old row has them."""
        table = place.table
        key: Key | Every = EVERY
        if place.columns is not None and table.name not in self._whole:
            parts = [values[column] for column in place.columns]
            if otherwise is not None and UNCHANGED in parts:
                parts = [otherwise[at] if values[at] is UNCHANGED else values[at] for at in place.columns]
            texts = [part for part in parts if isinstance(part, bytes)]
            if len(texts) == len(parts):
                key = table.load(texts)
        self._add(table.name, key)

    def _note_whole(self, oid: int) -> None:
        for place in self._at(oid):
            self._add(place.table.name, EVERY)

    def _add(self, name: str, key: Key | Every) -> None:
        if name in self._whole:
            return
        if key is EVERY or len(self._changes) >= self._most:
            self._whole.add(name)
            self._changes = {change: None for change in self._changes if change.table != name}
            key = EVERY
        self._changes[Change(name, key)] = None

    def _hear(self, record: Logged) -> Message | None:
        if record.prefix == PREFIX and not record.is_transactional:
            return Message(record.position, record.content)
        if record.prefix == SCHEMA_PREFIX and self.is_open:
            for name in self._renewed(record.content):
                self._has_new_schema = True
                self._add(name, EVERY)
        return None

    def _end(self, position: int) -> Commit | None:
        if self._xid is None:
            raise unexpected(End(position))
        xid, changes = self._xid, tuple(self._changes)
        if self._has_new_schema:
            self.new_schemas.append(xid)
        self._xid, self._changes, self._whole, self._has_new_schema = None, {}, set(), False
        return Commit(xid, position, changes) if changes else None


def find(table: Followed, relation: Relation) -> tuple[int, ...] | None:
    """Where the columns of a key are."""
    names = [column.name for column in relation.columns]
    return tuple(map(names.index, table.key)) if set(table.key) <= set(names) else None


def unexpected(what: object) -> ChangeLogError:
    """The server and we do not understand each other."""
    return ChangeLogError(f"the replication stream is out of order at {what!r}; open it again")
