"""What a `Sequencer` wants to be done, in this order, and how a shard answers."""

from __future__ import annotations

from typing import Final, NamedTuple

from forecache.coherence.beacons.shard import Entry
from forecache.coherence.changes import Change

__all__ = [
    "FENCED",
    "GONE",
    "Acknowledge",
    "Apply",
    "Begin",
    "Connect",
    "Effect",
    "End",
    "Expel",
    "Look",
    "Mark",
    "Open",
    "Roll",
    "Sample",
    "Stop",
]

GONE: Final = -1  # answer of a shard whose state was lost: flushed, evicted, or deleted by whoever distrusts it
FENCED: Final = -2  # answer of a shard that another sequencer has taken


class Connect(NamedTuple):
    """Drop the connection to a shard, make another, and say `connected`."""

    shard: int


class Open(NamedTuple):
    """Begin an epoch: nothing is there."""

    shard: int
    epoch: str


class Apply(NamedTuple):
    """End copies and leases, and note that in the log; in one step, and only in this epoch."""

    shard: int
    epoch: str
    number: int  # of the entry
    changes: tuple[Change, ...]
    held: tuple[Change, ...] = ()  # those of them that other commits, which cannot be seen yet, still hold


class Mark(NamedTuple):
    """Note in the log what is held, as it was written and cannot be seen yet; the answer tells who reads strongly."""

    shard: int
    epoch: str
    number: int  # of the entry
    held: tuple[Change, ...]
    before: tuple[Entry, ...] = ()  # entries that came before it: whoever listens is told them too


class Roll(NamedTuple):
    """Ask who reads strongly, and how far they are."""

    shard: int
    epoch: str


class Expel(NamedTuple):
    """Wait no more for readers, unless they were heard of since; pairs of a name and what was last heard."""

    shard: int
    epoch: str
    readers: tuple[tuple[str, str], ...]


class Begin(NamedTuple):
    """Begin a beacon in this epoch; the answer is its number, and tells who reads strongly."""

    shard: int
    epoch: str


class Sample(NamedTuple):
    """Ask the database what can be seen, and for this message in its log, in one statement."""

    content: bytes


class Look(NamedTuple):
    """Ask the database what can be seen."""


class End(NamedTuple):
    """End a beacon in this epoch."""

    shard: int
    epoch: str
    beacon: int
    xmin: int
    term: int = 0  # milliseconds from the requests that it proves in which copies may answer strongly; 0: never
    settled: int = 0  # nothing that an entry up to this one held is still held


class Acknowledge(NamedTuple):
    """Tell the database that all up to a position is applied."""

    position: int


class Stop(NamedTuple):
    """Leave the database to others, and begin anew: standing by."""

    reason: str


Effect = Connect | Open | Apply | Mark | Roll | Expel | Begin | Sample | Look | End | Acknowledge | Stop
