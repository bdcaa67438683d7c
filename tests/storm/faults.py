"""Faults of the storm: what goes wrong, for how long, and how it heals. Each is a generator that yields meanwhile."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator

from tests.proxy import Proxy
from tests.storm import servers
from tests.storm.site import Site, wait_until

__all__ = ["FAULTS", "Fault"]

Fault = Callable[[Site, random.Random], Iterator[None]]
SILENCE = 4.0  # seconds, longer than the database waits for a sign of life of who follows it
DAY = 86_400


def reader_killed(site: Site, chance: random.Random) -> Iterator[None]:
    reader = chance.choice(site.readers)
    reader.kill()
    yield
    reader.start()


def writer_killed(site: Site, chance: random.Random) -> Iterator[None]:
    writer = chance.choice(site.writers)
    writer.kill()
    yield
    writer.start()


def reader_paused(site: Site, chance: random.Random) -> Iterator[None]:
    reader = chance.choice(site.readers)
    reader.send(signal.SIGSTOP)
    yield
    reader.send(signal.SIGCONT)


def sequencer_killed(site: Site, chance: random.Random) -> Iterator[None]:
    leader = site.leader
    leader.signal(signal.SIGKILL)
    yield
    leader.kill()
    leader.start()


def sequencer_paused(site: Site, chance: random.Random) -> Iterator[None]:
    leader = site.leader
    leader.pause()
    yield
    leader.resume()


def two_sequencers(site: Site, chance: random.Random) -> Iterator[None]:
    """The leader stands still until another leads, and then goes on where it was: both are active."""
    leader = site.leader
    leader.pause()
    wait_until(lambda: any(each.leads for each in site.sequencers if each is not leader), 3 * SILENCE)
    leader.resume()
    yield


def sequencer_cut_from_tier(site: Site, chance: random.Random) -> Iterator[None]:
    yield from dark(site.leader.ways.tier)


def sequencer_half_cut_from_tier(site: Site, chance: random.Random) -> Iterator[None]:
    yield from half_dark(site.leader.ways.tier, chance)


def sequencer_slow(site: Site, chance: random.Random) -> Iterator[None]:
    yield from slow(site.leader.ways.tier, chance)


def sequencer_cut_from_database(site: Site, chance: random.Random) -> Iterator[None]:
    """Until the database gives it up, and another leads; its connection to the tier stays."""
    proxy = site.leader.ways.database
    proxy.goes_dark()
    time.sleep(SILENCE)
    yield
    proxy.goes_dark(False)


def sequencer_slow_database(site: Site, chance: random.Random) -> Iterator[None]:
    yield from slow(site.leader.ways.database, chance)


def reader_cut_from_tier(site: Site, chance: random.Random) -> Iterator[None]:
    yield from dark(chance.choice(site.readers).ways.tier)


def reader_half_cut_from_tier(site: Site, chance: random.Random) -> Iterator[None]:
    yield from half_dark(chance.choice(site.readers).ways.tier, chance)


def reader_slow(site: Site, chance: random.Random) -> Iterator[None]:
    yield from slow(chance.choice(site.readers).ways.tier, chance)


def reader_cut_from_database(site: Site, chance: random.Random) -> Iterator[None]:
    yield from dark(chance.choice(site.readers).ways.database)


def clocks_jump(site: Site, chance: random.Random) -> Iterator[None]:
    site.clock.jump(chance.choice([-DAY, -3600, 3600, DAY]))
    yield
    site.clock.jump(0)


def dark(proxy: Proxy) -> Iterator[None]:
    """Nothing passes, and nobody is told; what was sent meanwhile arrives afterwards."""
    proxy.goes_dark()
    yield
    proxy.goes_dark(False)


def half_dark(proxy: Proxy, chance: random.Random) -> Iterator[None]:
    """Nothing passes in one direction."""
    lost = chance.choice(["loses_requests", "loses_answers"])
    setattr(proxy, lost, True)
    yield
    setattr(proxy, lost, False)


def slow(proxy: Proxy, chance: random.Random) -> Iterator[None]:
    proxy.delay = 0.05 + 0.25 * chance.random()
    yield
    proxy.delay = 0.0


FAULTS: dict[str, Fault] = {
    "reader killed": reader_killed,
    "writer killed": writer_killed,
    "reader stands still": reader_paused,
    "reader cut from tier": reader_cut_from_tier,
    "reader cut from tier, one way": reader_half_cut_from_tier,
    "reader's link to tier slow": reader_slow,
    "reader cut from database": reader_cut_from_database,
    "log trimmed past a reader": servers.log_trimmed,
    "sequencer killed": sequencer_killed,
    "sequencer stands still": sequencer_paused,
    "two sequencers active": two_sequencers,
    "sequencer cut from tier": sequencer_cut_from_tier,
    "sequencer cut from tier, one way": sequencer_half_cut_from_tier,
    "sequencer's link to tier slow": sequencer_slow,
    "sequencer cut from database": sequencer_cut_from_database,
    "sequencer's link to database slow": sequencer_slow_database,
    "Valkey restarts empty": servers.tier_restarts_empty,
    "Valkey rolled back to a snapshot": servers.tier_rolled_back,
    "Valkey stands still": servers.tier_paused,
    "Valkey flushed": servers.tier_flushed,
    "Valkey full, evicts anything": servers.tier_full,
    "Valkey fails over to a replica behind": servers.tier_fails_over,
    "Valkey splits, both go on": servers.tier_splits,
    "PostgreSQL crashes": servers.database_crashes,
    "process of PostgreSQL crashes": servers.process_of_database_crashes,
    "lagging standby promoted": servers.standby_promoted,
    "synchronous standby stalls": servers.standby_stalls,
    "wall clocks jump": clocks_jump,
}
