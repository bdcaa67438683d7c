"""`Level`: how old an answer may be, from 'eventual' to 'strong'."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

from forecache.errors import LevelError
from forecache.units import Duration, format_duration, parse_ttl

__all__ = ["EVENTUAL", "SESSION", "SNAPSHOT", "STRONG", "Kind", "Level", "LevelLike"]

Kind = Literal["eventual", "bounded", "session", "strong", "snapshot"]

BOUNDED: Final = re.compile(r"bounded\s*\(([^()]*)\)")
WRITTEN: Final = 64  # levels that are remembered as they were written, since reads may name one each time
FORMS: Final = "expected 'eventual', 'bounded(1s)' with any duration, 'session', 'strong' or 'snapshot'"


@dataclass(frozen=True, slots=True)
class Level:
    """What every answer of a read keeps to.

    >>> Level.parse("bounded(1s)")
    Level(kind='bounded', seconds=1.0)
    >>> print(Level.bounded("250ms"))
    bounded(250ms)

    eventual: some committed value, however old. bounded: one that was current at some moment from `seconds` before the
    read began to its end. session: one that is not older than what this process wrote or read before. strong: one that
    was current at some moment of the read (linearizable: Herlihy & Wing, TOPLAS 12(3), 1990). snapshot: all answers of
    a read out of one snapshot of the database, taken during the read.
    """

    kind: Kind
    seconds: float = math.inf  # largest age when the read begins; infinite if it does not matter

    @classmethod
    def bounded(cls, age: Duration) -> Level:
        """Answers at most `age` old: seconds, '250ms', or a timedelta.

        Raises:
            DurationError: it is not a duration above 0.
        """
        return cls("bounded", parse_ttl(age))

    @classmethod
    def parse(cls, level: LevelLike) -> Level:
        """A level as people write it.

        Raises:
            LevelError: it is none.
        """
        if isinstance(level, Level):
            return level
        if not isinstance(level, str):
            raise LevelError(f"level is {level!r}; {FORMS}")
        return _written(level)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"bounded({format_duration(self.seconds)})" if self.kind == "bounded" else self.kind


LevelLike = str | Level


@lru_cache(WRITTEN)
def _written(level: str) -> Level:
    found = BOUNDED.fullmatch(level.strip())
    if found is not None:
        return Level.bounded(found[1].strip())
    known = PLAIN.get(level.strip())
    if known is None:
        raise LevelError(f"level is {level!r}; {FORMS}")
    return known


EVENTUAL: Final = Level("eventual")
SESSION: Final = Level("session")
STRONG: Final = Level("strong", 0.0)
SNAPSHOT: Final = Level("snapshot", 0.0)
PLAIN: Final[dict[str, Level]] = {level.kind: level for level in (EVENTUAL, SESSION, STRONG, SNAPSHOT)}
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
