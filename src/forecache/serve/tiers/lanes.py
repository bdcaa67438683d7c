"""`Lanes`: a sequencer's connections, one to each server or node, which carry the commands of many shards."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Self

from forecache._core import now
from forecache.serve.tiers.ears import Ear
from forecache.serve.tiers.failing import Failing
from forecache.serve.tiers.lane import Lane, LaneError
from forecache.serve.tiers.link import Command
from forecache.serve.tiers.routes import Node, Routes

__all__ = ["Lanes"]

ANSWER_SECONDS: Final = 1.0  # that a server may take; beyond it the connection is given up, and with it the epoch
PAUSE_SECONDS: Final = 0.1  # before a server is tried again


class Open(NamedTuple):
    """A connection, and what it carries."""

    server: int
    lane: Lane
    shards: list[int]
    sent: deque[tuple[int, float]]  # shards whose answers are due, and since when
    buffer: list[tuple[int, Command]]


class Lanes:
    """Used by one thread; servers are connected to in threads of their own, so that one that is gone holds up none."""

    def __init__(self, routes: Routes, *, hears: bool = False) -> None:
        """Connects to nothing yet; if it `hears`, it is told how far those are who read strongly."""
        self.routes = routes
        self._hears = hears
        self._ears: dict[int, Ear] = {}
        self._channels: dict[int, dict[bytes, int]] = {}  # of servers: their shards
        self._pool = ThreadPoolExecutor(max(1, len(list(routes.servers()))), thread_name_prefix="forecache-lanes")
        self._open: list[Open] = []
        self._of: dict[int, Open] = {}
        self._lost: list[int] = []
        self._wanted: dict[int, float] = {}  # shards, and when to try
        self._jobs: dict[int, Future[list[tuple[Lane, list[int]]]]] = {}
        self._failing = Failing(routes.name, "nothing is proven there")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Closes all connections."""
        self._pool.shutdown(cancel_futures=True)
        for job in self._jobs.values():
            if not job.cancelled() and job.exception() is None:
                for lane, _ in job.result():
                    lane.close()
        for opened in self._open:
            opened.lane.close()
        for ear in self._ears.values():
            ear.close()

    @property
    def waiting(self) -> int:
        """Commands without an answer."""
        return sum(len(opened.sent) for opened in self._open)

    def connect(self, shard: int) -> None:
        """Wants a new connection for a shard."""
        self._wanted[shard] = now() + (PAUSE_SECONDS if shard in self._of else 0.0)
        self._of.pop(shard, None)

    def connected(self) -> Iterator[int]:
        """Shards that have a new connection."""
        if self._wanted:
            self._try()
        for server, job in list(self._jobs.items()):
            if not job.done():
                continue
            del self._jobs[server]
            for lane, shards in job.result():
                opened = Open(server, lane, shards, deque(), [])
                self._open.append(opened)
                for shard in shards:
                    self._wanted.pop(shard, None)
                    self._of[shard] = opened
                    yield shard

    def send(self, shard: int, command: Command) -> None:
        """To go out at the next `flush`; nothing, if the connection was lost, as will be told."""
        opened = self._of.get(shard)
        if opened is not None:
            opened.buffer.append((shard, command))

    def flush(self) -> None:
        """Sends what is to be sent."""
        for opened in list(self._open):
            if not opened.buffer:
                continue
            at = now()
            opened.sent.extend((shard, at) for shard, _ in opened.buffer)
            commands = [command for _, command in opened.buffer]
            opened.buffer.clear()
            try:
                opened.lane.send(commands)
            except LaneError as error:
                self._lose(opened, str(error))

    def heard(self, ready: Collection[int] | None = None) -> Iterator[tuple[int, str, str, int]]:
        """Shards; an epoch there, who reads strongly, and up to which entry he has dropped, and holds, everything.

        Args:
            ready: numbers of files that can be read, if that is known.
        """
        for server, ear in list(self._ears.items()):
            if ready is not None and ear.fileno() not in ready:
                continue
            try:
                for channel, content in ear.heard():
                    epoch, reader, position = content.decode().split("|")
                    yield self._channels[server][channel], epoch, reader, int(position)
            except LaneError:
                ear.close()
                del self._ears[server]

    def filenos(self) -> list[int]:
        """What to wait for."""
        lanes = [opened.lane.fileno() for opened in self._open]
        return [number for number in (*lanes, *(ear.fileno() for ear in self._ears.values())) if number >= 0]

    def answers(self, ready: Collection[int] | None = None) -> Iterator[tuple[int, Any]]:
        """Answers that are there, and None for each shard whose connection was lost.

        Args:
            ready: numbers of files that can be read, if that is known.
        """
        for opened in list(self._open):
            is_due = ready is None or opened.lane.fileno() in ready
            try:
                while is_due and opened.sent and opened.lane.is_ready():
                    answer = opened.lane.receive()
                    self._failing.answers(opened.server)
                    yield opened.sent.popleft()[0], answer
            except LaneError as error:
                self._lose(opened, str(error))
            if opened.sent and now() - opened.sent[0][1] > ANSWER_SECONDS:
                self._lose(opened, f"no answer within {ANSWER_SECONDS:g} s")
        lost, self._lost = self._lost, []
        for shard in lost:
            yield shard, None

    def wait(self, seconds: float) -> bool:
        """Waits until some server answered, but not longer."""
        for opened in list(self._open):
            if opened.sent:
                try:
                    return opened.lane.is_ready(seconds)
                except LaneError as error:
                    self._lose(opened, str(error))
        return False

    def _lose(self, opened: Open, reason: str) -> None:
        self._failing.fails(opened.server, reason)
        opened.lane.close()
        if opened in self._open:
            self._open.remove(opened)
            self._lost += [shard for shard in opened.shards if self._of.get(shard) is opened]

    def _try(self) -> None:
        """Connects to servers whose time has come."""
        at = now()
        for server in self.routes.servers():
            shards = [shard for shard in self.routes.shards_of(server) if shard in self._wanted]
            if shards and server not in self._jobs and min(self._wanted[shard] for shard in shards) <= at:
                self._wanted.update(dict.fromkeys(shards, at + PAUSE_SECONDS))
                self._jobs[server] = self._pool.submit(self._connect, server, shards)

    def _connect(self, server: int, shards: list[int]) -> list[tuple[Lane, list[int]]]:
        """Lanes to whoever can be reached; in a thread of its own."""
        nodes: dict[Node, list[int]] = {}
        made: list[tuple[Lane, list[int]]] = []
        self.routes.forget(server)  # a node that answers may not have them any more
        try:
            for shard in shards:
                nodes.setdefault(self.routes.node(shard), []).append(shard)
            for node, there in nodes.items():
                try:
                    made.append((self.routes.connect(node), there))
                except LaneError as error:
                    self._failing.fails(server, error)
                    self.routes.forget(server)
            if self._hears and made and server not in self._ears:
                channels = {self.routes.layout(shard).readers(): shard for shard in self.routes.shards_of(server)}
                self._channels[server] = channels
                self._ears[server] = Ear(self.routes.connect(next(iter(nodes))), channels)
        except LaneError as error:
            self._failing.fails(server, error)
            self.routes.forget(server)
        return made
