"""`Copies`: rows as this process keeps them, and what is proven of their age."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple

from forecache._core import Copy
from forecache.coherence.certificate import TierName
from forecache.serve.cache import Cache
from forecache.serve.flight import Flight
from forecache.serve.loader import Keep
from forecache.serve.weigh import estimate_bytes

__all__ = ["Copies", "Found"]

FOR_GOOD: Final = Keep()
COPY_BYTES: Final = 120  # of a copy and of the pair that is its key, without row and key


class Found(NamedTuple):
    """What was found for a key."""

    copy: Copy
    tier: TierName
    as_of: float  # moment of `now()` at which it was surely current; minus infinity if unknown
    ttl: float | None = None  # seconds that a copy of it may live at most; None for as long as others
    past: str = ""  # of the database that it was read from; "" if that is not known


class Copies:
    """A cache of all tables of a database, in one budget; keys are pairs of a table's name and a row's key."""

    def __init__(self, keep: Keep | None, **settings: Any) -> None:
        """Empty.

        Args:
            keep: how long copies stay; None where they are dropped when their rows change.
            settings: of the cache.
        """
        if settings.get("max_bytes") is not None:
            settings["weigher"] = weigh
        self.cache: Cache[tuple[str, Any], Copy] = Cache(**settings)
        self._keep = keep

    def begin(self, table: str, key: Hashable) -> tuple[Flight, bool]:
        """The flight that brings a row, and whether we have to run it."""
        mine = Flight()
        while (flying := self.cache._begin((table, key), mine, self.keep_of(table).tags)) is not None:
            flight: Flight = flying
            if not flight.is_stranded():
                return flight, False
            self.fail(table, {key: flight}, asyncio.CancelledError())
        mine.take()
        return mine, True

    def land(self, table: str, key: Hashable, flight: Flight, found: Found) -> None:
        """Keeps a row, unless its key was forgotten meanwhile, and hands it to all who wait.

        What was overtaken may have seen more than whoever overtook it: where nothing else ends what that kept, it goes.
        """
        keep, is_kept = self.keep_of(table), False
        ttl = keep.ttl if found.ttl is None else min(found.ttl, keep.ttl or found.ttl)
        if ttl is None or ttl > 0:
            is_kept = self.cache._land((table, key), flight, found.copy, 0.0, ttl=ttl, tags=keep.tags)
        else:
            self.abandon(table, key, flight)
        if not is_kept and self._keep is not None:
            self.forget(table, key)
        flight.succeed(found)

    def abandon(self, table: str, key: Hashable, flight: Flight) -> None:
        """Ends a flight that brings nothing."""
        self.cache._abandon((table, key), flight)

    def fail(self, table: str, flights: Mapping[Any, Flight], error: BaseException) -> None:
        """Hands a failure to all who wait, and leaves no trace of the loads."""
        for key, flight in flights.items():
            self.abandon(table, key, flight)
            flight.fail(error)

    def keep_of(self, table: str) -> Keep:
        """How to keep the rows of a table."""
        return FOR_GOOD if self._keep is None else self._keep._replace(tags=(table,))

    def forget(self, table: str, key: Hashable) -> None:
        """Drops a copy, and whatever a load in flight may bring."""
        self.cache.delete((table, key))

    def forget_table(self, table: str) -> None:
        """Drops the copies of a table; all, where they do not say of which they are."""
        if self._keep is None:
            self.cache.clear()
        else:
            self.cache.invalidate_tag(table)

    def forget_all(self) -> None:
        """Drops everything."""
        self.cache.clear()


def weigh(key: tuple[str, Any], copy: Copy) -> int:
    """Bytes of a copy, its key and their bookkeeping."""
    return COPY_BYTES + estimate_bytes(key[1], copy.row)
