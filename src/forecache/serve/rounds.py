"""`Rounds`: reads that must not be older than whoever asks, gathered while the one before them runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from forecache.errors import LoadInterruptedError, OriginUnavailableError
from forecache.forks import renew_after_fork
from forecache.serve.flight import Flight, inside
from forecache.serve.shell import Plan, shielded, wait_for

__all__ = ["Rounds", "told"]


class Round:
    """Keys that are read together."""

    def __init__(self) -> None:
        """None yet."""
        self.keys: dict[Any, None] = {}
        self.flight = Flight()


def told(error: BaseException, keys: int) -> BaseException:
    """What those who wait for one of several keys are told: an error that may be about another key is not theirs."""
    if keys == 1 or isinstance(error, OriginUnavailableError) or not isinstance(error, Exception):
        return error
    return LoadInterruptedError("a load of several keys failed; load again")


class Rounds:
    """At most one read runs, and one gathers: many who ask at once cost the database two reads, not many.

    Whoever asks joins the round that gathers, never the one that runs: that may have begun before he asked.
    """

    def __init__(self, fetch: Callable[[list[Any]], Plan[dict[Any, Any]]]) -> None:
        """Reads with the plans that `fetch` makes."""
        self._fetch = fetch
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Those who read in the parent are not here."""
        self._lock = threading.Lock()
        self._gathering: Round | None = None
        self._running: Round | None = None

    def read(self, keys: list[Any]) -> Plan[dict[Any, Any] | None]:
        """What was read for the keys; None where waiting for it would never end, or somebody else's key failed."""
        round_, leads = self._join(keys)
        found = None
        try:
            if leads:
                found = yield shielded(self._run(round_), [round_.flight])
            else:
                found = yield wait_for(round_.flight)
        except LoadInterruptedError:
            pass
        return None if found is None else {key: found[key] for key in keys}

    def _join(self, keys: list[Any]) -> tuple[Round, bool]:
        with self._lock:
            gathering = self._gathering
            leads = gathering is None or gathering.flight.is_stranded()
            if gathering is None or leads:
                gathering = self._gathering = Round()
            gathering.keys.update(dict.fromkeys(keys))
            return gathering, leads

    def _run(self, round_: Round) -> Plan[dict[Any, Any]]:
        token = inside.set((*inside.get(), round_.flight))
        try:
            before = self._running
            if before is not None:
                with suppress(Exception):  # who asked for it is told
                    yield wait_for(before.flight)
            with self._lock:
                if self._gathering is round_:
                    self._gathering = None
                self._running = round_
            found: dict[Any, Any] = yield from self._fetch(list(round_.keys))
        except BaseException as error:
            failure = told(error, len(round_.keys))
            round_.flight.fail(failure)
            if failure is error:
                raise
            raise failure from error
        else:
            round_.flight.succeed(found)
            return found
        finally:
            self._end(round_)
            inside.reset(token)

    def _end(self, round_: Round) -> None:
        with self._lock:
            if self._running is round_:
                self._running = None
            if self._gathering is round_:
                self._gathering = None
