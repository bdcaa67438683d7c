"""Storms in which all processes lack a defence, to see whether the checker notices."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from forecache import Database
from forecache.serve import beacon_watch
from tests.coherence import mutants as of_caches
from tests.simulation.mutants import MUTANTS as OF_MACHINES
from tests.simulation.mutants import SYNCHRONOUS as OF_SYNCHRONOUS
from tests.simulation.valkey import FakeValkey
from tests.simulation.world import World

__all__ = ["CALM", "CAUGHT", "MUTANTS", "SHOWN_BY", "mutate"]


def wall_clock() -> None:
    """Proofs are dated by the wall clock."""
    began, since = beacon_watch._core.now(), time.time()
    beacon_watch.now = lambda: began + time.time() - since  # type: ignore[attr-defined]


def flushes_nothing() -> None:
    """Another epoch of a shard, or a gap in its log, ends no copies."""

    class Never:
        """Is no effect."""

    beacon_watch.Flush = Never  # type: ignore[misc, assignment]


OF_STORM: dict[str, Callable[[], None]] = {"wall clock": wall_clock, "no flush": flushes_nothing}
OF_REAL_MACHINES = {  # those that do not replace parts of the simulation itself
    name: mutant
    for name, mutant in (OF_SYNCHRONOUS | OF_MACHINES).items()
    if not any(where in {FakeValkey, World} for where, _, _ in mutant)
}


def sessions_join_anybody(shop: Database) -> None:
    """A session takes what a reader at another level is content with."""
    shop._path._floor = lambda table, key, level: float("-inf")  # type: ignore[method-assign]


def leaves_what_overtook_it(shop: Database) -> None:
    """A load that was overtaken, and saw more, leaves the copy of the one that saw less."""
    copies = shop._copies

    def land(table: str, key: Any, flight: Any, found: Any) -> None:
        keep, ttl = copies.keep_of(table), found.ttl
        if ttl is None or ttl > 0:
            copies.cache._land((table, key), flight, found.copy, 0.0, ttl=ttl or keep.ttl, tags=keep.tags)
        else:
            copies.abandon(table, key, flight)
        flight.succeed(found)

    copies.land = land  # type: ignore[method-assign]


OF_READERS = of_caches.named(
    of_caches.lands_anyway,
    of_caches.never_looks,
    of_caches.forgets_nothing,
    of_caches.dates_by_arrival,
    sessions_join_anybody,
    leaves_what_overtook_it,
)
MUTANTS = [*OF_STORM, *OF_REAL_MACHINES, *OF_READERS, *of_caches.OF_ALL]

# Faults that show what is missing; of others any will do.
SHOWN_BY: dict[str, str] = {
    "wall clock": "clocks jump",
    "no flush": "rolled back,flushed,behind",
    "no gate": "standby stalls",
    "beacons pass parked changes": "standby stalls",
    "acknowledged early": "sequencer killed,sequencer cut from tier",
    "parked changes are dropped": "standby stalls,flushed",
    "no positions": "splits,behind",
    "no epochs of copies": "rolled back,flushed,behind",
    "no end of proofs": "trimmed,rolled back",
    "no gaps": "trimmed",
    "any server": "splits,behind",
    "ignores_the_epoch": "rolled back,behind",
}
# What `python -m tests.storm --most 12 --seed 11 --mutants …` noticed; the rest was not tried.
CAUGHT: dict[str, str] = {
    "wall clock": "10,866 violated certificates",
    "no flush": "1,849 violated certificates",
    "no gate": "17,381 violated certificates",
    "no gaps": "1,703 violated certificates",
    "same beacon": "502 violated certificates",
    "forgets_nothing": "49,029 violated certificates, 70 session anomalies",
    "never_looks": "193 violated certificates",
    "lands_anyway": "609 violated certificates",
    "dates_by_arrival": "111 violated certificates",
    "nobody waits": "39 violated certificates",  # with --synchronous --most 8, as the next two
    "nothing is held": "371 violated certificates",
    "no reader is waited for": "6 violated certificates",
    "no positions": "",
    "no epochs of copies": "",
    "no generations": "",
    "log unread": "",
}
CALM = "reader's link to tier slow,sequencer's link to tier slow"


def mutate(name: str, shop: Database | None = None) -> None:
    """Takes a defence away from this process."""
    if name in OF_STORM:
        OF_STORM[name]()
    elif name in OF_REAL_MACHINES:
        for where, attribute, replaced in OF_REAL_MACHINES[name]:
            setattr(where, attribute, replaced)
    elif name in of_caches.OF_ALL:
        of_caches.OF_ALL[name]()
    elif name in OF_READERS and shop is not None:
        OF_READERS[name](shop)
