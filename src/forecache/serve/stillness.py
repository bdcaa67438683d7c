"""`Stillness`: for how long this process was stopped, by whoever may do that, and not merely slow.

One that is stopped, as by `SIGSTOP` or a debugger, or together with its machine, computes nothing and waits for no
core. One that is slow waits for a core, or computes elsewhere, or waits for what it needs from a disk. Linux counts how
long a thread waited for a core; where that is not told, nobody counts as stopped.
Source: Linux, Documentation/scheduler/sched-stats.rst, `/proc/<pid>/schedstat`.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final, NamedTuple, Self

from forecache._core import now

__all__ = ["Reading", "Stillness", "stopped_between"]

TICK_SECONDS: Final = 0.05
LEAST_SECONDS: Final = 0.1  # less is no standstill
SLOW_SHARE: Final = 0.25  # of a standstill, in which it did, or wanted, something, is too much for one that was stopped
SETTLE_SECONDS: Final = 0.5


class Reading(NamedTuple):
    """What one thread, and its process, had used by a moment."""

    at: float
    waited: float | None  # seconds for a core; None if that is not told
    computed: float = 0.0  # seconds, by all threads
    faults: int = 0  # that a disk was needed for


def stopped_between(before: Reading, after: Reading, asleep: float) -> float:
    """Seconds for which the process was stopped, of those between two readings of which it wanted to sleep some.

    >>> stopped_between(Reading(7.0, 0.5, 3.0), Reading(8.05, 0.51, 3.0), 0.05)
    1.0
    >>> stopped_between(Reading(7.0, 0.5, 3.0), Reading(8.05, 1.4, 3.1), 0.05)
    0.0
    """
    still = round(after.at - before.at - asleep, 6)
    if still < LEAST_SECONDS or before.waited is None or after.waited is None or after.faults > before.faults:
        return 0.0
    wanted = after.waited - before.waited + after.computed - before.computed
    return still if wanted < SLOW_SHARE * still else 0.0


class Stillness:
    """Looks at the clock in a thread of its own, as long as a `with` block lasts."""

    def __init__(self) -> None:
        """Not begun."""
        self.seconds = 0.0  # for which the process was stopped since it began
        self._stop = threading.Event()
        self._ticked = threading.Condition()
        self._ticks = 0
        self._thread = threading.Thread(target=self._watch, name="forecache-stillness", daemon=True)

    def __enter__(self) -> Self:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join()

    def settled(self) -> float:
        """The seconds, when a stop that just ended is among them; that takes a tick or two."""
        with self._ticked:
            until = self._ticks + 2
            self._ticked.wait_for(lambda: self._ticks >= until, SETTLE_SECONDS)
            return self.seconds

    def _watch(self) -> None:
        before = reading()
        while not self._stop.wait(TICK_SECONDS):
            after = reading()
            with self._ticked:
                self.seconds += stopped_between(before, after, TICK_SECONDS)
                self._ticks += 1
                self._ticked.notify_all()
            before = after


def reading() -> Reading:
    """Of this thread."""
    return Reading(now(), waited(), time.process_time(), faults())


def waited() -> float | None:
    """Seconds for which this thread waited for a core; None where the system does not tell."""
    try:
        with open(f"/proc/self/task/{threading.get_native_id()}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def faults() -> int:
    """Pages that this process had to wait for; 0 where the system does not tell."""
    if os.name != "posix":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
