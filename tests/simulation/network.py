"""Connections between nodes and servers: in order, late, lost, cut one way; and where a shard is served now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tests.simulation.loop import Loop
from tests.simulation.valkey import FakeValkey

__all__ = ["Ear", "Line", "Site"]

Told = Callable[[Any], None]  # an answer; None: there will be none

TIMEOUT = 0.06  # seconds until whoever asked gives up
HELD = 0.01  # seconds until what a partition holds back is tried again
HEARD = 0.8  # of what is published, where anything is heard


class Site:
    """Where a shard is served: now, and before, for those who are still connected there."""

    def __init__(self, loop: Loop, kept: int, *, is_heard: bool = True) -> None:
        """One server, which keeps so many entries of a log, and maybe publishes in vain; a replica is behind."""
        self.loop, self.kept, self.is_heard = loop, kept, is_heard
        self.histories = 0
        self.server = FakeValkey(self.history(), kept)
        self.replica = self.server.copy("")
        self.saved = self.server.copy("")
        self.before: FakeValkey | None = None
        self.cut: set[tuple[object, str]] = set()  # node, and the way that is cut: "there" or "back"
        loop.after(0.0, self.replicate)

    def history(self) -> str:
        self.histories += 1
        return f"{self.histories:040x}"

    def replicate(self) -> None:
        """The replica gets what the server has; at times it does not for long."""
        self.replica = self.server.copy("")
        self.loop.after(self.loop.some(0.001, 0.04), self.replicate)

    def save(self) -> None:
        self.saved = self.server.copy("")

    def restart(self, begins_with: FakeValkey | None, seconds: float) -> None:
        """Ends, and comes back: empty, or as it was."""
        self.server.is_up = False
        history = self.history()
        self.server = FakeValkey(history, self.kept) if begins_with is None else begins_with.copy(history)
        self.server.is_up = False
        self.loop.after(seconds, setattr, self.server, "is_up", True)
        self.loop.note("server restarts", "empty" if begins_with is None else "as it was")

    def fail_over(self) -> None:
        """The replica is promoted; the old server goes on alone."""
        self.before = self.server
        self.server = self.replica.copy(self.history())
        self.loop.note("replica is promoted")

    def whom_to_ask(self) -> FakeValkey:
        """The server, or by mistake the one before."""
        if self.before is not None and self.loop.happens(0.2):
            return self.before
        return self.server


class Line:
    """A connection of a node to a server; whoever was asked answers in order, or the line is closed."""

    def __init__(self, site: Site, node: object) -> None:
        """Connects to whoever is there."""
        self.loop, self.site, self.node = site.loop, site, node
        self.server = site.whom_to_ask()
        self.is_open = self.server.is_up
        self.there: deque[tuple[tuple[Any, ...], Told]] = deque()
        self.back: deque[tuple[Any, Told]] = deque()
        self.free_there = self.free_back = 0.0
        self.waits: deque[tuple[float, Told]] = deque()
        self.is_watched = False
        self.slow = self.loop.some(0.0, 0.02) if self.loop.happens(0.1) else 0.0

    def ask(self, command: tuple[Any, ...], told: Told) -> None:
        """Sends a command."""
        if not self.is_open:
            self.loop.after(0.0, told, None)
            return
        self.waits.append((self.loop.now + TIMEOUT, told))
        self.there.append((command, told))
        self.free_there = max(self.free_there, self.loop.now + self.delay())
        self.loop.after(self.free_there - self.loop.now, self.arrive)
        if not self.is_watched:
            self.is_watched = True
            self.loop.after(TIMEOUT, self.watch)

    def delay(self) -> float:
        return self.loop.some(0.0001, 0.002) + self.slow * self.loop.chance.random()

    def arrive(self) -> None:
        """At the server; also when whoever asked has given up meanwhile."""
        if not self.there:
            return
        if (self.node, "there") in self.site.cut:
            self.loop.after(HELD, self.arrive)
            return
        command, told = self.there.popleft()
        if not self.server.is_up:
            self.close()
            return
        answer = self.server.run(command, self.loop.now)
        self.back.append((answer, told))
        self.free_back = max(self.free_back, self.loop.now + self.delay())
        self.loop.after(self.free_back - self.loop.now, self.come_back)

    def come_back(self) -> None:
        if not self.back:
            return
        if (self.node, "back") in self.site.cut:
            self.loop.after(HELD, self.come_back)
            return
        answer, told = self.back.popleft()
        if self.is_open:
            self.waits.popleft()
            told(answer)

    def watch(self) -> None:
        """Gives up what was asked too long ago."""
        self.is_watched = bool(self.is_open and self.waits)
        if not self.is_watched:
            return
        if self.waits[0][0] <= self.loop.now:
            self.close()
        else:
            self.loop.after(self.waits[0][0] - self.loop.now, self.watch)

    def close(self) -> None:
        """Nobody waits any longer; what was sent may still arrive."""
        if self.is_open:
            self.is_open = False
            waits, self.waits = self.waits, deque()
            for _, told in waits:
                told(None)


class Ear:
    """A connection on which a server says what is published: late, in any order, and some of it never."""

    def __init__(
        self, server: FakeValkey, site: Site, node: object, channel: bytes, told: Callable[[bytes], None]
    ) -> None:
        """Listens to a channel."""
        self.loop, self.site, self.node, self.server = site.loop, site, node, server
        self.channel, self.told = channel, told
        self.is_closed = False
        server.listeners.append(self.hear)

    @property
    def is_open(self) -> bool:
        """Whether anything may still be heard."""
        return self.server.is_up and not self.is_closed

    def hear(self, channel: bytes, content: bytes) -> None:
        if channel == self.channel and self.is_open and self.site.is_heard and self.loop.happens(HEARD):
            self.loop.after(self.loop.some(0.0001, 0.004), self.arrive, content)

    def arrive(self, content: bytes) -> None:
        if (self.node, "back") in self.site.cut:
            self.loop.after(HELD, self.arrive, content)
        elif self.is_open:
            self.told(content)

    def close(self) -> None:
        """Hears no more."""
        self.is_closed = True
