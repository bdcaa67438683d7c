"""`Vouching`: until when the copies of this process may answer strongly, and how the sequencer knows that they do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from forecache._core import Proof, now
from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.shard import Entry
from forecache.coherence.certificate import UNKNOWN
from forecache.serve.tiers.ears import Ear
from forecache.serve.tiers.entries import said
from forecache.serve.tiers.lane import Lane, LaneError
from forecache.serve.tiers.questions import Questions
from forecache.serve.tiers.routes import Node, Routes

__all__ = ["Following", "Vouching"]

RETRY_SECONDS: Final = 0.5  # after a connection failed

Following = tuple[Lane, dict[int, int]]  # a connection, and by shard the number under which its reader knows it
Drops = Callable[[int, str, Entry], bool]  # an entry of a shard's epoch, and tells whether it was the next, or known


class Vouching:
    """Of one process; it begins with the first strong read of a table: commits to it wait for this process then."""

    def __init__(self, routes: Routes, grants: Mapping[str, Proof]) -> None:
        """Nobody wants it; until when copies of each table may answer is told to whoever looks at its grant."""
        self._routes = routes
        self._questions = Questions(routes.layout, secrets.token_hex(8))
        self._of_shards: list[Mapping[str, float]] = [{}] * routes.shards
        self._grants = grants
        for grant in grants.values():
            grant.tell(UNKNOWN)
        self._ears: dict[int, Ear] = {}
        self._retry_at: dict[int, float] = {}

    def reaches(self, table: str, at: float) -> bool:
        """Whether copies of a table that are looked up after this call are what the database shows at that time."""
        self._questions.want(table)
        return at <= self._grants[table].at

    def prove(self, shard: int, until: Mapping[str, float]) -> None:
        """The copies of one shard may answer until then, by table; those of others may not."""
        self._of_shards[shard] = until
        for table in self._questions.wanted:
            self._grants[table].tell(min(each.get(table, UNKNOWN) for each in self._of_shards))

    def applied(self, shard: int, entries: Iterable[Entry]) -> None:
        """What is held was dropped here, and is held."""
        self._questions.applied(shard, entries)

    def ask(self, lane: Lane, shards: Iterable[int], readers: Sequence[Reader]) -> frozenset[str]:
        """Asks for the logs of shards; who is to know that all he held is held here is told before.

        Returns:
            The tables of which strong answers are wanted, as the shards learn now.
        """
        shards = list(shards)
        tells, (requests, wanted) = self._questions.told(shards, readers), self._questions.asked(shards, readers)
        lane.send([*tells, *requests])
        while lane.waiting > len(requests):
            lane.receive()  # what was told, now and since the last request
        return wanted

    def tell(self, lane: Lane, shards: Iterable[int], readers: Sequence[Reader]) -> None:
        """Lets shards know at once what they are to know; that they heard it comes before the next answer."""
        if tells := self._questions.told(shards, readers):
            lane.send(tells)

    def hear(
        self, until: float, server: int, lanes: Mapping[Node, Following], readers: Sequence[Reader], drop: Drops
    ) -> bool:
        """Drops what commits wrote that wait for us, and says so at once.

        Returns:
            True when it is time to ask for the log, or something is missing of it; False if it must be waited
            otherwise.
        """
        while (seconds := until - now()) > 0:
            told = self._pause(server, next(iter(lanes), None), seconds)
            if told is None:
                return False
            if not all([drop(*each) for each in told]):  # noqa: C419 - each of them
                break
            for lane, shards in lanes.values():
                with suppress(LaneError):  # as the next request will find
                    self.tell(lane, shards, readers)
        return True

    def _pause(self, server: int, node: Node | None, seconds: float) -> list[tuple[int, str, Entry]] | None:
        """Waits until a server says that something is held, but not longer; None if it must be waited otherwise.

        Returns:
            Shards, their epochs, and entries of their logs.
        """
        if not self._questions.wanted or node is None:
            return None
        try:
            ear = self._ear(server, node)
            if ear is None:
                return None
            told = list(ear.heard()) if ear.wait(seconds) else []
        except LaneError:
            self._ears.pop(server).close()
            return None
        shards = {self._routes.layout(shard).log(): shard for shard in self._routes.shards_of(server)}
        spoken = [(shards[channel], *said(content)) for channel, content in told]
        return [(shard, epoch, entry) for shard, epoch, entries in spoken for entry in entries]

    def close(self, server: int) -> None:
        """Listens to a server no more."""
        ear = self._ears.pop(server, None)
        if ear is not None:
            ear.close()

    def _ear(self, server: int, node: Node) -> Ear | None:
        if server not in self._ears and now() >= self._retry_at.get(server, UNKNOWN):
            self._retry_at[server] = now() + RETRY_SECONDS
            channels = {self._routes.layout(shard).log() for shard in self._routes.shards_of(server)}
            with suppress(LaneError):
                self._ears[server] = Ear(self._routes.connect(node), channels)
        return self._ears.get(server)
