"""Shared tier: bytes that many processes keep in common, and who among them loads what is missing.

A place holds a value, or the lease of whoever loads one, or nothing. A fill must hold the lease, and an invalidation
ends values and leases alike: so a row that was read before a write can never be stored after it.

    found = tier.read("product", [key])[0]
    match found:
        case Value():       use(found.payload)                            # a copy of it lives found.ttl seconds at most
        case Lease():       tier.fill([Fill(found, load(key), ttl=60)])   # or tier.release([found]) if loading fails
        case Busy():        wait(found.retry_after); ask again            # or load, and do not fill
        case Unavailable(): load(key)                                     # and do not fill

No method raises because the tier is down, slow, full or empty: that is `Unavailable`, or False.
Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1 (leases).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from forecache.coherence.beacons.shard import Reading
from forecache.serve.budget import Budget

__all__ = ["Busy", "Fill", "Found", "Lease", "Place", "Tier", "TierStats", "Unavailable", "Value"]


class Place(NamedTuple):
    """Where a row is kept."""

    table: str
    key: bytes  # as `keys.py` encodes it


class Value(NamedTuple):
    """Somebody stored it, and nobody invalidated it since, as far as this tier was told."""

    payload: bytes
    ttl: float  # seconds until it expires here; no copy of it may live longer
    stamp: int  # of the snapshot it was read in, as it was filled with; 0 if it had none
    reading: Reading | None = None  # what its shard said of itself with it: what is proven of its age follows from that


class Lease(NamedTuple):
    """Nothing was there: whoever holds this loads, and then fills or releases."""

    place: Place
    token: bytes
    reading: Reading | None = None  # of the moment in which it was granted


class Busy(NamedTuple):
    """Somebody else holds the lease, and may soon have filled."""

    retry_after: float  # seconds, with jitter


class Unavailable(NamedTuple):
    """The tier can neither give the value nor take one; load, and do not fill."""

    reason: str  # for logs and counters; holds no secret


Found = Value | Lease | Busy | Unavailable


class Fill(NamedTuple):
    """A value for a place whose lease is held."""

    lease: Lease
    payload: bytes
    ttl: float  # seconds until it expires
    stamp: int = 0  # of the snapshot it was read in, from 0 to 2^64 - 1


@dataclass(frozen=True, slots=True)
class TierStats:
    """What happened at a tier since it was made."""

    values: int = 0  # places read that held a value
    leases: int = 0  # places read that were empty, and leased to us
    busy: int = 0  # places read that others had leased
    unavailable: int = 0  # places read while the tier could not be asked, or was full
    filled: int = 0  # fills that were stored
    refused: int = 0  # fills whose lease had ended: expired, or invalidated meanwhile
    lost: int = 0  # fills of which no answer came
    invalidated: int = 0  # places and tables whose invalidation was confirmed
    postponed: int = 0  # invalidations that could not be delivered at once
    outages: int = 0  # times that a server was given up for a while


class Tier(Protocol):
    """What a shared tier does; used from any number of threads and event loops."""

    @property
    def name(self) -> str:
        """What it is called in logs and errors; holds no password."""

    def read(self, table: str, keys: Sequence[bytes], *, since: int = 0, budget: Budget | None = None) -> list[Found]:
        """What is at each place, in the order of `keys`; what is empty is leased to the caller.

        Args:
            table: of all the keys.
            keys: as `keys.py` encodes them, each at most once.
            since: values with a lower stamp count as absent, and their places are leased.
            budget: seconds to spend at most; without one, the tier's own timeout.
        """

    def fill(self, fills: Sequence[Fill], *, budget: Budget | None = None) -> list[bool]:
        """Stores each value if its lease is still held; whether it was stored."""

    def release(self, leases: Sequence[Lease], *, budget: Budget | None = None) -> None:
        """Gives leases back without a value, so that others need not wait until they expire."""

    def invalidate(self, places: Iterable[Place], *, tables: Iterable[str] = (), budget: Budget | None = None) -> bool:
        """Ends values and leases at these places, and everywhere in these tables; call it after the commit.

        Returns:
            Whether every server confirmed it. What one did not is delivered when it answers again, and before
            anything is read from it by this tier; other processes may read the old value there until then, and at
            longest for its ttl.
        """

    def stats(self) -> TierStats:
        """What happened so far."""

    def close(self) -> None:
        """Closes all connections of threads; a second call does nothing. Using the tier afterwards opens new ones."""

    async def aread(
        self, table: str, keys: Sequence[bytes], *, since: int = 0, budget: Budget | None = None
    ) -> list[Found]:
        """`read` in a task."""

    async def afill(self, fills: Sequence[Fill], *, budget: Budget | None = None) -> list[bool]:
        """`fill` in a task."""

    async def arelease(self, leases: Sequence[Lease], *, budget: Budget | None = None) -> None:
        """`release` in a task."""

    async def ainvalidate(
        self, places: Iterable[Place], *, tables: Iterable[str] = (), budget: Budget | None = None
    ) -> bool:
        """`invalidate` in a task."""

    async def aclose(self) -> None:
        """Closes all connections, of this loop and of threads."""
