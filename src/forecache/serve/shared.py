"""The shared tier on the read path: rows that other processes loaded, and one load across all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from forecache._core import Copy
from forecache.codec import UNREADABLE, Codec
from forecache.keys import encode_key
from forecache.serve.budget import Budget
from forecache.serve.copies import Found
from forecache.serve.counts import Counts
from forecache.serve.origin import EVERY, Change, Key, Table
from forecache.serve.shell import Ask, Plan
from forecache.serve.tier import Busy, Fill, Lease, Place, Tier, Value

__all__ = ["Shared"]

UNKNOWN: Final = float("-inf")  # when somebody else read a row
PATIENCE_SECONDS: Final = 1.0  # waited for others to load, before the database is asked without a lease

Load = Callable[[list[Key]], Plan[dict[Key, Found]]]


class Shared:
    """Reads and writes one shared tier."""

    def __init__(self, tier: Tier, ttl: float, counts: Counts) -> None:
        """Keeps rows there for `ttl` seconds."""
        self.tier = tier
        self._ttl = ttl
        self._counts = counts
        self._codecs: dict[tuple[str, tuple[str, ...]], Codec] = {}

    def read(self, table: Table, keys: list[Key], load: Load) -> Plan[dict[Key, Found]]:
        """Rows of the tier; what is not there is loaded by whoever holds its lease, and filled in."""
        budget, found = Budget(PATIENCE_SECONDS), dict[Key, Found]()
        leases: dict[Key, Lease] = {}
        rest = keys
        while rest:
            pause, busy = 0.0, []
            answers = yield from self._ask(table, rest, budget)
            for key, answer in answers.items():
                if isinstance(answer, Value) and (row := self._row(table, answer)) is not None:
                    found[key] = row
                elif isinstance(answer, Lease):
                    leases[key] = answer
                elif isinstance(answer, Busy):
                    busy.append(key)
                    pause = max(pause, answer.retry_after)
            if leases or not busy or pause > budget.remaining():
                break  # whoever holds a lease loads at once: others wait for him
            yield Ask(time.sleep, asyncio.sleep, (pause,))
            rest = busy
        self._counts.add(shared=len(found))
        missing = [key for key in keys if key not in found]
        if not missing:
            return found
        return found | (yield from self._loaded(table, missing, leases, load))

    def invalidation(self, changes: Iterable[Change]) -> Ask:
        """Ends what was written, everywhere."""
        changes = list(changes)
        places = [Place(change.table, encode_key(change.key)) for change in changes if change.key is not EVERY]
        tables = [change.table for change in changes if change.key is EVERY]

        def call() -> Any:
            return self.tier.invalidate(places, tables=tables)

        def acall() -> Any:
            return self.tier.ainvalidate(places, tables=tables)

        return Ask(call, acall)

    def _ask(self, table: Table, keys: list[Key], budget: Budget) -> Plan[dict[Key, Any]]:
        names = [encode_key(key) for key in keys]

        def call() -> Any:
            return self.tier.read(table.name, names, budget=budget)

        def acall() -> Any:
            return self.tier.aread(table.name, names, budget=budget)

        answers = yield Ask(call, acall)
        return dict(zip(keys, answers, strict=True))

    def _loaded(self, table: Table, keys: list[Key], leases: dict[Key, Lease], load: Load) -> Plan[dict[Key, Found]]:
        """Loads, and fills what a lease is held for."""
        try:
            loaded = yield from load(keys)
        except BaseException:
            if leases:
                yield Ask(self.tier.release, self.tier.arelease, (list(leases.values()),))
            raise
        codec, fills, unfit = self._codec(table), [], []
        for key, lease in leases.items():
            payload = codec.encode(loaded[key].copy.row)
            if payload is None:
                unfit.append(lease)
            else:
                fills.append(Fill(lease, payload, self._ttl, loaded[key].copy.stamp or 0))
        if fills:
            yield Ask(self.tier.fill, self.tier.afill, (fills,))
        if unfit:
            yield Ask(self.tier.release, self.tier.arelease, (unfit,))
        return loaded

    def _row(self, table: Table, value: Value) -> Found | None:
        row = self._codec(table).decode(value.payload)
        return None if row is UNREADABLE else Found(Copy(row, UNKNOWN, value.stamp), "shared", UNKNOWN, value.ttl)

    def _codec(self, table: Table) -> Codec:
        shape = table.name, table.columns
        codec = self._codecs.get(shape)
        if codec is None:
            codec = self._codecs[shape] = Codec(table.columns, table.row)
        return codec
