"""What tests of sources of changes share: a database, a source on it, and others who write."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from forecache.coherence.changes import Change, ChangeSource, Commit, Message
from tests.servers import PostgreSQL

PATIENCE = 30.0  # seconds, for what must come
numbers = itertools.count()


class Following:
    """A source and its past."""

    def __init__(self, source: ChangeSource) -> None:
        self.source = source
        self.commits: list[Commit] = []

    def until(self, what: Callable[[Commit | Message], bool]) -> list[Commit | Message]:
        """Polls until it comes; returns all that came up to it."""
        found: list[Commit | Message] = []
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            came = self.source.poll(0.2)
            found += came
            self.commits += [event for event in came if isinstance(event, Commit)]
            if any(map(what, came)):
                return found
        raise AssertionError(f"it did not come within {PATIENCE:g} s; there came {found}")

    def settle(self) -> list[Commit]:
        """All commits up to now."""
        content = b"settled %d" % next(numbers)
        self.source.sample(content)
        events = self.until(lambda event: isinstance(event, Message) and event.content == content)
        assert isinstance(events[-1], Message)
        return [event for event in events if isinstance(event, Commit)]

    def changes(self) -> list[set[Change]]:
        """What each commit up to now wrote."""
        commits = self.settle()
        assert all(len(set(commit.changes)) == len(commit.changes) for commit in commits)
        return [set(commit.changes) for commit in commits]


Make = Callable[..., ChangeSource]


class Database:
    """A database of its own, and sources of one kind on it."""

    def __init__(self, server: PostgreSQL, make: Make, url: str | None = None) -> None:
        self.server = server
        self.url = url or server.database()
        self.make = make

    @contextmanager
    def writer(self) -> Iterator[psycopg.Connection[Any]]:
        """Somebody else's connection; each statement commits."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Writes as somebody else, each statement by itself; returns the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        with self.writer() as writer:
            for statement in statements:
                cursor = writer.execute(statement)  # type: ignore[call-overload]
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def psql(self, text: str) -> None:
        """Writes as somebody at a terminal does."""
        command = [str(self.server.binaries / "psql"), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-q", self.url]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=PATIENCE)

    def drop_slots(self) -> None:
        """Lets go of the log, when nobody reads it any more."""
        slots = "FROM pg_replication_slots WHERE database = current_database()"
        deadline = time.monotonic() + PATIENCE
        while self.sql(f"SELECT count(*) {slots} AND active") != [(0,)]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.sql(f"SELECT pg_drop_replication_slot(slot_name) {slots}")

    def source(self, tables: Sequence[str], **settings: Any) -> ChangeSource:
        """A source, not open, of tables that are known by their primary keys."""
        keys = {
            table: [
                row[0]
                for row in self.sql(
                    "SELECT a.attname FROM pg_index AS x CROSS JOIN unnest(x.indkey) WITH ORDINALITY AS k (n, at) "
                    "JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.n "
                    f"WHERE x.indrelid = '{table}'::regclass AND x.indisprimary ORDER BY k.at"
                )
            ]
            for table in tables
        }
        return self.make(self.url, keys, **settings)

    @contextmanager
    def following(self, *tables: str, **settings: Any) -> Iterator[Following]:
        """A source that is open, with nothing to tell."""
        source = self.source(tables, **{"silence": "1m"} | settings)  # tests may be slow to poll
        source.open()
        try:
            followed = Following(source)
            followed.settle()
            yield followed
        finally:
            source.close()


def changes(table: str, *keys: Any) -> set[Change]:
    """Of some rows."""
    return {Change(table, key) for key in keys}
