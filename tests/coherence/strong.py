"""A database whose commits wait for a sequencer, a Valkey, candidates, and processes that read strongly."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

import forecache
from forecache.coherence.changes import Commit
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.synchronous import STANDBY
from forecache.errors import ForecacheError
from forecache.serve.database import Database
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.show.servers import Sequencer
from tests.servers import PostgreSQL, Valkey

__all__ = ["PATIENCE", "Observed", "Setting", "answers_here", "until"]

PATIENCE = 30.0  # seconds, for what must come
ROWS = 5


def until(what: Callable[[], bool]) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.005)


class Setting:
    """One database, with tables `(id, version)` of a few rows; ends with a `with` block."""

    def __init__(self, server: PostgreSQL, valkey: Valkey, *tables: str) -> None:
        """The table `item`, and maybe others."""
        self.server, self.valkey, self.tables = server, valkey, ("item", *tables)
        self.url = server.database()
        for table in self.tables:
            self.ask(f"CREATE TABLE {table} (id int PRIMARY KEY, version int)")
            self.ask(f"INSERT INTO {table} SELECT i, 0 FROM generate_series(1, {ROWS}) AS i")
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Setting:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stack.close()

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As a program that knows nothing of caches, and does not wait for any."""
        with psycopg.connect(self.url, autocommit=True, options="-c synchronous_commit=local") as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def connected(self) -> psycopg.Connection[Any]:
        """A connection whose commits wait as the server says."""
        return psycopg.connect(self.url, autocommit=True)

    def candidate(self, silence: str = "3s") -> Sequencer:
        """A sequencer, as a process, which may say nothing for longer than usual, as machines of tests are busy."""
        others = [option for table in self.tables[1:] for option in ("--table", table)]
        made = Sequencer(self.url, self.valkey.url, "item", "--synchronous", "--silence", silence, *others)
        made.start()
        self.stack.callback(made.close)
        return made

    def open(self) -> Database:
        """A process with copies, or so it seems."""
        tier = ValkeyTier.connect(self.valkey.url)
        return self.stack.enter_context(forecache.open(self.url, self.tables, shared=tier, level="strong"))

    @contextlib.contextmanager
    def waiting(self, names: str = STANDBY) -> Iterator[None]:
        """Commits wait, for others too if that is said."""
        until(lambda: self.followers() > 0)
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.ask("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self.ask("ALTER SYSTEM RESET synchronous_standby_names")
            self.ask("SELECT pg_reload_conf()")

    def followers(self) -> int:
        """Who may be waited for."""
        found = self.ask("SELECT count(*) FROM pg_stat_replication WHERE application_name = %s", STANDBY)
        return int(found[0][0])

    @contextlib.contextmanager
    def slow_standby(self, name: str, seconds: float) -> Iterator[None]:
        """Another standby, which acknowledges each commit late."""
        source = LogSource(self.url, {"item": ("id",)}, slot=f"{name}_slot", standby=name)
        source.open()
        stop = threading.Event()

        def follow() -> None:
            while not stop.is_set():
                for event in source.poll(0.05):
                    if isinstance(event, Commit):
                        stop.wait(seconds)
                        source.acknowledge(event.position)
            source.close()

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE)


class Observed:
    """Writers past the caches, and readers; each read is compared with what had been committed before it began."""

    def __init__(self, setting: Setting, databases: list[Database], table: str = "item") -> None:
        self._setting, self._table, self._stop = setting, table, threading.Event()
        self._committed = dict.fromkeys(range(1, ROWS + 1), 0)
        self.reads = self.here = self.writes = self.failed = 0
        self.longest = 0.0  # seconds that a commit took
        self.violations: list[str] = []
        self._threads = [threading.Thread(target=self._write, args=(key,)) for key in self._committed]
        self._threads += [threading.Thread(target=self._read, args=(database,)) for database in databases]

    def __enter__(self) -> Observed:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)

    def _write(self, key: int) -> None:
        with psycopg.connect(self._setting.url, autocommit=True) as connection:
            version = 0
            while not self._stop.wait(0.01 * key):
                version, began = version + 1, time.monotonic()
                connection.execute(f"UPDATE {self._table} SET version = %s WHERE id = %s", (version, key))
                self.longest = max(self.longest, time.monotonic() - began)
                self._committed[key] = version
                self.writes += 1

    def _read(self, database: Database) -> None:
        seen = dict.fromkeys(self._committed, 0)
        while not self._stop.wait(0.0005):
            for key in self._committed:
                expected = max(seen[key], self._committed[key])
                try:
                    answer = database[self._table].get(key, with_certificate=True)
                except ForecacheError:
                    self.failed += 1
                    continue
                version = seen[key] = answer.row["version"]
                self.reads += 1
                self.here += answer.certificate.tier == "process"
                if version < expected:
                    self.violations.append(f"row {key}: {version} after {expected}, from the {answer.certificate.tier}")


def answers_here(database: Database, table: str = "item") -> bool:
    """Whether a strong read was answered by this process, the short way."""
    rows = database[table]
    before = rows.hits
    certificate = rows.get(1, with_certificate=True).certificate
    return bool(certificate.tier == "process" and certificate.max_age == 0 and rows.hits > before)
