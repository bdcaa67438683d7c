"""A database and a shard, as far as the protocol uses them, without sockets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from forecache.coherence.beacons.effects import FENCED, GONE, Apply, Begin, End, Mark, Open, Roll
from forecache.coherence.beacons.shard import Entry, Meta, Reading
from forecache.coherence.changes import Change, Commit, Message, Snapshot

__all__ = ["KEYS", "TABLE", "Database", "Server"]

TABLE, KEYS = "t", (1,)


@dataclass
class Database:
    """Rows that count their writes; a commit is in the log before it can be seen."""

    log: list[Commit | Message] = field(default_factory=list)
    visible: set[int] = field(default_factory=set)
    next_xid: int = 10
    hidden: dict[int, tuple[int, int]] = field(
        default_factory=dict
    )  # xid of what committed and cannot be seen: its key
    rows: dict[int, list[tuple[float, int]]] = field(default_factory=lambda: {key: [(-1.0, 0)] for key in KEYS})

    def commit(self, key: int) -> None:
        xid, self.next_xid = self.next_xid, self.next_xid + 1
        self.hidden[xid] = key, self.rows[key][-1][1] + 1
        self.log.append(Commit(xid, len(self.log) + 1, (Change(TABLE, key),)))

    def show(self, xid: int, now: float) -> None:
        key, version = self.hidden.pop(xid)
        self.rows[key].append((now, version))

    def free(self) -> list[int]:
        return [key for key in KEYS if all(key != other for other, _ in self.hidden.values())]

    def snapshot(self) -> Snapshot:
        return Snapshot(min(self.hidden, default=self.next_xid), self.next_xid, frozenset(self.hidden))

    def version(self, key: int) -> int:
        return self.rows[key][-1][1]

    def version_at(self, key: int, moment: float) -> int:
        return max(version for at, version in self.rows[key] if at <= moment)


@dataclass
class Server:
    """A shard: state, log and values, as the scripts change them."""

    history: str = "h0"
    meta: Meta | None = None
    log: list[Entry] = field(default_factory=list)
    values: dict[int, tuple[str, ...]] = field(default_factory=dict)  # ("L", epoch, token) or ("V", epoch, version)

    def run(self, effect: Any) -> Any:
        if isinstance(effect, Open):
            self.meta, self.log = Meta(effect.epoch, 0, 0, 0, 0), []
            return 1
        meta = self.meta
        if meta is None:
            return GONE
        if meta.epoch != effect.epoch:
            return FENCED
        return self._change(effect, meta)

    def _change(self, effect: Any, meta: Meta) -> Any:
        match effect:
            case Begin():
                self.meta = meta._replace(begun=meta.begun + 1)
                return [meta.begun + 1, []]  # nobody reads strongly
            case End(_, _, beacon, xmin, term, settled):
                self.meta = Meta(meta.epoch, meta.begun, beacon, xmin, meta.last, term, settled)
            case Roll():
                return [1, []]
            case Mark(_, _, number, held):
                self.log.append(Entry(number, (), held))
                self.meta = meta._replace(last=number)
                return [1, []]
            case Apply(_, _, number, changes, held):
                assert number == meta.last + 1
                for change in changes:
                    self.values.pop(change.key, None)  # type: ignore[arg-type]
                self.log.append(Entry(number, changes, held))
                self.meta = meta._replace(last=number)
        return 1

    def reading(self) -> Reading:
        return Reading(self.history, self.meta)
