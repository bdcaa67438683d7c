"""All that runs in a storm: databases, tiers, sequencers, readers and writers, and the networks between them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import valkey

from forecache._core import now
from forecache.coherence.postgresql.synchronous import STANDBY
from forecache.serve.beacon_watch import BeaconWatch
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.show.servers import Server
from tests.proxy import Proxy
from tests.serve.standby import Standby
from tests.servers import PostgreSQL, Valkey
from tests.storm.clock import WallClock
from tests.storm.shop import TABLE, create

__all__ = ["Candidate", "Member", "Site", "wait_until"]

READERS, SEQUENCERS = 3, 2
POSTGRES = {"max_connections": "150", "max_wal_senders": "10", "wal_writer_delay": "10ms", "wal_keep_size": "256MB"}
POSTGRES |= {"wal_retrieve_retry_interval": "100ms"}  # of a standby that lost its primary
SYNCHRONOUS = {"restart_after_crash": "off"}  # as what waited would be seen at once
SILENCE = "1500ms"  # after which another sequencer takes over, where commits wait: the machine is busy
STRONG = 2  # of the readers, of which one thread reads strongly, where commits wait
PATIENCE = 30.0  # seconds
IGNORED = "sslmode=disable&gssencmode=disable"  # what a proxy cannot pass on unchanged


def wait_until(happened: Any, seconds: float = PATIENCE) -> bool:
    """Whether it happened in time."""
    ends = now() + seconds
    while now() < ends:
        if happened():
            return True
        time.sleep(0.01)
    return False


class Ways:
    """The networks of one process: to the database, and to the tier."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self.database, self.tier = (
            stack.enter_context(Proxy(site.postgresql.port)),
            stack.enter_context(Proxy(site.valkey.port)),
        )
        self.database.keeps = self.tier.keeps = True
        self.database_url = f"postgresql://postgres@127.0.0.1:{self.database.port}/postgres?{IGNORED}"


