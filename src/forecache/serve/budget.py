"""Budget: the time that one request may spend on waiting, handed down to everything it asks."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Budget"]


class Budget:
    """Seconds that are left of those a request was given; whoever waits, waits no longer than that.

    >>> now = 100.0
    >>> budget = Budget(0.5, clock=lambda: now)
    >>> now += 0.25
    >>> budget.remaining(), budget.within(0.1), budget.within(1.0), budget.is_spent()
    (0.25, 0.1, 0.25, False)
    """

    __slots__ = ("_clock", "_ends_at")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins now.

        Args:
            seconds: at least 0; infinity waits as long as each dependency's own limit allows.
            clock: seconds that never go back.
        """
        self._clock = clock
        self._ends_at = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._ends_at - self._clock())

    def within(self, seconds: float) -> float:
        """The shorter of `seconds` and what is left."""
        return min(seconds, self.remaining())

    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.remaining() == 0.0

    def __repr__(self) -> str:
        """What is left."""
        return f"Budget({self.remaining():.3g} s left)"
