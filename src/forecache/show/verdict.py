"""Whether certificates held: the reads of all processes against the writes, of one clock of one machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from forecache.show.vouching import KEYS, LEVEL_SECONDS, TIERS

__all__ = ["History", "Judgement", "Write", "judge"]

CONTENDED_SECONDS: Final = 0.05  # after a write


@dataclass(frozen=True, slots=True)
class Write:
    """A row's version, which grows by one with each write."""

    key: int
    version: int  # -1 if nobody knows whether it was committed
    began: float
    ended: float  # when the commit returned


@dataclass(frozen=True, slots=True)
class History:
    """What happened."""

    reads: Any  # array of `READ`
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What it says."""

    reads: int
    writes: int
    stale: int  # reads older than their certificate says
    early: int  # reads of what nobody had begun to write
    unproven: int  # reads without a proof, or with one older than their level allows
    contended: int  # reads within 50 ms of a write to their row
    ages: tuple[float, float]  # seconds: median, and 99th percentile, of reads from the process
    tiers: dict[str, int]

    @property
    def violations(self) -> int:
        """Reads that broke what was promised."""
        return self.stale + self.early + self.unproven


def judge(history: History) -> Judgement:
    """Compares each read with the writes to its row."""
    reads, counts = history.reads, dict.fromkeys(("stale", "early", "contended"), 0)
    for key in range(KEYS):
        mine = reads[reads["key"] == key]
        writes = [write for write in history.writes if write.key == key]
        for name, count in of_key(mine, writes).items():
            counts[name] += count
    unproven = int(np.sum(~(reads["age"] <= LEVEL_SECONDS)))
    here = reads["age"][reads["tier"] == 0]
    ages = (float(np.median(here)), float(np.percentile(here, 99))) if len(here) else (float("nan"), float("nan"))
    tiers = {name: int(np.sum(reads["tier"] == number)) for number, name in enumerate(TIERS)}
    return Judgement(len(reads), len(history.writes), unproven=unproven, ages=ages, tiers=tiers, **counts)


def of_key(reads: Any, writes: Iterable[Write]) -> dict[str, int]:
    """The same for one row: the database itself put its versions in order."""
    writes = list(writes)
    known = sorted((write.ended, write.version) for write in writes if write.version >= 0)
    ended = np.array([at for at, _ in known])
    newest = np.maximum.accumulate(np.array([0, *(version for _, version in known)]))  # after so many writes returned
    began = np.sort([write.began for write in writes])
    expected = newest[np.searchsorted(ended, reads["began"] - reads["age"], side="left")]
    possible = np.searchsorted(began, reads["ended"], side="right")  # versions begin at 0, and grow by one
    last = np.searchsorted(began, reads["began"], side="right") - 1
    since = reads["began"] - (began[np.maximum(last, 0)] if len(began) else 0.0)
    return {
        "stale": int(np.sum(reads["version"] < expected)),
        "early": int(np.sum(reads["version"] > possible)),
        "contended": int(np.sum((last >= 0) & (since < CONTENDED_SECONDS))),
    }