class Member:
    """A process that reads or writes, and is started again when it was killed."""

    def __init__(self, site: Site, role: str, *extra: str) -> None:
        self.site, self.role, self.extra = site, role, extra
        self.ways = Ways(site, site.stack)
        self.process: subprocess.Popen[bytes] | None = None
        site.stack.callback(self.kill)

    def start(self) -> None:
        number = next(self.site.numbers)
        given = [
            self.ways.database_url,
            *([self.site.tier_url(self.ways)] if self.role == "reader" else []),
            str(self.site.into),
        ]
        command = [sys.executable, "-m", f"tests.storm.{self.role}", *given, str(number), str(self.site.seed + number)]
        self.process = subprocess.Popen([*command, *self.extra], env=self.site.clock.environment)
        wait_until(lambda: (self.site.into / f"intents-{number}-0").exists())

    def send(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.send(9)
        self.wait()

    def wait(self) -> int:
        return 0 if self.process is None else self.process.wait(PATIENCE)


class Candidate(Server):
    """A sequencer."""

    name = "sequencer"
    ready = ("sequencer leads", "cannot be followed", "stands by")

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site, self.ways, self.mutant = site, Ways(site, site.stack), site.mutant
        self.options["env"] = site.clock.environment | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def command(self) -> list[str]:
        given = ["--origin", self.ways.database_url, "--shared", self.site.tier_url(self.ways), "--table", TABLE]
        given += ["--synchronous", "--silence", SILENCE] if self.site.synchronous else []
        return [sys.executable, "-m", "tests.storm.candidate", self.mutant, *given]

    @property
    def leads(self) -> bool:
        """Whether it said so last."""
        said = [
            line
            for line in list(self.log)
            if any(word in line for word in ("leads", "stands by", "steps back", "cannot"))
        ]
        return self.is_up and bool(said) and "this sequencer leads" in said[-1]


class Nobody:
    """Keeps no copies."""

    def forget(self, table: str, key: Any) -> None: ...
    def forget_table(self, table: str) -> None: ...
    def forget_all(self) -> None: ...


class Site:
    """Two servers of each kind, of which one is the primary; everybody reaches them through proxies of his own."""

    def __init__(
        self,
        stack: ExitStack,
        into: Path,
        seed: int,
        mutant: str = "none",
        tiers: Callable[[Site], Any] | None = None,
        *,
        synchronous: bool = False,
    ) -> None:
        """Starts all but the members.

        Args:
            stack: that ends what is started.
            into: directory for what is written down, and for the clock.
            seed: of what each process does.
            mutant: a defence that all processes lack.
            tiers: makes a tier of several servers, with a `url`; by default there is one, with a replica.
            synchronous: commits wait for the sequencers.
        """
        self.synchronous, self.settings = synchronous, POSTGRES | (SYNCHRONOUS if synchronous else {})
        self.stack, self.into, self.seed, self.mutant = stack, into, seed, mutant
        self.clock = WallClock(into)
        self.numbers = iter(range(1, 120))
        self.postgresql: PostgreSQL = self.with_clock(PostgreSQL(**self.settings))
        self.valkey: Valkey = self.with_clock(Valkey())
        for server in (self.postgresql, self.valkey):
            stack.enter_context(server)
        create(self.postgresql.url)
        self.replication, self.replica_link = (
            stack.enter_context(Proxy(server.port)) for server in (self.postgresql, self.valkey)
        )
        self.standby = self.new_standby()
        self.replica: Valkey = stack.enter_context(self.with_clock(Valkey()))
        self.replicate()
        self.tiers = None if tiers is None else tiers(self)
        self.sequencers = [Candidate(self) for _ in range(SEQUENCERS)]
        for sequencer in self.sequencers:
            stack.enter_context(sequencer)
        strong = STRONG if synchronous else 0
        self.readers = [Member(self, "reader", mutant, str(number < strong)) for number in range(READERS)]
        self.writers = [Member(self, "writer"), Member(self, "writer", str(self.postgresql.binaries / "psql"))]
        self.losses: list[Any] = []  # of the database, by its own failovers
        self.way_of_watch = stack.enter_context(Proxy(self.valkey.port))
        url = self.way_of_watch.url if self.tiers is None else self.tiers.url
        self.watch = BeaconWatch(ValkeyTier.connect(url), [TABLE], Nobody())
        stack.callback(self.watch.close)

    def tier_url(self, ways: Ways) -> str:
        """Where a process finds the tier: one of several servers without a proxy, as they tell where they are."""
        return ways.tier.url if self.tiers is None else str(self.tiers.url)

    def with_clock(self, server: Any) -> Any:
        server.options["env"] = self.clock.environment
        return server

    @property
    def members(self) -> list[Member]:
        return [*self.readers, *self.writers]

    @property
    def leader(self) -> Candidate:
        """Who leads, or said so last."""
        wait_until(lambda: any(each.leads for each in self.sequencers), 10)
        return next((each for each in self.sequencers if each.leads), self.sequencers[0])

    def start(self) -> None:
        for member in self.members:
            member.start()
        if not wait_until(lambda: len(list(self.into.glob("proofs-*"))) >= READERS):
            raise TimeoutError("the readers do not begin")
        self.commits_wait()

    def end(self) -> list[int]:
        """Lets writers and readers end, in this order."""
        codes = []
        for group in (self.writers, self.readers):
            for member in group:
                member.send(15)
            codes += [member.wait() for member in group]
        return codes

    def configure(self, name: str, value: str, server: PostgreSQL | None = None) -> None:
        """Changes a setting, of the primary if no other server is given."""
        with psycopg.connect((server or self.postgresql).url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def commits_wait(self) -> None:
        """From now on they wait for the sequencers, if it is to be so."""
        if self.synchronous:
            self.configure("synchronous_standby_names", STANDBY)

    def new_standby(self) -> Standby:
        """A copy of the primary, which follows it through a proxy."""
        self.replication.goes_dark(False)
        self.replication.target = self.postgresql.port
        standby = self.with_clock(Standby(self.postgresql, through=self.replication.port, **self.settings))
        return self.stack.enter_context(standby)  # type: ignore[no-any-return]

    def standby_follows(self) -> bool:
        """Waits until the standby has all that is committed now."""
        with psycopg.connect(self.postgresql.url, autocommit=True) as primary:
            (now_at,) = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone() or (None,)
        with psycopg.connect(self.standby.url, autocommit=True) as standby:
            asked = "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn"
            return wait_until(lambda: standby.execute(asked, [now_at]).fetchone() == (True,))

    def replicate(self) -> None:
        """Lets the replica follow the primary, through a proxy."""
        self.replica_link.goes_dark(False)
        self.replica_link.target = self.valkey.port
        self.replica_link.reset()
        with valkey.Valkey(port=self.replica.port) as admin:
            admin.replicaof("127.0.0.1", self.replica_link.port)
            wait_until(lambda: admin.info("replication").get("master_link_status") == "up")

    def lead_to(self, kind: str, port: int, ways: list[Proxy] | None = None) -> None:
        """From now on the address of the primary leads to another server."""
        everybody = [getattr(each.ways, kind) for each in (*self.members, *self.sequencers)]
        everybody += [self.way_of_watch] if kind == "tier" else []
        for proxy in everybody if ways is None else ways:
            proxy.target = port
            proxy.reset()

    def is_proven(self, since: float) -> bool:
        """Whether a beacon proved something of a later moment."""
        return self.watch.proven_at() >= since
