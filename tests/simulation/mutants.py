"""Machines and scripts that lack one defence each, to see which the simulation would notice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from forecache.coherence.beacons.doubts import Doubts
from forecache.coherence.beacons.effects import Acknowledge, Effect
from forecache.coherence.beacons.marks import Marks
from forecache.coherence.beacons.pending import Pending
from forecache.coherence.beacons.reader import Flush, Prove, Reader, Ticket
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.beacons.shard import Entry, Meta, Reading
from forecache.coherence.beacons.tables import NONE, Record, Tables, meet
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.changes import Change, Commit, Message, Snapshot
from tests.simulation.valkey import FakeValkey
from tests.simulation.world import TABLES, World

__all__ = ["CAUGHT", "CAUGHT_SYNCHRONOUS", "MUTANTS", "SYNCHRONOUS", "Mutant"]

Mutant = list[tuple[type, str, Any]]

sampled, told, source_opened = Sequencer.sampled, Sequencer.told, Sequencer.source_opened
may_keep, polled, begin, connected = Reader.may_keep, Reader.polled, Reader._begin, Sequencer.connected
heard, applied = Reader.heard, Reader._apply


def passes_parked(self: Sequencer, content: bytes, snapshot: Snapshot) -> list[Effect]:
    """What the beacon's snapshot sees is not applied before the beacon ends."""
    if content in self._samples:
        self._samples[content] = snapshot, self._samples[content][1]
    return []


def acknowledges_early(self: Sequencer, items: Sequence[Commit | Message]) -> list[Effect]:
    return [*told(self, items), *(Acknowledge(item.position) for item in items)]


def drops_parked(self: Sequencer, shard: int) -> list[Effect]:
    """A new epoch is taken for the work of all that is parked."""
    for _, pending in self.parked:
        pending.open -= 1
    self.parked.clear()
    return connected(self, shard)


def keeps_whatever_is_behind(self: Reader, ticket: Ticket, change: Change, reading: Reading | None) -> bool:
    return may_keep(self, ticket, change, None)


def keeps_what_ended(self: Reader, ticket: Ticket, change: Change, reading: Reading | None) -> bool:
    """Neither flushes nor entries since the question count."""
    return may_keep(self, ticket._replace(flushes=self.flushes, position=self.position), change, reading)


def keeps_other_epochs(self: Reader, ticket: Ticket, change: Change, reading: Reading | None) -> bool:
    mine = ticket._replace(epoch=self.epoch, flushes=self.flushes)
    if reading is not None and reading.meta is not None:
        reading = reading._replace(meta=reading.meta._replace(epoch=self.epoch, last=1 << 40))
    return may_keep(self, mine, change, reading)


def believes_what_was_proven(self: Reader, reading: Reading, epoch: str, position: int) -> Iterable[Any]:
    """A log that went back ends copies, and not what was proven."""
    at, beacon, same = self.proven_at, self.beacon, epoch == self.epoch
    effects = begin(self, reading, epoch, position)
    if same:
        self.proven_at, self.beacon = at, beacon
        return [each for each in effects if isinstance(each, Flush)]
    return effects


def proves_with_the_same_beacon(self: Reader, done: int) -> float:
    at = bisect_right(self._begun, done)
    return self._asked_at[at - 1] if at else UNKNOWN


def proves_before_the_log_is_read(self: Reader, *arguments: Any, **options: Any) -> list[Any]:
    effects = polled(self, *arguments, **options)
    meta = arguments[2].meta
    if meta is not None and meta.epoch == self.epoch and (at := self._proof(meta.done)) > UNKNOWN:
        effects.append(Prove(at, meta.done))
    return effects


def skips_gaps(self: Reader, meta: Meta, entries: Sequence[Entry]) -> bool:
    return True


def trusts_any_server(self: Reader, history: str) -> None:
    self._history = history


