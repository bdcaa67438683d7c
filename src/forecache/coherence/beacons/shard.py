"""What a part of the shared tier says of itself: its epoch, its beacons, and how far its log of invalidations goes.

A beacon is a number that a sequencer gives out (`begun`) before it looks at the database, and takes back (`done`) when
all that the database showed then is applied here. So: a request sent at r came back with `begun` = c. Later, of the
same epoch and from the same server, something comes back with `done` > c. Then that beacon began after r, and whatever
was visible in the database before r is applied. That is proven by the clock of whoever asks, and by no other.
"""

from __future__ import annotations

from typing import NamedTuple

from forecache.coherence.changes import Change

__all__ = ["Entry", "Meta", "Reading"]


class Meta(NamedTuple):
    """The state of a shard in one moment; all of it is of one sequencer's connection."""

    epoch: str  # random, and new with each connection of a sequencer: what bears another is not to be used
    begun: int  # number of the last beacon that began
    done: int  # number of the last beacon that ended
    xmin: int  # all transactions below it, of those that committed, are applied; as the sample of `done` had it
    last: int  # number of the last entry of the log
    term: int = 0  # milliseconds from a request that `done` proves in which copies may answer strongly; 0: never
    settled: int = 0  # when `done` ended, nothing that an entry up to this one held was still held


class Entry(NamedTuple):
    """Copies that ended together."""

    number: int  # one more than that of the entry before
    changes: tuple[Change, ...]
    held: tuple[Change, ...] = ()  # no copy of it may be made until a later entry ends it, and does not hold it


class Reading(NamedTuple):
    """What comes back with each answer of a shard, out of the same moment."""

    history: str  # of the server: another whenever it started, or became a primary
    meta: Meta | None  # None where no sequencer is, or was
