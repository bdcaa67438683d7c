"""A world in which the two machines run without sockets: a database, a shard, one sequencer, processes with copies.

What is enabled happens in any order that a choice picks; each read is checked against what was visible when it says so.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from forecache.coherence.beacons.effects import Acknowledge, Connect, Look, Sample, Stop
from forecache.coherence.beacons.reader import Drop, Flush, Prove, Reader
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.beacons.shard import Entry, Reading
from forecache.coherence.changes import Change, Identity, Message
from forecache.serve.tiers.beacons import answer_of
from tests.coherence.actors import KEYS, TABLE, Database, Server

FAULTS_EVERY = 64  # steps


class Process:
    """Copies of one process, and what it asks for: one thing at a time of each kind."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.copies: dict[int, tuple[int, float]] = {}  # version, and as of when
        self.poll: tuple[int, float, Reading, list[Entry]] | None = None
        self.fill: dict[str, Any] | None = None
        self.proven_at = float("-inf")

    def carry_out(self, effects: Iterable[Any]) -> None:
        for effect in effects:
            match effect:
                case Flush():
                    self.copies.clear()
                case Drop(changes):
                    for change in changes:
                        self.copies.pop(change.key, None)
                case Prove(at, _):
                    self.proven_at = at


class World:
    """All of it; `do` makes one step of those that can be made."""

    def __init__(self, faults: bool = True, trim: int = 1000) -> None:
        self.now = 0.0
        self.database, self.server = Database(), Server()
        self.older: Server | None = None  # as it may come back
        self.processes = [Process(), Process()]
        self.faults, self.trim = faults, trim
        self.epochs = self.names = self.tokens = 0
        self.read_to = self.acknowledged = 0
        self.checked = self.proofs = 0
        for process in self.processes:
            process.reader.connected()
        self._start()

    def _start(self) -> None:
        """A sequencer begins, where the last one acknowledged."""
        self.names += 1
        self.sent: deque[Any] = deque()
        self.answers: deque[Any] = deque()
        self.read_to = self.acknowledged
        self.machine = Sequencer(1, lambda change: 0, name=f"s{self.names}", new_epoch=self._epoch, beacon_seconds=2)
        self._carry_out(self.machine.start())
        self._carry_out(self.machine.source_opened(Identity(1, 1, "now", "slot")))

    def _epoch(self) -> str:
        self.epochs += 1
        return f"e{self.epochs}"

    def _carry_out(self, effects: Iterable[Any]) -> None:
        for effect in effects:
            match effect:
                case Connect():
                    self.sent.clear()
                    self.answers.clear()
                    self._carry_out(self.machine.connected(0))
                case Sample(content):
                    snapshot = self.database.snapshot()
                    self.database.log.append(Message(len(self.database.log) + 1, content))
                    self._carry_out(self.machine.sampled(content, snapshot))
                case Look():
                    self._carry_out(self.machine.seen(self.database.snapshot()))
                case Acknowledge(position):
                    assert position >= self.acknowledged or position <= self.read_to
                    self.acknowledged = max(self.acknowledged, position)
                case Stop():
                    pass
                case _:
                    self.sent.append(effect)

    def enabled(self) -> list[Callable[[], None]]:
        """What may happen next."""
        steps: list[Callable[[], None]] = [self.tick]
        steps += [lambda key=key: self.database.commit(key) for key in self.database.free()]  # type: ignore[misc]
        steps += [lambda xid=xid: self.database.show(xid, self.now) for xid in self.database.hidden]  # type: ignore[misc]
        if self.sent:
            steps.append(self.deliver)
        if self.answers:
            steps.append(self.answer)
        if self.read_to < len(self.database.log):
            steps.append(self.tell)
        for process in self.processes:
            steps += self._of(process)
        return steps

    def _of(self, process: Process) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = [
            (lambda: self.poll(process)) if process.poll is None else (lambda: self.polled(process))
        ]
        if process.fill is None:
            steps += [lambda key=key: self.ask(process, key) for key in KEYS]  # type: ignore[misc]
        else:
            steps.append(lambda: self.go_on(process))
        steps += [lambda key=key: self.hit(process, key) for key in process.copies]  # type: ignore[misc]
        return steps

    def _faults(self) -> list[Callable[[], None]]:
        return [
            self._start,
            self.lose,
            self.save,
            self.roll_back,
            self.fence,
            *(
                (lambda process=process: self.reconnect(process))
                for process in self.processes  # type: ignore[misc]
            ),
        ]

    def do(self, choice: int) -> None:
        """One step; time goes on with each, and few are faults."""
        self.now += 1
        steps = self._faults() if self.faults and choice % FAULTS_EVERY == FAULTS_EVERY - 1 else self.enabled()
        steps[choice // FAULTS_EVERY % len(steps)]()

    # the sequencer's side
    def tick(self) -> None:
        self._carry_out(self.machine.tick(self.now))

    def deliver(self) -> None:
        self.answers.append(self.server.run(self.sent.popleft()))
        del self.server.log[: -self.trim]

    def answer(self) -> None:
        self._carry_out(self.machine.answered(0, *answer_of(self.answers.popleft())))
        if self.machine.stopped:
            self._start()

    def tell(self) -> None:
        item = self.database.log[self.read_to]
        self.read_to += 1
        self._carry_out(self.machine.told([item]))

    # faults
    def lose(self) -> None:
        self._carry_out(self.machine.lost(0))

    def save(self) -> None:
        self.older = copy.deepcopy(self.server)

    def roll_back(self) -> None:
        """The server comes back as it was, and everybody has to connect again."""
        if self.older is None:
            return
        self.tokens += 1
        self.server = copy.deepcopy(self.older)
        self.server.history = f"h{self.tokens}"
        self.sent.clear()  # what was on its way is lost
        for process in self.processes:
            self.reconnect(process)
        self.lose()

    def fence(self) -> None:
        """Somebody distrusts the shard."""
        self.server.meta = None

    def reconnect(self, process: Process) -> None:
        process.poll = None
        process.reader.connected()

    # the processes' side
    def poll(self, process: Process) -> None:
        reader = process.reader
        found = [entry for entry in self.server.log if entry.number > reader.position][:3]
        process.poll = reader.connection, self.now, self.server.reading(), found

    def polled(self, process: Process) -> None:
        assert process.poll is not None
        poll, process.poll = process.poll, None
        process.carry_out(process.reader.polled(*poll))

    def ask(self, process: Process, key: int) -> None:
        """Asks the shard, which gives a value or a lease."""
        fill: dict[str, Any] = {"key": key, "ticket": process.reader.ticket(), "reading": self.server.reading()}
        there, meta = self.server.values.get(key), self.server.meta
        if meta is not None and (there is None or there[1] != meta.epoch):
            self.tokens += 1
            there = self.server.values[key] = ("L", meta.epoch, f"c{self.tokens}")
            fill["lease"] = there
        elif there is not None and there[0] == "V":
            fill["value"] = int(there[2])
        process.fill = fill

    def go_on(self, process: Process) -> None:
        """From the shard's answer to the row, to the shard, and into the copies."""
        fill = process.fill
        assert fill is not None
        if "value" in fill:
            process.fill = None
            as_of = process.reader.proven(fill["reading"])
            self.check(fill["key"], fill["value"], as_of)
            self.keep(process, fill, fill["value"], as_of, fill["reading"])
        elif "row" not in fill:
            fill["row"], fill["at"] = self.database.version(fill["key"]), self.now
        elif "lease" in fill:
            if self.server.values.get(fill["key"]) == fill["lease"]:
                self.server.values[fill["key"]] = ("V", fill["lease"][1], str(fill["row"]))
            del fill["lease"]
        else:
            process.fill = None
            self.keep(process, fill, fill["row"], fill["at"], None)

    def keep(self, process: Process, fill: dict[str, Any], version: int, as_of: float, reading: Reading | None) -> None:
        if process.reader.may_keep(fill["ticket"], Change(TABLE, fill["key"]), reading):
            process.copies[fill["key"]] = version, as_of

    def hit(self, process: Process, key: int) -> None:
        version, as_of = process.copies[key]
        self.check(key, version, max(as_of, process.proven_at))

    def check(self, key: int, version: int, as_of: float) -> None:
        """The law: what is read is not older than what is proven of it."""
        self.checked += 1
        if as_of > 0:
            self.proofs += 1
            expected = self.database.version_at(key, as_of)
            assert version >= expected, f"key {key}: version {version}, but {expected} was visible at {as_of}"
