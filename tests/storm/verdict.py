"""Whether what the processes of a storm saw can have been, and is what their certificates say.

The database gives each row's states one after the other. A state is a write, or, where a standby that lagged was
promoted, the state before what was lost, once more. An answer may be a state if its write began before the answer
came; it is older than its certificate if the next state, or a later one, was acknowledged before the read began, less
its age. Answers without age, and all of a session, do not go back to an earlier state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.storm.records import ABSENT, ACK, INTENT, LEVELS, NOTHING, READ, SNAPSHOT, TIERS, loaded, number_of
from tests.storm.servers import Loss

__all__ = ["Seen", "States", "Verdict", "judge", "states_of"]

Array = NDArray[Any]
LAG = 1.0  # seconds that a standby which nobody held up may be behind
NEAR = 0.05  # seconds from a write, within which a read of its row is contended
SESSION, STRONG = (list(LEVELS).index(level) for level in ("session", "strong"))
BOUNDS = np.array(list(LEVELS.values()))


@dataclass
class States:
    """Of one row, in their order."""

    tags: list[int]
    began: Array
    ended: Array  # when it was acknowledged; infinite if it was not

    def __post_init__(self) -> None:
        self.superseded = np.append(np.minimum.accumulate(self.ended[::-1])[::-1][1:], np.inf)
        shown = np.array(self.tags, float)
        shown[shown % 2 == 1] = ABSENT
        order = np.argsort(shown, kind="stable")
        self._sorted, self._order = shown[order], order

    def places(self, tags: Array) -> tuple[Array, Array]:
        """Of each tag its first place and one past its last, among those that are sorted by tag."""
        return np.searchsorted(self._sorted, tags, "left"), np.searchsorted(self._sorted, tags, "right")

    def fit(self, reads: Array) -> tuple[Array, Array, Array, Array]:
        """For each read the first and the last state that it may have been, which of them fit at all, and its age."""
        left, right = self.places(reads["tag"])
        first, last = np.full(len(reads), len(self.tags)), np.full(len(reads), -1)
        age = np.full(len(reads), np.inf)
        among = np.flatnonzero(left < right)
        step = 0
        while len(among):
            place, read = self._order[left[among] + step], reads[among]
            true = np.maximum(0.0, read["began"] - self.superseded[place])
            fits = (self.began[place] <= read["ended"]) & (true <= read["max_age"])
            fitting, place = among[fits], place[fits]
            first[fitting], last[fitting] = np.minimum(first[fitting], place), np.maximum(last[fitting], place)
            age[among] = np.minimum(age[among], true)
            step += 1
            among = among[left[among] + step < right[among]]
        return np.where(last >= 0, first, -1), last, last >= 0, age


@dataclass
class Seen:
    """What all reads amount to; arrays have one element for each, in the order of their beginnings."""

    began: list[Array] = field(default_factory=list)
    certified: list[Array] = field(default_factory=list)
    true: list[Array] = field(default_factory=list)
    kind: list[Array] = field(default_factory=list)

    def sorted(self) -> tuple[Array, Array, Array, Array]:
        """Beginnings, certified ages, true ages, and kinds."""
        if not self.began:
            return (np.empty(0),) * 4
        columns = [np.concatenate(each) for each in (self.began, self.certified, self.true, self.kind)]
        order = np.argsort(columns[0])
        began, certified, true, kind = (each[order] for each in columns)
        return began, certified, true, kind


@dataclass
class Verdict:
    """What came of it."""

    reads: int = 0
    contended: int = 0
    overlapped: int = 0
    tiers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    levels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEVELS, 0))
    strong_copies: int = 0  # strong answers from copies
    writes: int = 0
    deletions: int = 0  # among them
    unknown: int = 0  # writes whose acknowledgement was lost
    lost_by_failover: int = 0  # acknowledged by a primary whose standby lagged
    snapshots: int = 0
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: Seen = field(default_factory=Seen)

    def breaks(self, law: str, what: Iterable[object]) -> None:
        """A law was broken."""
        found = list(map(str, what))
        if found:
            self.broken[law] += found


def states_of(
    written: Sequence[tuple[int, int, int]], intents: Array, acks: Array, losses: Sequence[Loss], verdict: Verdict
) -> dict[int, States]:
    """The states of each row."""
    ended = {(int(key), int(tag)): (at, version) for key, tag, version, at in acks.tolist()}
    began = {(int(key), int(tag)): at for key, tag, at in intents.tolist()}
    for each in [each for each, (_, version) in ended.items() if version == NOTHING]:
        del began[each], ended[each]
    kept: dict[int, list[int]] = defaultdict(list)
    for key, version, tag in written:
        kept[key].append(tag)
        if version != len(kept[key]) or (key, tag) not in began:
            verdict.breaks("history", [f"version {version} of row {key}, by {tag}, after {len(kept[key]) - 1} others"])
    gone: dict[tuple[int, int], list[int]] = defaultdict(list)  # by row and loss
    there = {(key, tag) for key, _, tag in written}
    for each, at in began.items():
        if each in there:
            continue
        loss = next((number for number, loss in enumerate(losses) if loss.killed_at >= at), None)
        if loss is not None:
            gone[each[0], loss].append(each[1])
        if each in ended and (loss is None or ended[each][0] < losses[loss].cut_at - LAG):
            verdict.breaks("lost writes", [f"row {each[0]} by {each[1]}, acknowledged at {ended[each][0]}"])
        verdict.lost_by_failover += each in ended and loss is not None
    verdict.writes, verdict.unknown = len(ended), len(there - ended.keys())
    verdict.deletions = sum(tag % 2 for _, tag in ended)
    keys = {key for key, _ in began} | set(kept)
    return {key: one_row(key, kept[key], gone, losses, began, ended) for key in keys}


def one_row(key: int, kept: list[int], gone: Any, losses: Sequence[Loss], began: Any, ended: Any) -> States:
    """What was lost comes before all that was written later, and after it the row is as it was before."""
    infinite = (np.inf, np.inf)
    sequence = [(0, -np.inf, -np.inf)]
    rest = [(tag, began.get((key, tag), -np.inf), ended.get((key, tag), infinite)[0]) for tag in kept]
    for number, loss in enumerate(losses):
        if not (lost := gone.get((key, number))):
            continue
        before = sum(at < loss.killed_at for _, at, _ in rest)
        sequence, rest = sequence + rest[:before], rest[before:]
        again = sequence[-1][0], loss.died_from, loss.promoted_at
        lost.sort(key=lambda tag: (ended.get((key, tag), infinite)[1], began[key, tag]))
        sequence += [(tag, began[key, tag], ended.get((key, tag), infinite)[0]) for tag in lost]
        sequence.append(again)
    sequence += rest
    tags, first, last = zip(*sequence, strict=True)
    return States(list(tags), np.array(first), np.array(last))


def judge(into: Path, written: Sequence[tuple[int, int, int]], losses: Sequence[Loss]) -> Verdict:
    """Looks at all that was written down."""
    verdict = Verdict()
    intents, acks = loaded(into, "intents", INTENT), loaded(into, "acks", ACK)
    states = states_of(written, intents, acks, losses, verdict)
    nothing = States([0], np.array([-np.inf]), np.array([-np.inf]))
    present: dict[int, list[tuple[Array, Array, Array]]] = defaultdict(list)
    for number in sorted({number_of(file) for file in into.glob("reads-*")}):
        reads = loaded(into, "reads", READ, number)
        verdict.reads += len(reads)
        keys = reads["key"].astype(int)
        order = np.argsort(keys, kind="stable")
        for key, part in enumerate(
            np.split(order, np.searchsorted(keys[order], np.arange(1, keys.max(initial=0) + 1)))
        ):
            mine, row = reads[part], states.get(key, nothing)
            first, last = look(mine, row, verdict)
            without_age = mine["max_age"] == 0
            present[key].append((mine[without_age], first[without_age], last[without_age]))
            own = acks[(acks["key"] == key) & (acks["tag"] // (1 << 24) == number)]
            sessions(mine, first, last, own, row, verdict)
    for key, parts in present.items():
        reads, first, last = (np.concatenate(each) for each in zip(*parts, strict=True))
        back = goes_back(reads["ended"], first, reads["began"], last)
        verdict.breaks("order of answers without age", [f"{read} of row {key} went back" for read in reads[back]])
    snapshots = loaded(into, "snapshots", SNAPSHOT)
    verdict.snapshots = len(snapshots)
    verdict.breaks("torn snapshots", snapshots[snapshots["balance"] != 0])
    return verdict


def look(reads: Array, row: States, verdict: Verdict) -> tuple[Array, Array]:
    """Judges reads of one row in one process, and counts them; returns the first and last state that each may be."""
    first, last, fits, true = row.fit(reads)
    tier, level = reads["kind"].astype(int) % 10, reads["kind"].astype(int) // 10
    verdict.breaks(
        "certificates", [f"{read}, {age:.6f} s old" for read, age in zip(reads[~fits], true[~fits], strict=True)]
    )
    verdict.breaks("levels", reads[reads["max_age"] > BOUNDS[level]])
    for names, numbers in ((verdict.tiers, tier), (verdict.levels, level)):
        for name, count in zip(names, np.bincount(numbers, minlength=len(names)), strict=False):
            names[name] += int(count)
    verdict.strong_copies += int(((level == STRONG) & (tier == TIERS["process"])).sum())
    begins = np.sort(row.began[1:])
    ends = np.sort(np.where(np.isinf(row.ended), row.began, row.ended)[1:])
    contended = np.searchsorted(ends, reads["began"] + NEAR) > np.searchsorted(ends, reads["began"] - NEAR)
    overlaps = np.searchsorted(begins, reads["ended"]) > np.searchsorted(ends, reads["began"])
    verdict.contended += int(contended.sum())
    verdict.overlapped += int((overlaps & (tier > 0)).sum())
    seen = verdict.seen
    for column, values in ((seen.certified, reads["max_age"]), (seen.true, true), (seen.kind, reads["kind"])):
        column.append(values.astype("f4"))
    seen.began.append(reads["began"].copy())
    return first, last


def goes_back(ended: Array, first: Array, began: Array, last: Array) -> Array:
    """Which of the latter are of an earlier state than one of the former that ended before they began."""
    order = np.argsort(ended)
    newest = np.concatenate([[-1], np.maximum.accumulate(first[order])]) if len(order) else np.array([-1])
    known: Array = last >= 0
    return known & (newest[np.searchsorted(ended[order], began)] > last)


def sessions(reads: Array, first: Array, last: Array, own: Array, row: States, verdict: Verdict) -> None:
    """What a process read at level session is not older than what it wrote or read before."""
    asked = reads["kind"].astype(int) // 10 == SESSION
    place = {tag: at for at, tag in reversed(list(enumerate(row.tags)))}  # the first of each
    mine = np.array([place.get(int(tag), -1) for tag in own["tag"]], int)
    fits = last >= 0
    ended = np.concatenate([reads["ended"][fits], own["ended"]])
    newest = np.concatenate([first[fits], mine])
    back = goes_back(ended, newest, reads["began"][asked], last[asked])
    verdict.breaks("sessions", [f"{read} went back" for read in reads[asked][back]])
