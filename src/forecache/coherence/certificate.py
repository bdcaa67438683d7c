"""`Certificate`: what is proven of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from forecache.coherence.level import Level

__all__ = ["Certificate", "Certified", "TierName"]

TierName = Literal["process", "shared", "database"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where an answer came from, and how old it is at most.

    The answer was the committed value at some moment not earlier than `max_age` seconds before the read began. That
    is proven on one clock of this machine, which counts while the machine sleeps; clocks are never compared.
    """

    tier: TierName  # who had it: this process, the shared tier, or the database
    epoch: str  # what `beacon` counts in: one file or server as it is now; those of different epochs do not compare
    shard: int  # part of the shared tier; 0 where there are no parts
    beacon: int | None  # number of the last change that is surely contained; None where changes have no numbers
    max_age: float | None  # seconds; None if nothing is proven, which only level 'eventual' allows

    def keeps(self, level: Level) -> bool:
        """Whether an age is proven that a level allows; 'session' is about writes, and cannot be seen here."""
        return level.kind in {"eventual", "session"} or (self.max_age is not None and self.max_age <= level.seconds)


class Certified(NamedTuple):
    """An answer with its certificate."""

    row: Any  # what the read returns without one
    certificate: Certificate
