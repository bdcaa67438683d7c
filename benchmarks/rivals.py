"""Readers and a writer of one row, and servers and networks that fail them; used by `near_cache_faults`.

A row has a version, which one writer raises. Near caches keep the row in Valkey, and nowhere else; forecache keeps it
in PostgreSQL. Readers reach both through a proxy that can be silenced, the writer through one of his own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import valkey

import forecache
from benchmarks.near_caches import PREFIX, SECONDS, NearCache
from forecache.coherence.postgresql.log_source import LogSource
from forecache.serve.sequencing import Sequencing
from forecache.serve.tiers.valkey import ValkeyTier
from tests.proxy import Proxy
from tests.servers import Valkey

ROWS = 2_000
SCALE = 1_000_000_000_000  # a version as a number of digits that occur nowhere else
TAIL = 777_000_777_000
LATE = 0.5  # seconds
PATIENCE = 10.0  # seconds until a write must have been acknowledged


def digits(version: int) -> bytes:
    """What stands for a version in an answer."""
    return b"%d" % (version * SCALE + TAIL)


class World:
    """The servers, the networks before them, and the moments when writes were acknowledged."""

    def __init__(self, keep: ExitStack) -> None:
        """Healthy."""
        self.keep = keep
        self.server = keep.enter_context(Valkey(**{"repl-diskless-sync-delay": "0"}))
        self.readers = keep.enter_context(Proxy(self.server.port))
        self.writers = keep.enter_context(Proxy(self.server.port))
        self.sequencers = keep.enter_context(Proxy(self.server.port))
        self.acknowledged: list[tuple[int, float]] = []

    def admin(self) -> valkey.Valkey:
        """A client of the server that is primary."""
        return valkey.Valkey(port=self.server.port)

    def replica(self) -> tuple[Valkey, Proxy]:
        """Another server that follows, and the network between."""
        between = self.keep.enter_context(Proxy(self.server.port))
        other = self.keep.enter_context(Valkey())
        with valkey.Valkey(port=other.port) as client:
            client.replicaof("127.0.0.1", between.port)
            until(lambda: client.info("replication")["master_link_status"] == "up")
            with self.admin() as primary:
                until(lambda: client.dbsize() == primary.dbsize())
        return other, between

    def promote(self, other: Valkey) -> None:
        """Makes a replica the primary, for whoever connects from now on."""
        with valkey.Valkey(port=other.port) as client:
            client.replicaof("NO", "ONE")
        self.server = other
        self.readers.target = self.writers.target = self.sequencers.target = other.port


def until(happened: Callable[[], Any]) -> None:
    """Waits for it."""
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


class Contestant:
    """Who reads one row, and somebody else who writes it."""

    def read(self) -> tuple[int, float | None]:
        """The version, and the largest age that was promised for it."""
        raise NotImplementedError

    def read_all(self) -> None:
        """All rows, so that the server knows who has them."""
        raise NotImplementedError

    def write(self, version: int, *, everything: bool = False) -> None:
        """Returns when it is acknowledged."""
        raise NotImplementedError

    def killed(self, world: World, version: int) -> None:
        """Loses all connections in the middle of a transaction, before a write."""
        raise NotImplementedError

    def marks(self, proxy: Proxy, version: int) -> None:
        """Makes answers with a version late."""
        proxy.delayed, proxy.delay = digits(version), LATE

    def close(self) -> None:
        """Closes what can be closed."""


class Near(Contestant):
    """A near cache before Valkey; a plain client writes."""

    def __init__(self, world: World, make: Callable[[int], NearCache]) -> None:
        """With all rows in the server."""
        self.world = world
        self.write(0, everything=True)
        self.client = make(world.readers.port)

    def read(self) -> tuple[int, float | None]:
        """As the client does it."""
        found = self.client.get(f"{PREFIX}1")
        if found is None:
            raise LookupError  # as nobody has written it since the server was emptied
        return int(found) // SCALE, None

    def read_all(self) -> None:
        """One after the other."""
        for key in range(ROWS):
            self.client.get(f"{PREFIX}{key}")

    def write(self, version: int, *, everything: bool = False) -> None:
        """Until the server says that it has it."""
        keys = range(ROWS) if everything else (1,)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with (
                suppress(valkey.ValkeyError),
                valkey.Valkey(port=self.world.writers.port, socket_timeout=SECONDS) as client,
            ):
                client.mset({f"{PREFIX}{key}": digits(version) for key in keys})
                self.world.acknowledged.append((version, time.monotonic()))
                return
        raise TimeoutError

    def killed(self, world: World, version: int) -> None:
        """One of them is inside MULTI."""
        self.client.begin()
        kill_clients(world)
        self.write(version)

    def close(self) -> None:
        """Closes the client."""
        self.client.close()


class Ours(Contestant):
    """forecache before PostgreSQL, with Valkey beside; another instance writes, as another process would."""

    def __init__(self, world: World, url: str, level: str, *, only_shared: bool = False) -> None:
        """At a level; `only_shared` drops the copies of the process before each read."""
        self.world, self.only_shared = world, only_shared
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE product (id INT PRIMARY KEY, version INT, mark TEXT)")
            rows = f"SELECT n, 0, '{digits(0).decode()}' FROM generate_series(0, {ROWS - 1}) AS n"  # noqa: S608
            connection.execute(f"INSERT INTO product {rows}")  # type: ignore[call-overload]
        where = psycopg.conninfo.conninfo_to_dict(url)
        self.database = world.keep.enter_context(Proxy(int(where["port"])))
        slow = f"postgresql://postgres@127.0.0.1:{self.database.port}/{where['dbname']}?sslmode=disable"
        self.reader = self.opened(slow, world.readers, level)
        self.writer = self.opened(url, world.writers, level)

    def opened(self, url: str, proxy: Proxy, level: str) -> forecache.Database:
        """With a tier behind a proxy."""
        tier = ValkeyTier.connect(proxy.url)
        return forecache.open(url, ["product"], level=level, shared=tier, ttl="1h", timeout="2s")

    def read(self) -> tuple[int, float | None]:
        """With the certificate."""
        if self.only_shared:
            self.reader.clear()
        answer = self.reader["product"].get(1, with_certificate=True)
        return answer.row["version"], answer.certificate.max_age

    def read_all(self) -> None:
        """At once."""
        self.reader.clear()
        self.reader["product"].get_many(range(ROWS), level="eventual")

    def write(self, version: int, *, everything: bool = False) -> None:
        """A commit."""
        del everything
        if version:
            self.writer["product"].update(1, {"version": version, "mark": digits(version).decode()})
        self.world.acknowledged.append((version, time.monotonic()))

    def killed(self, world: World, version: int) -> None:
        """Between a write and its commit."""
        with self.writer.transaction() as transaction:
            transaction.update("product", 1, {"version": version})
            kill_clients(world)
        world.acknowledged.append((version, time.monotonic()))

    def marks(self, proxy: Proxy, version: int) -> None:
        """Those of the database too."""
        super().marks(proxy, version)
        super().marks(self.database, version)

    def close(self) -> None:
        """Closes both."""
        self.reader.close()
        self.writer.close()


class Followed(Ours):
    """The same with a sequencer; the row is written past the caches, by a client of the database."""

    def __init__(self, world: World, url: str, level: str) -> None:
        """Until copies are proven to be current."""
        super().__init__(world, url, level)
        self.connection = world.keep.enter_context(psycopg.connect(url, autocommit=True))
        running = Sequencing(LogSource(url, {"product": ("id",)}), ValkeyTier.connect(world.sequencers.url))
        threading.Thread(target=running.run, args=(threading.Event(),), daemon=True).start()
        until(lambda: self.reader["product"].get(1, with_certificate=True).certificate.beacon)

    def write(self, version: int, *, everything: bool = False) -> None:
        """A commit."""
        del everything
        mark = digits(version).decode()
        self.connection.execute("UPDATE product SET version = %s, mark = %s WHERE id = 1", [version, mark])
        self.world.acknowledged.append((version, time.monotonic()))

    def killed(self, world: World, version: int) -> None:
        """Before a write."""
        kill_clients(world)
        self.write(version)


def kill_clients(world: World) -> None:
    """All connections but ours."""
    with world.admin() as admin:
        for kind in ("pubsub", "normal"):
            admin.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
