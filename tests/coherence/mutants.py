"""Caches that lack one defence each, to see whether the checker would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forecache import Database
from forecache.coherence import sqlite


def none(shop: Database) -> None:
    """Everything in its place."""


def lands_anyway(shop: Database) -> None:
    """What a commit overtook is kept all the same: no lease on the load."""
    copies = shop._copies

    def land(table: str, key: Any, flight: Any, found: Any) -> None:
        copies.abandon(table, key, flight)
        copies.cache.set((table, key), found.copy)
        flight.succeed(found)

    copies.land = land  # type: ignore[method-assign]


def trusts_the_header_after_the_log(shop: Database) -> None:
    """Remembers the header as it is after the log was read, and not the one before: commits between are missed."""

    def catch_up(self: Any) -> None:
        connection, signal = self._open()
        self._apply(connection)
        self._proven_at = sqlite._core.now()
        if (mark := signal.mark()) is not None:
            signal.know(mark, sqlite.PULSE_SECONDS)

    sqlite.SqliteWatch._catch_up = catch_up  # type: ignore[method-assign]


def never_looks(shop: Database) -> None:
    """Takes every copy for current."""
    shop._watch.proven_at = sqlite._core.now  # type: ignore[method-assign]


def forgets_the_last(shop: Database) -> None:
    """Loses the last change of those that were noted at once: a gap in the log."""
    tell, copies = shop._copies.forget, shop._copies
    told = [0]

    def forget(table: str, key: Any) -> None:
        told[0] += 1
        if told[0] % 50:
            tell(table, key)

    copies.forget = forget  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[Database], None]] = {
    function.__name__: function
    for function in (none, lands_anyway, trusts_the_header_after_the_log, never_looks, forgets_the_last)
}
