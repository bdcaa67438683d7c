"""One shard's log as a process follows it: what `serve/beacon_watch.py` and `serve/vouching.py` do, in virtual time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from forecache.coherence.beacons.reader import Reader
from forecache.serve.tiers.beacons import entries_of
from forecache.serve.tiers.entries import said
from tests.simulation.network import Ear, Line

if TYPE_CHECKING:
    from tests.simulation.process import Process

__all__ = ["Following"]

POLL = 0.005  # seconds between two looks at a log
STRONG_POLL = 0.002  # the same of who answers strongly
SELDOM = 0.012  # by one that is busy
RECONNECT = 0.005
LISTEN_ANEW = 0.02  # after a connection failed on which it listened
KNOWN_AT = 3  # where an answer says whether the sequencer waits for us


class Following:
    """It asks for the log, and listens between two answers; what is said meanwhile waits."""

    def __init__(self, process: Process, shard: int, pause: float) -> None:
        """Nothing is asked for yet; `pause` seconds are between two questions."""
        self.process, self.world, self.loop = process, process.world, process.loop
        self.shard, self.pause = shard, pause
        self.site = self.world.sites[shard]
        self.reader = Reader()
        self.said: deque[bytes] = deque()
        self.ear: Ear | None = None
        self.listens_at, self.rounds = 0.0, 0
        self.is_asking = True

    def connect(self) -> None:
        """Connects, and asks for the log from then on."""
        self.line = Line(self.site, self.process)
        self.connection = self.reader.connected()
        self.ask()

    def connections(self) -> list[Line | Ear]:
        """What it has."""
        return [self.line] if self.ear is None else [self.line, self.ear]

    def ask(self) -> None:
        """Asks for the log; what is to be told is told before."""
        self.is_asking = True
        self.rounds += 1
        if not self.line.is_open:
            self.loop.after(RECONNECT, self.connect)
            return
        self.process.questions.wanted = self.process.wishes.at(self.loop.now)
        self.tell()
        sent_at, connection = self.loop.now, self.connection
        (request,), wanted = self.process.questions.asked([self.shard], self.process.readers, self.world.most)
        self.line.ask(request, lambda answer: self.answered(sent_at, connection, wanted, answer))

    def answered(self, sent_at: float, connection: int, wanted: frozenset[str], answer: Any) -> None:
        """Applies what came, and goes on: at once, if there is more."""
        if answer is None:
            self.loop.after(self.pause, self.ask)
            return
        reading, entries = entries_of(answer)
        known = wanted if answer[KNOWN_AT] == 1 else ()
        effects = self.reader.polled(connection, sent_at, reading, entries, known=known)
        self.process.carry_out(self.shard, effects)
        self.process.questions.applied(self.shard, entries)
        self.tell()
        if reading.meta is not None and reading.meta.last > self.reader.position:
            self.ask()
            return
        self.is_asking = False
        self.loop.after(self.pause, self.ask_unless_asked, self.rounds)
        self.listen()

    def ask_unless_asked(self, rounds: int) -> None:
        if rounds == self.rounds:
            self.ask()

    def tell(self) -> None:
        """Lets the shard know what it is to know."""
        for told in self.process.questions.told([self.shard], self.process.readers):
            self.line.ask(told, lambda _: None)

    def hear(self, content: bytes) -> None:
        """The shard said something."""
        self.said.append(content)
        self.listen()

    def listen(self) -> None:
        """Applies what was said; asks at once if something is missing."""
        if self.is_asking or not self.process.questions.wanted:
            return
        if (self.ear is None or not self.ear.is_open) and self.loop.now >= self.listens_at:
            self.listens_at = self.loop.now + LISTEN_ANEW
            self.ear = Ear(self.site.whom_to_ask(), self.site, self.process, self.log, self.hear)
        spoken, self.said = [said(each) for each in self.said], deque()
        told = [(epoch, entry) for epoch, entries in spoken for entry in entries]
        for epoch, entry in told:
            effects = self.reader.heard(epoch, entry)
            self.world.counts["entries heard"] += len(effects)
            self.process.carry_out(self.shard, effects)
            if effects:
                self.process.questions.applied(self.shard, [entry])
        if all(self.reader.contains(*each) for each in told):
            self.tell()
        else:
            self.ask()

    @property
    def log(self) -> bytes:
        return self.world.layouts[self.shard].log()
