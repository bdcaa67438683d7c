"""Time and chance of a simulation: events happen one after the other, and all of it follows from a seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

__all__ = ["Loop"]

Action = Callable[..., None]


class Loop:
    """A clock that jumps from event to event."""

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        """At 0 seconds, with nothing to do."""
        self.now = 0.0
        self.chance = Random(seed)
        self.trace: list[str] = []
        self._is_traced = is_traced
        self._events: list[tuple[float, int, Action, tuple[Any, ...]]] = []
        self._numbers = count()

    def after(self, seconds: float, action: Action, *arguments: Any) -> None:
        """Does something later; of two at one moment the one that was asked for first."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), action, arguments))

    def some(self, least: float, most: float) -> float:
        """A time between."""
        return least + (most - least) * self.chance.random()

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.chance.random() < probability

    def note(self, *what: object) -> None:
        """Remembers what happened, if somebody wants to know."""
        if self._is_traced:
            self.trace.append(f"{self.now * 1000:9.3f} ms  {' '.join(map(str, what))}")

    def run(self, until: float) -> None:
        """Goes on until that moment."""
        while self._events and self._events[0][0] <= until:
            self.now, _, action, arguments = heapq.heappop(self._events)
            action(*arguments)
        self.now = until
