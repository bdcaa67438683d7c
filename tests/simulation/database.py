"""A fake PostgreSQL, as far as the protocol uses it: commits in a log, seen later; a slot; crashes and promotions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from forecache.coherence.changes import Change, Commit, Identity, Message, Snapshot
from tests.simulation.loop import Loop

__all__ = ["ABSENT_EVERY", "Database", "Down"]

ABSENT_EVERY = 3  # every third version of a row is that it is not there


class Down(Exception):  # noqa: N818 - no error of ours
    """Nobody answers."""


class State(NamedTuple):
    """What everybody saw of a row from a moment on."""

    since: float
    version: int


class Database:
    """Rows that are written again and again; versions are never used twice."""

    def __init__(self, loop: Loop, keys: int, table: Callable[[int], str], *, is_synchronous: bool = False) -> None:
        """As it was before the first commit; `table` tells where a row is."""
        self.loop, self.table = loop, table
        self.rows = {key: [State(-1.0, 0)] for key in range(keys)}
        self.log: list[Commit | Message] = []
        self.ready: list[float] = []  # when each entry of it can be told
        self.hidden: dict[int, dict[int, int]] = {}  # by xid: versions that are in the log, and that nobody sees
        self.done: dict[int, dict[int, int]] = {}  # by xid: versions that were there before
        self.holder = 0  # who has the slot: a number that grows; 0 for nobody
        self.holders = 0
        self.acknowledged = 0
        self.identity = Identity(1, 1, "0", "slot")
        self.is_up = True
        self.is_waiting = is_synchronous  # whether commits wait until they are acknowledged,
        self.is_waited_for = is_synchronous  # and a sample says so, to whoever has the slot
        self.waiting: dict[int, tuple[int, float]] = {}  # by xid: position, and the gap after it was acknowledged
        self.xid = self.version = 0

    def commit(self, keys: list[int], gap: float) -> None:
        """Writes rows that nobody else is writing; they are seen after the gap."""
        keys = [key for key in keys if not any(key in rows for rows in self.hidden.values())]
        if not (keys and self.is_up):
            return
        self.xid += 1
        self.version += 1
        self.hidden[self.xid] = dict.fromkeys(keys, self.version)
        self.append(Commit(self.xid, len(self.log) + 1, tuple(Change(self.table(key), b"%d" % key) for key in keys)))
        self.loop.note("commit", self.xid, "of", keys, "version", self.version)
        if self.is_waiting:
            self.waiting[self.xid] = len(self.log), gap
        else:
            self.loop.after(gap, self.show, self.xid, self.identity)

    def switch(self, *, is_waiting: bool) -> None:
        """Commits wait from now on, or no more; samples say so only while all of them do."""
        self.is_waiting = self.is_waited_for = is_waiting
        self.loop.note("commits wait" if is_waiting else "commits do not wait")
        if not is_waiting:
            self.release(len(self.log))

    def release(self, position: int) -> None:
        """What waited up to there waits no more, and is seen soon."""
        for xid, (at, gap) in list(self.waiting.items()):
            if at <= position:
                del self.waiting[xid]
                self.loop.after(gap, self.show, xid, self.identity)

    def append(self, entry: Commit | Message) -> None:
        self.log.append(entry)
        latest = self.ready[-1] if self.ready else 0.0
        self.ready.append(max(latest, self.loop.now + self.loop.some(0.0, 0.004)))

    def show(self, xid: int, identity: Identity | None = None) -> None:
        """From now on everybody sees it."""
        if xid not in self.hidden or (identity is not None and identity != self.identity):
            return
        written = self.hidden.pop(xid)
        self.done[xid] = {key: self.rows[key][-1].version for key in written}
        for key, version in written.items():
            self.rows[key].append(State(self.loop.now, version))
        self.loop.note("seen", xid)

    def snapshot(self) -> Snapshot:
        """What a statement sees now."""
        if not self.is_up:
            raise Down
        return Snapshot(min(self.hidden, default=self.xid + 1), self.xid + 1, frozenset(self.hidden))

    def sample(self, content: bytes, holder: int) -> Snapshot:
        """A snapshot, and then a message in the log."""
        snapshot = replace(self.snapshot(), waits=self.is_waited_for and holder == self.holder)
        self.append(Message(len(self.log) + 1, content))
        return snapshot

    def read(self, key: int) -> int:
        """The version of a row."""
        if not self.is_up:
            raise Down
        return self.rows[key][-1].version

    def take(self) -> tuple[int, int]:
        """Takes the slot, if nobody has it; who has it now, and from where it is told."""
        if not self.is_up or self.holder:
            raise Down
        self.holders += 1
        self.holder = self.holders
        return self.holder, self.acknowledged

    def tell(self, holder: int, position: int) -> list[Commit | Message]:
        """What can be told after a position."""
        if holder != self.holder or not self.is_up:
            raise Down
        upto = position
        while upto < len(self.log) and self.ready[upto] <= self.loop.now:
            upto += 1
        return self.log[position:upto]

    def acknowledge(self, holder: int, position: int) -> None:
        """Need not be told again."""
        if holder == self.holder:
            self.acknowledged = max(self.acknowledged, position)
            self.release(position)

    def leave(self, holder: int) -> None:
        """Gives the slot to whoever comes."""
        if holder == self.holder:
            self.holder = 0

    def crash(self, seconds: float) -> None:
        """Ends, and comes back; what was in the log is there then, and seen."""
        if self.is_up:
            self.loop.note("database crashes")
            self.is_up, self.holder = False, 0
            self.loop.after(seconds, self.recover)

    def recover(self) -> None:
        self.is_up = True
        self.identity = Identity(1, self.identity.timeline, str(self.loop.now), "slot")
        self.waiting.clear()
        for xid in sorted(self.hidden):
            self.show(xid)
        self.loop.note("database is back")

    def promote(self, lost: int) -> None:
        """Another takes its place, that never got the last entries of the log."""
        keep = max(0, len(self.log) - lost)
        for entry in reversed(self.log[keep:]):
            if isinstance(entry, Commit) and entry.xid in self.done:
                for key, version in self.done.pop(entry.xid).items():
                    self.rows[key].append(State(self.loop.now, version))
        gone = {entry.xid for entry in self.log[keep:] if isinstance(entry, Commit)}
        self.hidden = {xid: rows for xid, rows in self.hidden.items() if xid not in gone}
        self.waiting.clear()
        del self.log[keep:], self.ready[keep:]
        self.acknowledged, self.holder, self.is_up = min(self.acknowledged, keep), 0, True
        self.identity = Identity(1, self.identity.timeline + 1, str(self.loop.now), "slot")
        for xid in sorted(self.hidden):
            self.show(xid)
        self.loop.note("database is promoted, without", lost, "entries")

    def violation(self, key: int, version: int, as_of: float) -> str:
        """Why a version was not there at any moment from `as_of` to now; "" if it was."""
        there = []
        for state in reversed(self.rows[key]):
            if state.version == version:
                return ""
            there.append(state.version)
            if state.since <= as_of:
                break
        return (
            f"row {key}: version {version}, proven as of {as_of * 1000:.3f} ms, when and since {there[::-1]} were there"
        )
