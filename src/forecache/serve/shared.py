"""The shared tier on the read path: rows that other processes loaded, and one load across all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from forecache._core import Copy, now
from forecache.codec import UNREADABLE, Codec
from forecache.coherence.beacons.reader import Ticket
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.level import Level
from forecache.coherence.token import differs
from forecache.keys import encode_key
from forecache.serve.beacon_watch import BeaconWatch
from forecache.serve.budget import Budget
from forecache.serve.copies import Found
from forecache.serve.counts import Counts
from forecache.serve.floors import Floors
from forecache.serve.origin import EVERY, Change, Key, Table
from forecache.serve.shell import Ask, Plan
from forecache.serve.tier import Busy, Fill, Lease, Place, Tier, Value

__all__ = ["Shared"]

TELL_SECONDS: Final = 5.0  # in which a sequencer is found, if there is one
SOMETIME: Final = -1e300  # before any moment of which something is known
PATIENCE_SECONDS: Final = 1.0  # waited for others to load, before the database is asked without a lease

logger = logging.getLogger("forecache")

Load = Callable[[list[Key]], Plan[dict[Key, Found]]]


class Shared:
    """Reads and writes one shared tier."""

    def __init__(self, tier: Tier, ttl: float, counts: Counts, watch: BeaconWatch | None = None) -> None:
        """Keeps rows there for `ttl` seconds; what a watch proves of them is known."""
        self.tier = tier
        self._watch = watch
        self._floors = Floors()
        self._ttl = ttl
        self._counts = counts
        self._codecs: dict[tuple[str, tuple[str, ...]], Codec] = {}
        self._tell_at = now() + TELL_SECONDS
        self._is_told = False  # or there is nothing to tell

    def keeps(self, level: Level) -> bool:
        """Whether answers from here can keep to a level.

        A session never gets what it has overwritten: an invalidation that was confirmed ended the value, and the lease
        of whoever might fill an older one; one that was not is delivered before this process reads from that server
        again, unless that has another epoch by then. Where a sequencer is, it never goes back in time either.
        """
        if level.kind != "bounded":
            return level.kind in {"eventual", "session"}
        if self._watch is not None and self._watch.proves:
            self._is_told = True
            return True
        self._tell(level)
        return False

    def saw(self, changes: Iterable[Change]) -> None:
        """The present of these rows was read or written, and from now on nobody here may see what was before."""
        self._floors.saw(changes, now())

    def floor(self, change: Change) -> float:
        """As of when a value must be current for whoever saw more; nothing can be asked where nothing is proven.

        Where something is, a value of which nothing is known may come from a server that nobody tells any more what is
        written, as a primary that was replaced, and is older than what was read from the other.
        """
        if self._watch is None or not self._watch.proves:
            return UNKNOWN
        return max(self._floors.of(change), SOMETIME)

    def read(self, table: Table, keys: list[Key], level: Level, began: float, load: Load) -> Plan[dict[Key, Found]]:
        """Rows of the tier; what is not there is loaded by whoever holds its lease, and filled in.

        Args:
            table: of all the keys.
            keys: to read.
            level: that rows must keep to; what is older, or not proven, is loaded and left there.
            began: moment when the read began.
            load: from the database.
        """
        budget, found = Budget(PATIENCE_SECONDS), dict[Key, Found]()
        leases: dict[Key, Lease] = {}
        rest = keys
        while rest:
            pause, busy = 0.0, []
            names = [encode_key(key) for key in rest]
            tickets = self._tickets(table, names)
            answers = yield from self._ask(table, names, budget)
            for key, name, ticket, answer in zip(rest, names, tickets, answers, strict=True):
                if isinstance(answer, Value):
                    floor = self.floor(Change(table.name, key))
                    oldest = floor if level.kind == "session" else began - level.seconds
                    row = self._row(table, name, ticket, answer, floor)
                    if row is not None and row.as_of >= oldest:
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

    def _tell(self, level: Level) -> None:
        """Says once that most reads make no use of the tier, unless a sequencer may still be found."""
        if self._is_told or now() < self._tell_at:
            return
        self._is_told = True
        logger.warning(
            "%s is not asked by reads at level '%s': nobody vouches for the age of its rows; "
            "start `forecache sequencer`, or read at 'session' or 'eventual'",
            self.tier.name,
            level,
        )

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

    def _ask(self, table: Table, names: list[bytes], budget: Budget) -> Plan[list[Any]]:
        def call() -> Any:
            return self.tier.read(table.name, names, budget=budget)

        def acall() -> Any:
            return self.tier.aread(table.name, names, budget=budget)

        answers: list[Any] = yield Ask(call, acall)
        return answers

    def _tickets(self, table: Table, names: list[bytes]) -> list[Ticket | None]:
        """What is known of each place before it is asked for."""
        watch = self._watch
        return [None if watch is None else watch.ticket(table.name, name) for name in names]

    def _loaded(self, table: Table, keys: list[Key], leases: dict[Key, Lease], load: Load) -> Plan[dict[Key, Found]]:
        """Loads, and fills what a lease is held for."""
        try:
            loaded = yield from load(keys)
        except BaseException:
            if leases:
                yield Ask(self.tier.release, self.tier.arelease, (list(leases.values()),))
            raise
        codec, fills, unfit, foreign = self._codec(table), [], [], []
        for key, lease in leases.items():
            payload, meta = codec.encode(loaded[key].copy.row), lease.reading and lease.reading.meta
            if payload is None:
                unfit.append(lease)
            elif meta is not None and differs(meta.epoch, loaded[key].past):
                foreign.append(lease)  # of a database that took the place of the one which is followed
            else:
                fills.append(Fill(lease, payload, self._ttl, loaded[key].copy.stamp or 0))
        if fills:
            yield Ask(self.tier.fill, self.tier.afill, (fills,))
        if unfit or foreign:
            self._counts.add(unshared=len(unfit))
            yield Ask(self.tier.release, self.tier.arelease, ([*unfit, *foreign],))
        return loaded

    def _row(self, table: Table, name: bytes, ticket: Ticket | None, value: Value, floor: float) -> Found | None:
        """What a value holds, as of when it is current, and how long a copy of it may stay here."""
        row = self._codec(table).decode(value.payload)
        if row is UNREADABLE:
            self._counts.add(unreadable=1)
            return None
        as_of, ttl, shard = UNKNOWN, value.ttl, 0 if self._watch is None else self._watch.shard_named(table.name, name)
        if self._watch is not None and ticket is not None and value.reading is not None:
            as_of = self._watch.proven(table.name, name, value.reading)
            is_followed = bool(ticket.epoch) or value.reading.meta is not None
            may_keep = as_of >= floor and self._watch.may_keep(table.name, name, ticket, value.reading)
            if is_followed and not may_keep:
                ttl = 0.0  # a sequencer that comes later drops all copies, and ends the loads in flight
        return Found(Copy(row, as_of, value.stamp, shard), "shared", as_of, ttl)

    def _codec(self, table: Table) -> Codec:
        shape = table.name, table.columns
        codec = self._codecs.get(shape)
        if codec is None:
            codec = self._codecs[shape] = Codec(table.columns, table.row)
        return codec
