"""Operations of the shared tier on Valkey, as exchanges with the servers they concern: written once, sent elsewhere."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from forecache.serve.budget import Budget
from forecache.serve.tier import Fill, Found, Lease, Place, Unavailable
from forecache.serve.tiers.counts import Counts
from forecache.serve.tiers.exchange import Call, Replies, Server, Steps, exchange
from forecache.serve.tiers.layout import (
    FILL,
    RELEASE,
    Layout,
    Told,
    found_at,
    milliseconds,
    new_token,
    reading_of,
    value_of,
)
from forecache.serve.tiers.link import Command
from forecache.serve.tiers.postponed import Gone
from forecache.serve.tiers.ring import Home, Ring

__all__ = ["Operations"]

BATCH: Final = 500  # places for one run of a script, which holds up all other clients: about a millisecond


class Operations:
    """What can be asked of servers; each method is a generator for `exchange.run` or `exchange.arun`."""

    def __init__(
        self, servers: Sequence[Server], ring: Ring, *, namespace: str, lease: float, seed: int | None
    ) -> None:
        """On these servers; leases last `lease` seconds."""
        self._servers, self._ring = servers, ring
        self._namespace, self._lease = namespace, lease
        self._random = random.Random(seed)  # noqa: S311 - spreads those who wait
        self.counts = Counts()

    def read(self, table: str, keys: Sequence[bytes], since: int, budget: Budget) -> Steps[list[Found]]:
        """What is at each place."""
        token, places = new_token(), [Place(table, key) for key in keys]
        batches = list(self._batches(places))
        commands = [
            (
                home,
                self._layout(home).read(table, [keys[at] for at in batch], token=token, lease=self._lease, since=since),
            )
            for home, batch in batches
        ]
        found: list[Found] = [UNKNOWN] * len(keys)
        for (_, batch), reply in zip(batches, (yield from self._asked(commands, budget)), strict=True):
            for at, entry in zip(batch, entries(reply, len(batch)), strict=True):
                found[at] = self._found(places[at], entry, token)
        self.counts.read(found)
        return found

    def fill(self, fills: Sequence[Fill], budget: Budget) -> Steps[list[bool]]:
        """Whether each value was stored."""
        batches = list(self._batches([fill.lease.place for fill in fills]))
        commands = [(home, self._filling(home, [fills[at] for at in batch])) for home, batch in batches]
        stored: list[Any] = [None] * len(fills)
        for (_, batch), reply in zip(batches, (yield from self._asked(commands, budget)), strict=True):
            if isinstance(reply, list):
                for at, entry in zip(batch, reply, strict=True):
                    stored[at] = entry == 1
        self.counts.add(filled=stored.count(True), refused=stored.count(False), lost=stored.count(None))
        return [bool(each) for each in stored]

    def release(self, leases: Sequence[Lease], budget: Budget) -> Steps[None]:
        """Gives leases back."""
        commands = []
        for home, batch in self._batches([lease.place for lease in leases]):
            names = [self._layout(home).place(leases[at].place) for at in batch]
            commands.append((home, RELEASE.command(names, [leases[at].token for at in batch])))
        yield from self._asked(commands, budget)

    def invalidate(self, places: Iterable[Place], tables: Iterable[str], budget: Budget) -> Steps[bool]:
        """Postpones them all, which the next exchange with their servers delivers: the one that follows at once."""
        gone: dict[int, list[Gone]] = {}
        for server, each in (*self._gone_places(places), *self._gone_tables(tables)):
            gone.setdefault(server, []).append(each)
        for number, each_gone in gone.items():
            self._servers[number].postponed.add(each_gone)
        replies = yield from exchange([Call(self._servers[number], ()) for number in gone], budget)
        late = [number for number, reply in zip(gone, replies, strict=True) if isinstance(reply, Unavailable)]
        postponed = sum(len(gone[number]) for number in late)
        self.counts.add(invalidated=sum(map(len, gone.values())) - postponed, postponed=postponed)
        return not late

    def pasts(self, budget: Budget) -> Steps[list[str]]:
        """What sequencers know of the past of the database that they follow."""
        homes = [Home(server, 0) for server in range(len(self._servers))]
        replies = yield from self._asked([(home, ("GET", self._layout(home).past())) for home in homes], budget)
        return [reply.decode() for reply in replies if isinstance(reply, bytes)]

    def deliver(self, budget: Budget) -> Steps[bool]:
        """Delivers what was postponed; whether nothing is left."""
        calls = [Call(server, ()) for server in self._servers if len(server.postponed)]
        replies = yield from exchange(calls, budget)
        return not any(isinstance(reply, Unavailable) for reply in replies)

    def _asked(self, commands: Sequence[tuple[Home, Command]], budget: Budget) -> Steps[list[Any]]:
        """The reply to each command: those for one server go there together."""
        by_server: dict[int, list[int]] = {}
        for at, (home, _) in enumerate(commands):
            by_server.setdefault(home.server, []).append(at)
        calls = [
            Call(self._servers[number], [commands[at][1] for at in places]) for number, places in by_server.items()
        ]
        replies: list[Any] = [UNKNOWN] * len(commands)
        for places, answer in zip(by_server.values(), (yield from exchange(calls, budget)), strict=True):
            for at, reply in zip(places, each_of(answer, len(places)), strict=True):
                replies[at] = reply
        return replies

    def _batches(self, places: Sequence[Place]) -> Iterator[tuple[Home, list[int]]]:
        """Places of one home, by their numbers, so many as one script may touch."""
        homes: dict[Home, list[int]] = {}
        for at, place in enumerate(places):
            homes.setdefault(self._ring.home(place), []).append(at)
        for home, numbers in homes.items():
            rest = iter(numbers)
            while batch := list(islice(rest, BATCH)):
                yield home, batch

    def _filling(self, home: Home, fills: Sequence[Fill]) -> Command:
        layout, arguments = self._layout(home), list[bytes | int]()
        for fill in fills:
            arguments += [fill.lease.token, value_of(fill.lease, fill.payload, fill.stamp), milliseconds(fill.ttl)]
        return FILL.command([layout.place(fill.lease.place) for fill in fills], arguments)

    def _found(self, place: Place, entry: Any, token: str) -> Found:
        if isinstance(entry, Unavailable):
            return entry
        shard, answer = entry
        return found_at(place, shard, answer, token=token, lease=self._lease, chance=self._random.random())

    def _gone_places(self, places: Iterable[Place]) -> Iterator[tuple[int, Gone]]:
        for place in places:
            home = self._ring.home(place)
            layout = self._layout(home)
            yield home.server, Gone(home.shard, layout.place(place), layout.epoch(place.table))

    def _gone_tables(self, tables: Iterable[str]) -> Iterator[tuple[int, Gone]]:
        for table in tables:
            for server in range(len(self._servers)):
                for shard in range(self._ring.shards):
                    epoch = Layout(self._namespace, shard).epoch(table)
                    yield server, Gone(shard, epoch, epoch)

    def _layout(self, home: Home) -> Layout:
        return Layout(self._namespace, home.shard)


UNKNOWN: Final = Unavailable("nothing came back")


def each_of(answer: Replies, count: int) -> list[Any]:
    """A server's replies, one for each command; where one is an error, or none came, why."""
    if isinstance(answer, Unavailable):
        return [answer] * count
    return [Unavailable(type(reply).__name__) if isinstance(reply, Exception) else reply for reply in answer]


def entries(reply: Any, count: int) -> list[Any]:
    """What the read script said of each place, with what it told of the shard."""
    if isinstance(reply, Unavailable):
        return [reply] * count
    epoch, history, meta, *places = reply
    told = Told(epoch, reading_of(history, meta))
    return [(told, place) for place in places]
