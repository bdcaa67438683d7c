"""Courier: a thread that delivers postponed invalidations until all arrived, and then ends."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

from forecache.forks import renew_after_fork

__all__ = ["Courier"]

FIRST_PAUSE: Final = 0.05  # seconds
LONGEST_PAUSE: Final = 2.0  # seconds: so much later than a server's return others may still read what is old


class Courier:
    """At most one thread, which lives while something is to be delivered."""

    def __init__(self, deliver: Callable[[], bool]) -> None:
        """`deliver` says whether nothing is left."""
        self._deliver = deliver
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The thread is not in the child; what is left there is delivered before the next read."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._is_running = self._is_called = False

    def start(self) -> None:
        """Something is to be delivered."""
        with self._lock:
            self._is_called = True
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, args=(self._stop,), name="forecache-courier", daemon=True).start()

    def close(self) -> None:
        """Ends the thread; what is left may be read by others until its ttl ends, unless this tier is used again."""
        with self._lock:
            self._stop.set()
            self._stop = threading.Event()
            self._is_running = False

    def _run(self, stop: threading.Event) -> None:
        pause = FIRST_PAUSE
        while not stop.wait(pause * random.uniform(0.5, 1.0)):  # noqa: S311 - jitter is no secret
            self._is_called = False
            if self._deliver() and self._is_done(stop):
                break
            pause = min(2 * pause, LONGEST_PAUSE)

    def _is_done(self, stop: threading.Event) -> bool:
        """Whether nobody called meanwhile."""
        with self._lock:
            if self._is_called:
                return False
            if stop is self._stop:
                self._is_running = False
            return True
