"""Faults of servers: of Valkey and of PostgreSQL, with those that replace them."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import psycopg
import valkey

from forecache._core import now
from forecache.coherence.postgresql.synchronous import STANDBY
from tests.servers import Valkey
from tests.storm.site import Site, wait_until

__all__ = ["Loss", "client"]

TERM = 0.3  # seconds, longer than copies answer strongly after the last proof


class Loss(NamedTuple):
    """A standby that lagged was promoted: what was committed since it was cut off is lost."""

    cut_at: float
    died_from: float  # the primary's death took until `killed_at`
    killed_at: float
    promoted_at: float


def client(server: Valkey) -> valkey.Valkey:
    return valkey.Valkey(port=server.port, socket_timeout=5)


def tier_restarts_empty(site: Site, chance: random.Random) -> Iterator[None]:
    site.valkey.kill()
    yield
    site.valkey.start()
    site.replicate()


def tier_rolled_back(site: Site, chance: random.Random) -> Iterator[None]:
    """It loses all since its last snapshot."""
    with client(site.valkey) as admin:
        admin.save()
    time.sleep(0.3 + chance.random())
    site.valkey.kill()
    site.valkey.start()
    yield
    (site.valkey.directory / "dump.rdb").unlink(missing_ok=True)
    site.replicate()


def tier_paused(site: Site, chance: random.Random) -> Iterator[None]:
    site.valkey.pause()
    yield
    site.valkey.resume()


def tier_flushed(site: Site, chance: random.Random) -> Iterator[None]:
    with client(site.valkey) as admin:
        admin.flushall()
    yield


def tier_full(site: Site, chance: random.Random) -> Iterator[None]:
    """There is room for a part only, and anything may be evicted, the shard's state too."""
    with client(site.valkey) as admin:
        admin.config_set("maxmemory-policy", "allkeys-random")
        admin.config_set("maxmemory", int(admin.info("memory")["used_memory"]))
        yield
        admin.config_set("maxmemory", 0)


def log_trimmed(site: Site, chance: random.Random) -> Iterator[None]:
    """While a reader stands still, the log that it would have read goes away."""
    reader = chance.choice(site.readers)
    reader.send(signal.SIGSTOP)
    yield
    with client(site.valkey) as admin:
        for name in admin.keys("*:log"):
            admin.xtrim(name, maxlen=1, approximate=False)
    reader.send(signal.SIGCONT)


def promoted(site: Site) -> None:
    """The replica is the primary from now on."""
    with client(site.replica) as admin:
        admin.replicaof("NO", "ONE")
    site.valkey, site.replica = site.replica, site.valkey


def tier_fails_over(site: Site, chance: random.Random) -> Iterator[None]:
    """The primary dies, and a replica that is behind takes its place."""
    site.replica_link.goes_dark()
    time.sleep(0.3 + chance.random())
    site.valkey.kill()
    promoted(site)
    site.lead_to("tier", site.valkey.port)
    yield
    site.replica.start()
    site.replicate()


def tier_splits(site: Site, chance: random.Random) -> Iterator[None]:
    """A replica is promoted, and the old primary goes on for some readers, who do not notice."""
    site.replica_link.goes_dark()
    left_behind = [chance.choice(site.readers).ways.tier]
    promoted(site)
    others = [each.ways.tier for each in (*site.members, *site.sequencers) if each.ways.tier not in left_behind]
    site.lead_to("tier", site.valkey.port, [*others, site.way_of_watch])
    yield
    site.lead_to("tier", site.valkey.port, left_behind)
    site.replicate()


def database_crashes(site: Site, chance: random.Random) -> Iterator[None]:
    site.postgresql.kill()
    yield
    site.postgresql.start()


def process_of_database_crashes(site: Site, chance: random.Random) -> Iterator[None]:
    """One process of it dies, and so all end, and it recovers from its log, in place."""
    with psycopg.connect(site.postgresql.url, autocommit=True) as connection:
        pid = connection.info.backend_pid
        with suppress(psycopg.Error):
            connection.execute(f"SELECT pg_sleep(0.1); COPY (SELECT 1) TO PROGRAM 'kill -9 {pid}'".encode())
    yield
    if site.synchronous:  # it does not recover by itself
        site.postgresql.kill()
        site.postgresql.start()


def standby_promoted(site: Site, chance: random.Random) -> Iterator[None]:
    """The primary dies, and a standby that lags takes its place: what was committed meanwhile is lost.

    Where commits wait for sequencers, they do not at first: who follows has to make a slot, which waits until all
    transactions have ended. And nobody writes before all strong answers from copies are over.
    """
    site.standby_follows()
    cut_at = now()
    site.replication.goes_dark()
    time.sleep(0.3 + chance.random())
    died_from = now()
    site.postgresql.kill()
    killed_at = now()
    site.configure("synchronous_standby_names", "", site.standby)
    time.sleep(TERM)
    site.standby.promote()
    old, site.postgresql = site.postgresql, site.standby
    site.lead_to("database", site.postgresql.port)
    site.losses.append(Loss(cut_at, died_from, killed_at, now()))
    yield
    old.close()
    site.standby = site.new_standby()
    since = now()
    wait_until(lambda: site.is_proven(since))
    site.commits_wait()


def standby_stalls(site: Site, chance: random.Random) -> Iterator[None]:
    """Commits wait for a synchronous standby that does not answer: they are in the log, and nobody sees them."""
    site.configure("synchronous_standby_names", f"FIRST 2 (standby, {STANDBY})" if site.synchronous else "standby")
    time.sleep(0.2)
    site.replication.goes_dark()
    yield
    site.replication.goes_dark(False)
    site.replication.reset()
    site.configure("synchronous_standby_names", STANDBY if site.synchronous else "")
