"""`Floors`: as of when a value of the shared tier must be current, so that nobody here goes back in time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from forecache.forks import renew_after_fork
from forecache.serve.origin import EVERY, Change

__all__ = ["Floors"]

MOST: Final = 10_000  # rows; what was seen of others raises the floor of all


class Floors:
    """What this process wrote, and what it read from the database, and when.

    A value that is current as of a moment after that contains it. Copies in this process need no floor: what is read
    and not kept, past a load of others or overtaken by one, drops them, and what others may bring.
    """

    def __init__(self) -> None:
        """Nothing was seen."""
        self._of: dict[Change, float] = {}
        self._base = float("-inf")
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a child nobody holds the lock."""
        self._lock = threading.Lock()

    def saw(self, changes: Iterable[Change], at: float) -> None:
        """The present of some rows was seen, or made, and this ended at a moment; moments do not fall."""
        with self._lock:
            for change in changes:
                if change.key is EVERY:
                    self._base = at
                    continue
                self._of.pop(change, None)  # to the end: the oldest come first
                self._of[change] = at
            while len(self._of) > MOST:
                self._base = max(self._base, self._of.pop(next(iter(self._of))))

    def of(self, change: Change) -> float:
        """As of when a value of this row must be current."""
        with self._lock:
            return max(self._base, self._of.get(change, self._base))