marks_forsake, marks_hold, marks_tick, marks_answered = Marks.forsake, Marks.hold, Marks.tick, Marks.answered


def waits_for_nobody(self: Marks, pending: Pending, changes: tuple[Change, ...]) -> None:
    marks_hold(self, pending, changes)
    self._end((pending,))


def waits_for_no_reader(self: Marks, readers: Mapping[str, str]) -> None:
    marks_answered(self, {})


def waits_for_no_earlier_grant(self: Marks, now: float) -> bool:
    marks_tick(self, now)
    self._settled = True
    self._resolve(now)
    return True


def waits_for_half_a_term(self: Marks, term: float) -> None:
    marks_init(self, term / 2)


marks_init, marks_wished, is_idle = Marks.__init__, Marks.wished, Marks.is_idle


def marks_nothing_anew(self: Marks) -> None:
    """What was held in another epoch counts as marked in this one."""
    held, waiting = dict(self._held), tuple(self._waiting)
    marks_forsake(self)
    self._held = {pending: each._replace(number=max(1, each.number)) for pending, each in held.items()}
    self._end(waiting)


def idles_before_earlier_grants_are_over(self: Marks, tables: Tables) -> bool:
    return not (meet(tables, self._wished) or meet(tables, frozenset(self._vouched)))


def idles_if_any_table_does(self: Marks, tables: Tables) -> bool:
    """So a commit to two tables is not marked if one of them is read strongly."""
    return any(is_idle(self, frozenset({table})) for table in tables)


def marks_nothing_for_a_wish(self: Marks, readers: Mapping[str, str]) -> None:
    """What was held when somebody began to wish is not marked."""
    idle = {pending for pending, each in self._held.items() if is_idle(self, each.tables)}
    marks_wished(self, readers)
    self._held = {
        pending: each._replace(number=each.number or int(pending in idle)) for pending, each in self._held.items()
    }


def waits_for_readers_of_all_tables_of_a_mark(self: Marks, readers: Mapping[str, str]) -> None:
    """Those who read one of several strongly are not waited for."""
    sent = next((sent for sent in self._sent if not sent.is_answered), None)
    tables = sent.tables if sent else NONE
    marks_answered(self, {name: each for name, each in readers.items() if tables <= Record.parse(each).tables})


def believes_all_tables_are_known(self: Reader, *arguments: Any, known: Iterable[str] = ()) -> list[Any]:
    """If the shard knows that we read something strongly, then anything."""
    return polled(self, *arguments, known=TABLES if known else ())


def knows_what_was_held_before(self: Reader, reading: Reading, epoch: str, position: int) -> list[Any]:
    effects = begin(self, reading, epoch, position)
    self._begun_at = 0
    return effects


def hears_out_of_turn(self: Reader, epoch: str, entry: Entry) -> list[Any]:
    """Of this epoch, but maybe not the next."""
    return [applied(self, entry)] if epoch == self.epoch and entry.number > self.position else []


def hears_any_epoch(self: Reader, epoch: str, entry: Entry) -> list[Any]:
    return heard(self, self.epoch, entry)


def hears_and_keeps(self: Reader, epoch: str, entry: Entry) -> list[Any]:
    """What is heard counts as applied, and copies stay."""
    heard(self, epoch, entry)
    return []


def strikes_anybody(self: FakeValkey, keys: list[bytes], arguments: list[bytes], _: float) -> int:
    for name in arguments[1::2]:
        self.hashes.get(keys[1], {}).pop(name, None)
    return 1


def one(where: type, name: str, replaced: Callable[..., Any]) -> Mutant:
    return [(where, name, replaced)]


