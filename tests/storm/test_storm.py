"""A short storm on real servers; and that the judge bites: each law, broken in a made-up history, is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.storm.__main__ import rage
from tests.storm.faults import FAULTS
from tests.storm.records import ABSENT, ACK, INTENT, LEVELS, NOTHING, READ, SNAPSHOT, TAGS, TIERS
from tests.storm.servers import Loss
from tests.storm.verdict import Verdict, judge, states_of

A, B, C = TAGS + 2, TAGS + 4, 2 * TAGS + 2  # two writes of process 1, and one of process 2
GONE = TAGS + 3  # a deletion


@pytest.mark.timeout(300)
def test_a_storm_of_a_few_faults_violates_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for directory in tmp_path.parents[:2]:
        directory.chmod(0o755)  # PostgreSQL is another user, and reads the clock there
    report = rage(tmp_path, 1, 60, 3, only="sequencer killed,clocks")
    assert report.violations == []
    assert {each.name for each in report.happened} == {"sequencer killed", "wall clocks jump"}
    verdict = report.verdict
    assert all(verdict.tiers.values())
    assert verdict.contended > 10
    assert verdict.writes > verdict.deletions > 0
    assert len(report.takeovers) == 1
    assert len(report.rows(tmp_path)) == 3
    shutil.rmtree(tmp_path)


@pytest.mark.timeout(300)
def test_a_storm_where_commits_wait_violates_nothing_though_copies_answer_strongly(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for directory in tmp_path.parents[:2]:
        directory.chmod(0o755)  # as above
    report = rage(tmp_path, 1, 60, 3, only="reader killed,sequencer killed", synchronous=True)
    assert report.violations == []
    assert report.verdict.strong_copies > 10
    assert report.verdict.writes > 10
    shutil.rmtree(tmp_path)


def judged(
    into: Path,
    reads: Iterable[tuple[float, ...]] = (),
    *,
    written: Sequence[tuple[int, int, int]] = ((0, 1, A), (0, 2, B)),
    losses: Sequence[Loss] = (),
    balances: Sequence[float] = (),
    second: int = B,
) -> Verdict:
    """Of a row that A and B wrote at 10 and 20, acknowledged a second later; C follows at 30, if it was committed."""
    began, tags = (10, 20, 30), (A, second, C)
    np.array([(0, tag, at) for tag, at in zip(tags, began, strict=True)], INTENT).tofile(into / "intents-1-0")
    acks = [(0, tag, n, at + 1) for n, (tag, at) in enumerate(zip(tags, began, strict=True), 1)]
    kept = [ack for ack in acks if ack[1] != C or losses or (0, 3, C) in written]
    np.array(kept, ACK).tofile(into / "acks-1-0")
    np.array(list(reads), READ).tofile(into / "reads-1-0")
    np.array([(1, balance) for balance in balances], SNAPSHOT).tofile(into / "snapshots-1-0")
    return judge(into, written, losses)


def read(tag: int, at: float, age: float, level: str = "bounded(1s)", tier: str = "process") -> tuple[float, ...]:
    return 0, tag, at, at + 0.1, age, TIERS[tier] + 10 * list(LEVELS).index(level)


def test_what_can_have_been_breaks_no_law(tmp_path: Path) -> None:
    reads = [read(0, 5, 0), read(A, 10.5, 0), read(A, 21.4, 0.5), read(B, 20.98, 0), read(B, 99, 0, "session")]
    verdict = judged(tmp_path, reads, balances=[0])
    assert verdict.broken == {}
    assert (verdict.reads, verdict.writes, verdict.snapshots) == (5, 2, 1)
    assert verdict.contended == 1


@pytest.mark.parametrize(
    ("law", "reads"),
    [
        ("certificates", [read(A, 21.6, 0.5)]),
        ("certificates", [read(0, 50, 1.0)]),
        ("certificates", [read(B, 19, 0.5)]),  # before it was written
        ("certificates", [read(C, 40, 0.5)]),  # which nobody committed
        ("levels", [read(B, 30, 1.5)]),
        ("levels", [read(B, 30, 0.06, "bounded(50ms)")]),
        ("levels", [read(B, 30, 0.001, "strong")]),
        ("order of answers without age", [read(B, 20.2, 0), read(A, 20.5, 0)]),
        ("sessions", [read(B, 20.2, 0.9), read(A, 20.5, 0.9, "session")]),
        ("sessions", [read(A, 21.5, 0.9, "session")]),  # it wrote B itself
    ],
)
def test_a_read_that_cannot_have_been_is_told(tmp_path: Path, law: str, reads: list[tuple[float, ...]]) -> None:
    assert set(judged(tmp_path, reads).broken) == {law}


def test_a_row_is_absent_from_its_deletion_to_its_next_beginning_and_not_longer(tmp_path: Path) -> None:
    written = [(0, 1, A), (0, 2, GONE), (0, 3, C)]
    fine = [
        read(A, 20.5, 0, "strong"),
        read(ABSENT, 21.5, 0, "strong", "process"),
        read(ABSENT, 30.5, 0, "strong"),
        read(C, 30.9, 0, "strong"),
        read(ABSENT, 31.4, 0.5),
    ]
    assert judged(tmp_path, fine, written=written, second=GONE).broken == {}
    for wrong in (read(A, 21.5, 0, "strong"), read(ABSENT, 15, 0, "strong"), read(ABSENT, 31.5, 0, "strong")):
        assert set(judged(tmp_path, [wrong], written=written, second=GONE).broken) == {"certificates"}
    back = [read(ABSENT, 20.2, 0, "strong"), read(A, 20.5, 0, "strong")]
    assert set(judged(tmp_path, back, written=written, second=GONE).broken) == {"order of answers without age"}


def test_a_write_that_found_nothing_to_do_is_none(tmp_path: Path) -> None:
    intents = np.array([(0, A, 10), (0, GONE, 20)], INTENT)
    acks = np.array([(0, A, 1, 11), (0, GONE, NOTHING, 21)], ACK)
    verdict = Verdict()
    assert states_of([(0, 1, A)], intents, acks, (), verdict)[0].tags == [0, A]
    assert (verdict.broken, verdict.writes) == ({}, 1)


def test_a_lost_write_a_gap_and_a_torn_snapshot_are_told(tmp_path: Path) -> None:
    assert set(judged(tmp_path, written=[(0, 1, A)]).broken) == {"lost writes"}
    assert set(judged(tmp_path, written=[(0, 1, A), (0, 3, B)]).broken) == {"history"}
    assert set(judged(tmp_path, balances=[0, -1]).broken) == {"torn snapshots"}


def test_what_a_failover_lost_may_be_read_until_it_has_happened(tmp_path: Path) -> None:
    loss = Loss(29, 40, 41, 42)  # of C, after which the row is as B left it
    fine = [read(C, 35, 0), read(C, 42.5, 0.9), read(B, 40.5, 0.5), read(B, 50, 0), read(B, 31, 0.5)]
    verdict = judged(tmp_path, fine, losses=[loss])
    assert verdict.broken == {}
    assert verdict.lost_by_failover == 1
    for wrong in (read(C, 43, 0.5), read(B, 35, 0.5), read(A, 35, 1)):
        assert set(judged(tmp_path, [wrong], losses=[loss]).broken) == {"certificates"}
    assert set(judged(tmp_path, losses=[Loss(36, 40, 41, 42)]).broken) == {"lost writes"}, "the standby had it"


def test_every_kind_of_fault_of_the_protocol_is_here() -> None:
    told = " ".join(FAULTS)
    for kind in ("killed", "stands still", "one way", "slow", "empty", "rolled back", "fails over", "two sequencers"):
        assert kind in told
    for kind in ("PostgreSQL crashes", "lagging standby", "synchronous standby", "clocks", "trimmed", "evicts"):
        assert kind in told
