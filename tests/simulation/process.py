"""A node with copies: follows the logs of the shards, reads through them and fills them; each answer is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from forecache.coherence.beacons.reader import Drop, Effect, Flush, Prove, Ticket
from forecache.coherence.beacons.shard import Reading
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.changes import EVERY, Change
from forecache.serve.tier import Lease, Place, Value
from forecache.serve.tiers.layout import FILL, Told, found_at, value_of
from forecache.serve.tiers.questions import Questions
from tests.simulation.database import ABSENT_EVERY, Down
from tests.simulation.following import POLL, SELDOM, STRONG_POLL, Following
from tests.simulation.network import Ear, Line

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Process"]

READ = 0.003  # between two reads
LEASE = 0.05
KEEP = 10.0
ALWAYS = 0.5  # this share of processes
NEVER = float("inf")


class Wishes:
    """When a process reads strongly: always, or now and then; with one table it begins when chance will have it."""

    def __init__(self, chance: Random, term: float, tables: Sequence[str]) -> None:
        """Chance of its own; never, where there is no term."""
        self.long, self.pause = (
            (1.0, 0.0) if chance.random() < ALWAYS else (2.0 * term, chance.uniform(1.0, 4.0) * term)
        )
        self.begins = chance.choice([0.0, chance.uniform(0.0, 4.0) * term]) if term else NEVER
        others = chance.choice([self.begins, self.begins + chance.uniform(0.0, 2.0) * term, NEVER])
        first = chance.choice(tables)
        self.tables = {table: self.begins if table == first else others for table in tables}

    def at(self, now: float) -> frozenset[str]:
        """The tables that it reads so at a moment."""
        if now < self.begins or (now - self.begins) % (self.long + self.pause) >= self.long:
            return frozenset()
        return frozenset(table for table, begins in self.tables.items() if now >= begins)


class Process:
    """Reads one row after the other."""

    def __init__(self, world: World, name: str) -> None:
        """Knows nothing."""
        self.world, self.loop, self.database, self.name = world, world.loop, world.database, name
        self.proven = [UNKNOWN for _ in world.sites]
        self.strong_until: list[Mapping[str, float]] = [{} for _ in world.sites]
        self.questions = Questions(world.layouts.__getitem__, name)
        self.wishes = Wishes(
            Random(f"{world.seed} {name}"), world.term, sorted({world.table(key) for key in range(world.keys)})
        )
        self.copies: dict[int, tuple[int, float]] = {}  # version, and as of when it was read
        self.data: dict[int, Line] = {}
        pause = self.loop.chance.choice([STRONG_POLL, STRONG_POLL, SELDOM]) if world.term else POLL
        self.following = [Following(self, shard, pause) for shard in range(len(world.sites))]
        self.readers = [each.reader for each in self.following]
        for each in self.following:
            each.connect()
        self.loop.after(self.loop.some(0, READ), self.read)

    def connections(self) -> list[Line | Ear]:
        """All that it has to shards."""
        return [*(each for shard in self.following for each in shard.connections()), *self.data.values()]

    def carry_out(self, shard: int, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Flush():
                    self.copies = {key: copy for key, copy in self.copies.items() if self.world.shard(key) != shard}
                case Drop(changes):
                    for change in changes:
                        assert change.key is not EVERY
                        self.copies.pop(int(change.key), None)  # type: ignore[call-overload]
                case Prove(at, beacon, strong_until):
                    self.loop.note(self.name, "proves", at, "by beacon", beacon)
                    self.proven[shard], self.strong_until[shard] = at, strong_until

    def read(self) -> None:
        """A read of some row: from here, from the shard, or from the database."""
        self.loop.after(self.loop.some(READ / 2, READ * 2), self.read)
        key = self.loop.chance.randrange(self.world.keys)
        shard = self.world.shard(key)
        if self.world.table(key) in self.wishes.at(self.loop.now) and self.loop.happens(0.5):
            self.read_strongly(key, shard)
            return
        if key in self.copies:
            version, read_at = self.copies[key]
            as_of = max(read_at, self.proven[shard])
            if self.loop.now - as_of <= self.loop.chance.choice(self.world.bounds):
                self.check(key, version, as_of, "here")
                return
        line = self.data.get(shard)
        if line is None or not line.is_open:
            line = self.data[shard] = Line(self.world.sites[shard], self)
        self.ask_shard(key, shard, line)

    def read_strongly(self, key: int, shard: int) -> None:
        """What is here, if it is what the database shows now; else what the database shows."""
        if key in self.copies and self.loop.now <= self.strong_until[shard].get(self.world.table(key), UNKNOWN):
            self.check(key, self.copies[key][0], self.loop.now, "here, strongly")
        else:
            self.ask_database(key, shard, self.readers[shard].ticket(), None, None)

    def ask_shard(self, key: int, shard: int, line: Line) -> None:
        name, token = b"%d" % key, self.world.new_epoch()
        ticket = self.readers[shard].ticket()
        asked_at = self.loop.now

        def told(answer: Any) -> None:
            if answer is None:
                self.ask_database(key, shard, ticket, None, line)
                return
            epoch, history, meta, entry = answer
            state = Told(epoch, self.world.reading(history, meta))
            place = Place(self.world.table(key), name)
            found = found_at(place, state, entry, token=token, lease=LEASE, chance=0.5)
            if isinstance(found, Value):
                self.found(key, shard, ticket, int(found.payload[1:]), state.reading, asked_at)
            else:
                self.ask_database(key, shard, ticket, found if isinstance(found, Lease) else None, line)

        layout = self.world.layouts[shard]
        line.ask(layout.read(self.world.table(key), [name], token=token, lease=LEASE, since=0), told)

    def found(self, key: int, shard: int, ticket: Ticket, version: int, reading: Reading, asked_at: float) -> None:
        """The shard had it."""
        as_of = self.readers[shard].proven(reading)
        if asked_at - as_of <= self.loop.chance.choice(self.world.bounds):
            self.check(key, version, as_of, "in the shard")
            self.keep(key, shard, ticket, version, as_of, reading)
        else:
            self.ask_database(key, shard, ticket, None, None)

    def ask_database(self, key: int, shard: int, ticket: Ticket, lease: Lease | None, line: Line | None) -> None:
        asked_at = self.loop.now

        def arrive() -> None:
            try:
                version = self.database.read(key)
            except Down:
                return
            self.loop.after(self.loop.some(0.0002, self.world.slowest_answer), come_back, version)

        def come_back(version: int) -> None:
            self.check(key, version, asked_at, "in the database")
            if lease is not None and line is not None and line.is_open:
                payload = b"%s%d" % (b"-" if version % ABSENT_EVERY == 0 else b"+", version)
                value = value_of(lease, payload, 0)
                place = self.world.layouts[shard].place(Place(self.world.table(key), b"%d" % key))
                line.ask(FILL.command([place], [lease.token, value, int(KEEP * 1000)]), lambda _: None)
            self.keep(key, shard, ticket, version, asked_at, None)

        self.loop.after(self.loop.some(0.0002, 0.002), arrive)

    def keep(self, key: int, shard: int, ticket: Ticket, version: int, as_of: float, reading: Reading | None) -> None:
        if self.readers[shard].may_keep(ticket, Change(self.world.table(key), b"%d" % key), reading):
            self.copies[key] = version, as_of
            self.loop.note(self.name, "keeps version", version, "of", key)

    def check(self, key: int, version: int, as_of: float, where: str) -> None:
        """The law: a version that was there at some moment since it is proven."""
        self.world.count(where, as_of, self.loop.now)
        if as_of == UNKNOWN:
            return
        told = self.database.violation(key, version, as_of)
        if told:
            self.loop.note(self.name, "found", where, "what is too old:", told)
            raise AssertionError(f"seed {self.world.seed}: {self.name} found {where} {told}")