MUTANTS: dict[str, Mutant] = {
    "no gate": one(Snapshot, "sees", lambda self, xid: True),
    "beacons pass parked changes": one(Sequencer, "sampled", passes_parked),
    "acknowledged early": one(Sequencer, "told", acknowledges_early),
    "parked changes are dropped": one(Sequencer, "connected", drops_parked),
    "no lease": one(FakeValkey, "holds", lambda self, key, lease, now: True),
    "no fence": one(FakeValkey, "is_of", lambda self, there, epoch: True),
    "no epochs": one(World, "new_epoch", lambda self: "0" * 32),
    "no positions": one(Reader, "may_keep", keeps_whatever_is_behind),
    "no generations": one(Reader, "may_keep", keeps_what_ended),
    "no epochs of copies": one(Reader, "may_keep", keeps_other_epochs),
    "no end of proofs": one(Reader, "_begin", believes_what_was_proven),
    "same beacon": one(Reader, "_proof", proves_with_the_same_beacon),
    "log unread": one(Reader, "polled", proves_before_the_log_is_read),
    "no gaps": one(Reader, "_follows", skips_gaps),
    "any server": one(Reader, "_forget_records", trusts_any_server),
}

# Those of synchronous mode.
SYNCHRONOUS: dict[str, Mutant] = {
    "nobody waits": one(Marks, "hold", waits_for_nobody),
    "nothing is held": one(Reader, "holds", lambda self, change: False),
    "no reader is waited for": one(Marks, "answered", waits_for_no_reader),
    "earlier grants are not": one(Marks, "tick", waits_for_no_earlier_grant),
    "half a term": one(Marks, "__init__", waits_for_half_a_term),
    "no marks in new epochs": one(Marks, "forsake", marks_nothing_anew),
    "idle while grants last": one(Marks, "is_idle", lambda self, tables: self._settled),
    "idle at once": one(Marks, "is_idle", idles_before_earlier_grants_are_over),
    "idle if one table is": one(Marks, "is_idle", idles_if_any_table_does),
    "readers of all its tables": one(Marks, "answered", waits_for_readers_of_all_tables_of_a_mark),
    "known with any table": one(Reader, "polled", believes_all_tables_are_known),
    "requests in any order": one(FakeValkey, "is_later", lambda self, record, there: True),
    "held unmarked": one(Marks, "wished", marks_nothing_for_a_wish),
    "held before us": one(Reader, "_begin", knows_what_was_held_before),
    "no doubts": one(Doubts, "pass_by", lambda self, snapshot: bool((self._told or {}).clear())),
    "positions of any epoch": one(FakeValkey, "is_position_in", lambda self, epoch, of: True),
    "struck unheard": one(FakeValkey, "expel", strikes_anybody),
    "heard out of turn": one(Reader, "heard", hears_out_of_turn),
    "heard of any epoch": one(Reader, "heard", hears_any_epoch),
    "heard, and not dropped": one(Reader, "heard", hears_and_keeps),
    "no end of proofs": one(Reader, "_begin", believes_what_was_proven),
}

# Those that a few hundred schedules notice, and a seed from which it does not take long.
CAUGHT: dict[str, int] = {
    "no gate": 0,
    "beacons pass parked changes": 80,
    "acknowledged early": 205,
    "parked changes are dropped": 195,
    "no lease": 10,
    "no fence": 345,
    "no epochs": 0,
    "no positions": 20,
    "no generations": 10,
    "no epochs of copies": 80,
    "same beacon": 0,
    "log unread": 260,
    "no gaps": 5,
}

CAUGHT_SYNCHRONOUS: dict[str, int] = {
    "nobody waits": 0,
    "nothing is held": 0,
    "no reader is waited for": 30,
    "earlier grants are not": 50,
    "half a term": 1435,
    "no marks in new epochs": 210,
    "idle while grants last": 0,
    "idle at once": 40,
    "idle if one table is": 15,
    "readers of all its tables": 295,
    "known with any table": 415,
    "held unmarked": 25,
    "held before us": 10,
    "no doubts": 0,
    "positions of any epoch": 1585,
    "heard out of turn": 0,
    "heard, and not dropped": 0,
    "no end of proofs": 185,
}
