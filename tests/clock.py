"""A clock that stands still until it is told to go on."""

from __future__ import annotations


class Clock:
    """Seconds, as `Cache(clock=...)` wants them."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
