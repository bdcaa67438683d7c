"""What a storm rages over: a file of SQLite, PostgreSQL, PostgreSQL with a shared tier, and with a sequencer.

A stage is made where the storm is run, and again in each of its processes from `place`, the words that say where it is.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, ClassVar, NamedTuple

import psycopg
import valkey

import forecache
from forecache import Database
from forecache.coherence.postgresql.log_source import LogSource
from forecache.serve.sequencing import Sequencing
from forecache.serve.tiers.valkey import ValkeyTier
from tests.servers import PostgreSQL, Valkey

KEYS = 12
TABLE = "CREATE TABLE product (id INTEGER PRIMARY KEY, version INT NOT NULL)"
RAISED = "UPDATE product SET version = version + 1 WHERE id = {} RETURNING version"
ALMOST_NOW = 1e-9  # seconds: not older, but two reads may see two writes in either order
ANY = float("inf")


class Way(NamedTuple):
    """A way to read: with this level, where an answer promises this age unless a certificate says more."""

    level: str | None
    bound: float  # seconds, the largest age that the level allows
    weight: int
    certified: bool = True


class Sqlite:
    """Other processes write the file through forecache, or through plain `sqlite3`."""

    ways: ClassVar = [
        Way(None, 0.0, 12, certified=False),
        Way("strong", 0.0, 4),
        Way("bounded(5ms)", 0.005, 2),
        Way("bounded(1s)", 1.0, 2),
        Way("eventual", ANY, 1),
    ]

    def __init__(self, place: str) -> None:
        """A directory."""
        self.path = Path(place) / "shop.db"

    def make(self) -> str:
        """With rows, and with the triggers that note what changes."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(TABLE)
            connection.executemany("INSERT INTO product VALUES (?, 0)", [(key,) for key in range(KEYS)])
        forecache.open(self.path, ["product"]).close()
        return str(self.path.parent)

    def open(self) -> Database:
        """As the readers see it."""
        return forecache.open(self.path, ["product"], level="strong", capacity=8, policy="lru")

    def before(self, shop: Database, key: int) -> None:
        """Nothing."""

    def after(self, shop: Database) -> None:
        """Nothing."""

    def writer(self, chance: Random) -> Callable[[int], int]:
        """A program that knows nothing of forecache: raises a row's version, and returns it."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        connection.execute("PRAGMA synchronous = OFF")

        def write(key: int) -> int:
            version: int = connection.execute(RAISED.format("?"), (key,)).fetchall()[0][0]
            if chance.random() < 0.01:
                connection.execute(f"PRAGMA wal_checkpoint({chance.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])})")
            return version

        return write

    def disturb(self, chance: Random, stop: Event) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Postgresql(Sqlite):
    """Other processes write through forecache, or through plain psycopg."""

    ways: ClassVar = [
        Way(None, 1.0, 30, certified=False),
        Way("bounded(1s)", 1.0, 10),
        Way("bounded(5ms)", 0.005, 2),
        Way("session", ANY, 4),
        Way("strong", 0.0, 1),
        Way("eventual", ANY, 2),
    ]

    running: ClassVar[PostgreSQL | None] = None  # in place of a server of its own

    def __init__(self, place: str) -> None:
        """A URL."""
        self.url = place
        self.server: PostgreSQL | None = None

    def make(self) -> str:
        """Starts a server, unless one runs."""
        if self.running is None:
            self.server = PostgreSQL()
            self.server.__enter__()
        self.url = (self.running or self.server).database()  # type: ignore[union-attr]
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(TABLE)
            connection.execute(f"INSERT INTO product SELECT n, 0 FROM generate_series(0, {KEYS - 1}) AS n")  # type: ignore[call-overload]
        return self.url

    def open(self) -> Database:
        """At the level that is the default."""
        return forecache.open(self.url, ["product"], capacity=8, policy="lru", timeout="30s")

    def writer(self, chance: Random) -> Callable[[int], int]:
        """A program that knows nothing of forecache."""
        connection = psycopg.connect(self.url, autocommit=True)

        def write(key: int) -> int:
            version: int = connection.execute(RAISED.format("%s"), (key,)).fetchall()[0][0]
            return version

        return write

    def close(self) -> None:
        """Ends the server."""
        if self.server is not None:
            self.server.close()


class Shared(Postgresql):
    """Every read asks the tier, every write goes through forecache; the tier is flushed, killed, and set back.

    A write counts as acknowledged when the tier was told of it; no read of the tier is older than that.
    """

    ways: ClassVar = [Way("eventual", ALMOST_NOW, 1, certified=False)]
    calm = 0.4  # seconds from one disturbance to the next, more or less

    def __init__(self, place: str) -> None:
        """URLs of both."""
        url, _, self.tier = place.partition(" ")
        super().__init__(url)
        self.valkey: Valkey | None = None

    def make(self) -> str:
        """Starts both."""
        super().make()
        self.valkey = Valkey()
        self.valkey.__enter__()
        self.tier = self.valkey.url
        return f"{self.url} {self.tier}"

    def open(self) -> Database:
        """With the tier."""
        tier = ValkeyTier.connect(self.tier, timeout="10s")
        return forecache.open(self.url, ["product"], level="eventual", shared=tier, timeout="30s")

    def before(self, shop: Database, key: int) -> None:
        """Forgets the copy of this process, and what a load may bring that began before."""
        shop._copies.forget("product", key)

    def after(self, shop: Database) -> None:
        """Waits until the tier was told, which may be busy dying: until then others read what was there."""
        for _ in range(20_000):
            if not any(len(server.postponed) for server in shop._tier._servers):  # type: ignore[union-attr]
                return
            time.sleep(0.002)
        raise AssertionError("an invalidation was never delivered")

    def writer(self, chance: Random) -> Callable[[int], int]:
        """Through forecache."""
        shop = self.open()

        def write(key: int) -> int:
            with shop.transaction() as transaction:
                version: int = transaction.get("product", key)["version"] + 1
                transaction.update("product", key, {"version": version})
            self.after(shop)
            return version

        return write

    def disturb(self, chance: Random, stop: Event) -> None:
        """Now and then."""
        assert self.valkey
        while not stop.wait(self.calm * (0.25 + chance.random())):
            with valkey.Valkey(port=self.valkey.port) as admin:
                if chance.random() < 0.4:
                    admin.flushall()
                    continue
                admin.save()
            stop.wait(0.1 + chance.random() * 0.2)  # what is invalidated now will be there again
            self.valkey.kill()
            self.valkey.start()

    def close(self) -> None:
        """Ends both."""
        if self.valkey is not None:
            self.valkey.close()
        super().close()


class Followed(Shared):
    """A sequencer proves how current copies are, here and in the tier; plain psycopg writes; all of it is disturbed."""

    ways: ClassVar = [
        Way(None, 1.0, 30, certified=False),
        Way("bounded(1s)", 1.0, 10),
        Way("bounded(50ms)", 0.05, 4),
        Way("session", ANY, 4),
        Way("strong", 0.0, 1),
        Way("eventual", ANY, 2),
    ]
    calm = 2.0  # in which something can be proven

    def make(self) -> str:
        """Starts the sequencer too."""
        place = super().make()
        self.stop, self.follows = Event(), ValkeyTier.connect(self.tier)
        sequencing = Sequencing(LogSource(self.url, {"product": ("id",)}), self.follows)
        self.thread = Thread(target=sequencing.run, args=(self.stop,))
        self.thread.start()
        return place

    def open(self) -> Database:
        """At the level that is the default."""
        return forecache.open(self.url, ["product"], shared=self.tier, capacity=8, policy="lru", timeout="30s")

    def before(self, shop: Database, key: int) -> None:
        """Nothing."""

    def after(self, shop: Database) -> None:
        """Nothing."""

    def writer(self, chance: Random) -> Callable[[int], int]:
        """A program that knows nothing of forecache."""
        return Postgresql.writer(self, chance)

    def close(self) -> None:
        """Ends the sequencer first, and what it left in a server that others use."""
        if hasattr(self, "thread"):
            self.stop.set()
            self.thread.join()
            self.follows.close()
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(DROP_SLOTS)
        super().close()


DROP_SLOTS = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
STAGES: dict[str, Callable[[str], Any]] = {
    "sqlite": Sqlite,
    "postgresql": Postgresql,
    "shared": Shared,
    "followed": Followed,
}
