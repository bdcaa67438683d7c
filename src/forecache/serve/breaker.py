"""Circuit breaker: a dependency that keeps failing is left alone for a while, then tried by one request.

closed: everybody may ask. After some failures in a row it opens.
open: nobody may ask until a pause ends, which doubles with every failed probe, with jitter so that a fleet does not
    come back at once.
half open: one probe asks. If it succeeds the breaker closes, otherwise it opens again.

Nygard, "Release It!", 2nd edition, 2018, section 5.2; jitter: Brooker, "Exponential Backoff And Jitter", 2015.
"""

from __future__ import annotations

import enum
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from forecache.forks import renew_after_fork
from forecache.units import format_duration

__all__ = ["Breaker", "BreakerStats", "State"]

FAILURES: Final = 3  # in a row: a single slow answer is no outage
FIRST_PAUSE: Final = 0.1  # seconds: the time in which a process restarts
LONGEST_PAUSE: Final = 5.0  # seconds: how long after its return a dependency may go unused
logger = logging.getLogger("forecache")


class State(enum.Enum):
    """What a breaker lets through."""

    CLOSED = "closed"  # everything
    OPEN = "open"  # nothing
    HALF_OPEN = "half open"  # one probe


@dataclass(frozen=True, slots=True)
class BreakerStats:
    """What a breaker saw."""

    state: State
    outages: int  # times it opened after being closed
    failures: int  # requests that failed
    turned_away: int  # requests that were not let through
    probes: int  # requests let through to see whether the dependency is back


class Breaker:
    """Who may ask one dependency; for threads and tasks alike, since it never waits.

    >>> breaker = Breaker("the tier", failures=1)
    >>> ticket = breaker.enter()
    >>> breaker.fail(ticket, "timed out")
    >>> breaker.enter() is None, breaker.stats().state
    (True, <State.OPEN: 'open'>)
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        first_pause: float = FIRST_PAUSE,
        longest_pause: float = LONGEST_PAUSE,
        clock: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        """Closed.

        Args:
            name: of the dependency, for the log; holds no secret.
            failures: in a row, that open it.
            first_pause: seconds before the first probe; half to all of it, by chance.
            longest_pause: seconds that no pause exceeds; also how long a probe may take before another is let through.
            clock: seconds that never go back.
            seed: of the jitter; None for chance.
        """
        self.name = name
        self._failures, self._first_pause, self._longest_pause = failures, first_pause, longest_pause
        self._clock, self._random = clock, random.Random(seed)  # noqa: S311 - jitter is no secret
        self._lock = threading.RLock()  # finalizers and signal handlers may come while it is held
        self._state = State.CLOSED
        self._term = 0  # number of the present state: what was let through in another has no say
        self._in_a_row = 0
        self._pause = first_pause
        self._opened_at = self._until = 0.0
        self._outages = self._failed = self._turned_away = self._probes = 0
        renew_after_fork(self)

    def enter(self) -> int | None:
        """A ticket to hand back with `succeed`, `fail` or `leave`; None: do not ask."""
        term = self._term
        if self._state is State.CLOSED and term == self._term:
            return term
        with self._lock:
            return self._enter_unless_closed()

    def succeed(self, ticket: int) -> None:
        """The dependency answered, even if with a refusal."""
        if ticket != self._term or (self._in_a_row == 0 and self._state is State.CLOSED):
            return
        with self._lock:
            if ticket == self._term:
                self._in_a_row = 0
                if self._state is State.HALF_OPEN:
                    self._close()

    def fail(self, ticket: int, reason: str) -> None:
        """The dependency did not answer, or not in time; the reason holds no secret."""
        with self._lock:
            self._failed += 1
            if ticket != self._term:
                return
            self._in_a_row += 1
            if self._state is State.HALF_OPEN:
                self._open(min(2 * self._pause, self._longest_pause))
            elif self._in_a_row >= self._failures:
                self._give_up(reason)

    def leave(self, ticket: int) -> None:
        """The dependency was not asked after all: if this was the probe, the next one who enters is."""
        with self._lock:
            if ticket == self._term and self._state is State.HALF_OPEN:
                self._until = self._clock()
                self._enter_state(State.OPEN)

    def stats(self) -> BreakerStats:
        """What it saw so far."""
        return BreakerStats(self._state, self._outages, self._failed, self._turned_away, self._probes)

    def after_fork(self) -> None:
        """In a child process nobody holds the lock."""
        self._lock = threading.RLock()

    def _enter_unless_closed(self) -> int | None:
        if self._state is State.CLOSED:
            return self._term
        if (now := self._clock()) < self._until:
            self._turned_away += 1
            return None
        self._probes += 1
        self._until = now + self._longest_pause  # a probe that never ends does not keep the breaker open for ever
        return self._enter_state(State.HALF_OPEN)

    def _enter_state(self, state: State) -> int:
        self._term += 1
        self._state = state
        return self._term

    def _give_up(self, reason: str) -> None:
        self._outages += 1
        self._opened_at = self._clock()
        self._open(self._first_pause)
        logger.warning("%s failed %d times (%s); going on without it", self.name, self._in_a_row, reason)

    def _open(self, pause: float) -> None:
        self._pause = pause
        self._until = self._clock() + pause * self._random.uniform(0.5, 1.0)
        self._enter_state(State.OPEN)

    def _close(self) -> None:
        self._enter_state(State.CLOSED)
        outage = format_duration(round(self._clock() - self._opened_at, 3))
        logger.warning("%s answers again after %s", self.name, outage)
