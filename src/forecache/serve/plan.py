"""The read path, as a plan: copies of this process, the shared tier, the database, and what is kept on the way back.

It decides, and asks nobody by itself: a thread or a task carries it out (`shell.py`), so that both go the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from forecache._core import Copy, now
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.level import STRONG, Level
from forecache.coherence.watch import Watch
from forecache.errors import LoadInterruptedError, OriginUnavailableError
from forecache.serve.breaker import Breaker
from forecache.serve.copies import Copies, Found
from forecache.serve.counts import Counts
from forecache.serve.flight import Flight, inside
from forecache.serve.heirs import Heirs
from forecache.serve.origin import Change, Key, Origin, Table
from forecache.serve.rounds import Rounds, told
from forecache.serve.shell import Ask, Plan, shielded, wait_for

if TYPE_CHECKING:
    from forecache.serve.shared import Shared

__all__ = ["ReadPath"]

EVENTUALLY_SECONDS: Final = 1.0  # between two looks for changes, where an answer of any age will do


class ReadPath:
    """What reads of all tables share."""

    def __init__(
        self,
        origin: Origin,
        watch: Watch,
        copies: Copies,
        *,
        shared: Shared | None,
        counts: Counts,
        stale_seconds: float | None,
    ) -> None:
        """Composed of what a database has.

        Args:
            origin: the database.
            watch: what is known of its present.
            copies: of this process.
            shared: the shared tier.
            counts: of what happens here.
            stale_seconds: largest age of what is served while the database is unavailable; None to raise.
        """
        self.watch = watch
        self.tables: dict[str, Table] = {}  # as their schemas are now
        self.at_first: Callable[[], None] | None = None  # what is to begin with the next read
        self.origin = origin
        self.heirs = Heirs(origin, None if shared is None else shared.tier)
        self._copies = copies
        self._shared = shared
        self._counts = counts
        self._stale_seconds = stale_seconds
        self._breaker = Breaker(origin.name)
        self._rounds: dict[str, Rounds] = {}

    @property
    def outages(self) -> int:
        """Times that the database was given up for a while."""
        return self._breaker.stats().outages

    def read(self, name: str, keys: Iterable[Key], level: Level, began: float) -> Plan[dict[Key, Found]]:
        """The copies of all keys, for a read that began at a moment; those of absent rows hold None."""
        table, wanted = self.tables[name], list(dict.fromkeys(keys))
        if self.at_first is not None:
            begin, self.at_first = self.at_first, None
            begin()
        try:
            return (yield from self._read(table, wanted, level, began))
        except OriginUnavailableError:
            found = self._stale(table, wanted, began)
            if found is None or level.kind == "snapshot":
                raise
            self._counts.add(stale=len(found))
            return found

    def fresh(self, name: str, keys: Iterable[Key]) -> Plan[dict[Key, Found]]:
        """Rows as the database shows them from now on; no copy answers."""
        return (yield from self._round(self.tables[name], list(dict.fromkeys(keys))))

    def warm(self, name: str, keys: Iterable[Key], level: Level) -> Plan[None]:
        """Brings copies of rows that nobody asked for, where there are none, and nobody loads one."""
        yield from self._catch_up(Level("eventual"), now())
        absent = [key for key in keys if self._copies.cache.peek((name, key)) is None]
        mine, _ = self._begin(self.tables[name], absent)
        if mine:
            yield from self._lead(self.tables[name], mine, level, now())
            self._counts.add(warmed=len(mine))

    def _read(self, table: Table, keys: list[Key], level: Level, began: float) -> Plan[dict[Key, Found]]:
        yield from self._catch_up(level, began)
        found = {} if level.kind == "snapshot" else self._resident(table, keys, level, began)
        missing = [key for key in keys if key not in found]
        self._counts.add(hits=len(found))
        if not missing:
            return found
        if level.kind == "snapshot":
            return (yield from self._past(table, keys, self._from_database(table, keys)))
        if level.kind == "strong" and not self.watch.tells:
            return found | (yield from self._round(table, missing))
        return found | (yield from self._load(table, missing, level, began))

    def _catch_up(self, level: Level, began: float) -> Plan[None]:
        """Learns what changed, if the copies would else be too old for a level."""
        if not self.watch.tells:
            return
        may_be_old = level.kind in {"eventual", "session"}
        since = began - (EVENTUALLY_SECONDS if may_be_old else level.seconds)
        if self.watch.proven_at() >= since:
            return
        self._counts.add(catch_ups=1)
        try:
            self.watch.catch_up(began)
        except OriginUnavailableError:
            if not may_be_old:
                raise
        return
        yield  # a look at the log takes microseconds, and is not worth a thread

    def _resident(self, table: Table, keys: Iterable[Key], level: Level, began: float) -> dict[Key, Found]:
        """Copies that are here and good enough."""
        found = {}
        proven_at = self.watch.proven_at()  # asked before the lookups: what is found then is as new
        if level.kind == "strong" and self.watch.vouches(table.name, began):
            proven_at = began
        for key in keys:
            copy = self._copies.cache.get((table.name, key))
            if copy is not None and began - (as_of := max(copy.read_at, proven_at)) <= level.seconds:
                found[key] = Found(copy, "process", as_of)
        return found

    def _stale(self, table: Table, keys: list[Key], began: float) -> dict[Key, Found] | None:
        """Copies of all keys within the age that is served in an outage, or None."""
        if self._stale_seconds is None:
            return None
        found = self._resident(table, keys, Level("bounded", self._stale_seconds), began)
        return found if len(found) == len(keys) else None

    def _load(self, table: Table, keys: list[Key], level: Level, began: float) -> Plan[dict[Key, Found]]:
        """Loads what nobody loads yet, and waits for the rest; what came too old is read once more."""
        proven_at = self.watch.proven_at()  # what a commit had overtaken by then is not in flight any more
        mine, others = self._begin(table, keys)
        found = self._landed(table, mine, level, began, proven_at)
        if mine:
            found |= yield shielded(self._lead(table, mine, level, began), mine.values())
        for key, flight in others.items():
            floor = self._floor(table, key, level)
            self._counts.add(waits=1)
            with suppress(LoadInterruptedError):
                answer = yield wait_for(flight)
                if answer is None:
                    continue
                # what nothing is known of may come from a server that nobody tells any more what is written
                as_of = max(answer.as_of, proven_at) if answer.as_of > UNKNOWN else UNKNOWN
                if began - as_of <= level.seconds and (answer.tier == "database" or as_of >= floor):
                    found[key] = answer._replace(as_of=as_of)
        rest = [key for key in keys if key not in found]
        if rest:
            found |= yield from self._past(table, rest, self._fetch(table, rest, level, began))
        return found

    def _floor(self, table: Table, key: Key, level: Level) -> float:
        """As of when a value of the shared tier must be current that somebody else loads for a session of ours.

        He may be content with less. Loads from the database that began before what we saw are not waited for.
        """
        if level.kind != "session" or self._shared is None:
            return UNKNOWN
        return self._shared.floor(Change(table.name, key))

    def _past(self, table: Table, keys: list[Key], read: Plan[dict[Key, Found]]) -> Plan[dict[Key, Found]]:
        """A read past the loads of others, which may bring what is older: then that is not kept."""
        found = yield from read
        if not self.watch.tells:
            for key in keys:
                self._copies.forget(table.name, key)
        return found

    def _begin(self, table: Table, keys: Iterable[Key]) -> tuple[dict[Key, Flight], dict[Key, Flight]]:
        """Flights that we have to run, and those of others."""
        mine: dict[Key, Flight] = {}
        others: dict[Key, Flight] = {}
        for key in keys:
            flight, is_mine = self._copies.begin(table.name, key)
            (mine if is_mine else others)[key] = flight
        return mine, others

    def _landed(
        self, table: Table, mine: dict[Key, Flight], level: Level, began: float, proven_at: float
    ) -> dict[Key, Found]:
        """What others landed between our miss and our flight, which then need not be run."""
        landed = {}
        for key, flight in list(mine.items()):
            entry = self._copies.cache.peek((table.name, key))
            if entry is not None and began - (as_of := max(entry.value.read_at, proven_at)) <= level.seconds:
                landed[key] = Found(entry.value, "process", as_of)
                self._copies.abandon(table.name, key, mine.pop(key))
                flight.succeed(landed[key])
        return landed

    def _lead(self, table: Table, flights: Mapping[Key, Flight], level: Level, began: float) -> Plan[dict[Key, Found]]:
        """Runs the load of some keys; its end reaches everybody who waits."""
        token = inside.set((*inside.get(), *flights.values()))
        try:
            found = yield from self._fetch(table, list(flights), level, began)
        except BaseException as error:
            self._copies.fail(table.name, flights, told(error, len(flights)))
            raise
        else:
            for key, flight in flights.items():
                is_kept = not (
                    self.watch.holds(table.name, key) or self.watch.refuses(table.name, key, found[key].past)
                )
                self._copies.land(table.name, key, flight, found[key] if is_kept else found[key]._replace(ttl=0.0))
            return found
        finally:
            inside.reset(token)

    def _round(self, table: Table, keys: list[Key]) -> Plan[dict[Key, Found]]:
        """Strong reads without a watch: one read of the database, begun after all who wait for it have asked."""
        rounds = self._rounds.setdefault(table.name, Rounds(lambda keys: self._fresh(table, keys)))
        found = yield from rounds.read(keys)
        if found is not None:
            return found
        return (yield from self._past(table, keys, self._from_database(table, keys)))

    def _fresh(self, table: Table, keys: list[Key]) -> Plan[dict[Key, Found]]:
        """Reads the database whatever is in flight, and keeps what nobody else loads."""
        mine, others = self._begin(table, keys)
        found: dict[Key, Found] = {}
        if mine:
            found = yield from self._lead(table, mine, STRONG, now())
        if others:
            rest = list(others)
            found |= yield from self._past(table, rest, self._from_database(table, rest))
        return found

    def _fetch(self, table: Table, keys: list[Key], level: Level, began: float) -> Plan[dict[Key, Found]]:
        """From the shared tier where its copies are good enough, else from the database."""
        if self._shared is None or not self._shared.keeps(level):
            return (yield from self._from_database(table, keys))
        return (yield from self._shared.read(table, keys, level, began, lambda rest: self._from_database(table, rest)))

    def _from_database(self, table: Table, keys: list[Key]) -> Plan[dict[Key, Found]]:
        ticket = self._breaker.enter()
        if ticket is None:
            self._counts.add(refused=1)
            raise OriginUnavailableError(f"{self.origin.name} keeps failing, and is left alone for a moment; try again")
        read_at = now()
        try:
            batch = yield Ask(self.origin.read, self.origin.aread, (table, keys))
        except OriginUnavailableError as error:
            self._counts.add(failures=1)
            self._breaker.fail(ticket, type(error.__cause__ or error).__name__)
            raise
        except Exception:
            self._breaker.succeed(ticket)
            raise
        self._breaker.succeed(ticket)
        if batch.table != table:
            self.tables[table.name] = batch.table
            self._copies.forget_table(table.name)  # older rows have another shape
        self._counts.add(queries=1, rows=len(batch.rows))
        if self._shared is not None:
            self._shared.saw(Change(table.name, key) for key in keys)
        shards = {key: self.watch.shard_of(table.name, key) for key in keys}
        return {
            key: Found(Copy(batch.rows.get(key), read_at, batch.stamp, shard), "database", read_at, None, batch.past)
            for key, shard in shards.items()
        }
