"""Counts: what happened at a tier, counted by many threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict

from forecache.forks import renew_after_fork
from forecache.serve.tier import Busy, Found, Lease, TierStats, Unavailable, Value

__all__ = ["Counts"]


class Counts:
    """The numbers behind `TierStats`."""

    def __init__(self) -> None:
        """Nothing happened."""
        self._counts = asdict(TierStats())
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a child process nobody holds the lock."""
        self._lock = threading.RLock()  # finalizers and signal handlers may come while it is held

    def add(self, **counts: int) -> None:
        """Counts more of something."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count

    def read(self, found: Sequence[Found]) -> None:
        """Counts what was found."""
        kinds = [type(each) for each in found]
        self.add(
            values=kinds.count(Value),
            leases=kinds.count(Lease),
            busy=kinds.count(Busy),
            unavailable=kinds.count(Unavailable),
        )

    def stats(self, *, outages: int) -> TierStats:
        """The counts so far."""
        with self._lock:
            return TierStats(**self._counts | {"outages": outages})
