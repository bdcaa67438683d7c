"""A database with a table, a shared tier, and sequencers between them, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

import forecache
from forecache._core import now
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.notes_source import NotesSource
from forecache.serve.sequencing import Sequencing
from forecache.serve.tiers.valkey import ValkeyTier
from tests.contracts.tiers import until
from tests.servers import PostgreSQL, Valkey

TABLES = {"item": ("id",)}
SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE database = %s"
END_WALSENDER = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()"


class Site:
    """A database with a table of rows that count their writes, a shared tier, and what a test starts there."""

    def __init__(self, stack: ExitStack, url: str, shared: str | list[str] = "") -> None:
        """With a Valkey of its own, if there is no other tier."""
        self.stack, self.url = stack, url
        self.valkey = Valkey() if shared else stack.enter_context(Valkey())
        self.shared = shared or self.valkey.url
        self.writer = stack.enter_context(psycopg.connect(url, autocommit=True))
        self.writer.execute("CREATE TABLE item (id int PRIMARY KEY, version int NOT NULL)")
        self.writer.execute("INSERT INTO item SELECT n, 0 FROM generate_series(1, 100) AS n")

    def sequencer(self, source: type[LogSource | NotesSource] = LogSource) -> Sequencing:
        return self.stack.enter_context(running(self.url, self.shared, source))

    def open(self, proven: bool = True, **settings: Any) -> forecache.Database:
        """A cache whose copies are proven, if there is a sequencer."""
        database = self.stack.enter_context(forecache.open(self.url, ["item"], shared=self.shared, **settings))
        assert not proven or until(lambda: is_proven(database))
        return database

    def write(self, key: int, version: int) -> None:
        self.writer.execute("UPDATE item SET version = %s WHERE id = %s", [version, key])


@contextmanager
def running(
    url: str, shared: str | list[str], source: type[LogSource | NotesSource] = LogSource
) -> Iterator[Sequencing]:
    """A candidate in a thread."""
    tier, stop = ValkeyTier.connect(shared), threading.Event()
    sequencing = Sequencing(source(url, TABLES), tier)
    thread = threading.Thread(target=sequencing.run, args=(stop,))
    thread.start()
    try:
        yield sequencing
    finally:
        stop.set()
        thread.join(10)
        tier.close()
        assert not thread.is_alive()


def drop_slots(server: PostgreSQL, url: str) -> None:
    """Those of one database, which nobody reads any more."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        for (slot,) in admin.execute(SLOTS, [url.rpartition("/")[2]]).fetchall():
            admin.execute("SELECT pg_drop_replication_slot(%s)", [slot])


def is_proven(database: forecache.Database) -> bool:
    """Whether copies here are proven to be current, and not only young."""
    certificate = database["item"].get(1, with_certificate=True).certificate
    return certificate.tier == "process" and bool(certificate.beacon) and now() - database._watch.proven_at() < 0.5


def version_of(database: forecache.Database, key: int) -> int:
    version: int = database["item"].get(key)["version"]
    return version
