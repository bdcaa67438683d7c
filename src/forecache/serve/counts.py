"""What a database's cache did: counts."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, fields

from forecache.forks import renew_after_fork

__all__ = ["Counts", "DatabaseStats"]


@dataclass(frozen=True, slots=True)
class DatabaseStats:
    """What happened since a database was opened, or, as a difference of two, between two moments."""

    hits: int = 0  # rows answered from copies of this process
    shared: int = 0  # rows answered from the shared tier
    rows: int = 0  # rows that the database had
    queries: int = 0  # reads of the database
    waits: int = 0  # rows that somebody else was loading already
    stale: int = 0  # rows answered beyond their level while the database was unavailable
    warmed: int = 0  # rows loaded before anybody asked, as a list of an earlier process said
    failures: int = 0  # reads of the database that it did not answer
    refused: int = 0  # reads that were not tried, since it had just failed
    outages: int = 0  # times that it was given up for a while
    unreadable: int = 0  # values of the shared tier that were no rows of their table
    unshared: int = 0  # rows that cannot be kept there: too large, or of types that would not come back as they are
    catch_ups: int = 0  # times that changes were asked for
    commits: int = 0  # transactions committed through this object
    audits: int = 0  # copies compared with the database
    violations: int = 0  # of them, those that were older than was proven

    def __sub__(self, earlier: DatabaseStats) -> DatabaseStats:
        """What happened since `earlier`."""
        return DatabaseStats(
            **{field.name: getattr(self, field.name) - getattr(earlier, field.name) for field in fields(self)}
        )


class Counts:
    """Counts that threads add to."""

    def __init__(self) -> None:
        """Nothing happened."""
        self.after_fork()
        renew_after_fork(self)

    def add(self, **counts: int) -> None:
        """Something happened."""
        with self._lock:
            self._counts.update(counts)

    def stats(self, hits: int) -> DatabaseStats:
        """What happened so far, with hits that were counted elsewhere."""
        with self._lock:
            counts = dict(self._counts)
        return DatabaseStats(**counts | {"hits": counts.get("hits", 0) + hits})

    def after_fork(self) -> None:
        """A child counts from nothing."""
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
