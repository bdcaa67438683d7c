"""A short storm, and proof that the checker bites: every cache that lacks a defence is caught."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.coherence.history import READ, WRITE, of_key
from tests.coherence.mutants import OF_ALL, OF_FOLLOWED, OF_POSTGRESQL, OF_SQLITE
from tests.coherence.stages import STAGES, Postgresql
from tests.coherence.storm import Report, run
from tests.servers import PostgreSQL


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch, postgresql: PostgreSQL) -> None:
    """Storms share a server."""
    monkeypatch.setattr(Postgresql, "running", postgresql)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("stage", STAGES)
def test_no_answer_is_older_than_its_certificate(stage: str) -> None:
    report = Report()
    for seed in range(8):  # more than one on a machine that is busy
        report = report.and_then(run(3, stage=stage, readers=2, writers=1, seed=seed))
        assert report.violations == []
        if report.contended > 100 and report.writes > 20:
            return
    pytest.fail(f"not much of a storm: {report}")


CAUGHT = [
    *(("sqlite", mutant) for mutant in OF_SQLITE),
    *(("postgresql", mutant) for mutant in OF_POSTGRESQL),
    *(("shared", mutant) for mutant in OF_ALL),
    *(("followed", mutant) for mutant in OF_FOLLOWED),
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("stage", "mutant"), CAUGHT)
def test_a_cache_without_a_defence_is_caught(stage: str, mutant: str) -> None:
    for seed in range(12):
        if run(
            4 if stage in {"shared", "followed"} else 2, stage=stage, readers=1, writers=2, seed=seed, mutate=mutant
        ).violations:
            return
    pytest.fail(f"{mutant} was not caught in 12 storms")


History = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]  # writes and reads
moments = st.integers(0, 20)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Writes of one key one after the other, and any reads."""
    writes, now = [], 0
    for version in range(1, draw(st.integers(0, 4)) + 1):
        began = now + draw(st.integers(0, 3))
        now = began + draw(st.integers(0, 3))
        writes.append((0, version, began, now))
    reads = []
    for _ in range(draw(st.integers(0, 6))):
        began = draw(moments)
        age = draw(st.sampled_from([0, 0, 2]))
        reads.append((0, draw(st.integers(0, 5)), began, began + draw(st.integers(0, 3)), age, age))
    return writes, reads


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_the_checker_finds_what_its_naive_twin_finds(
    history: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
) -> None:
    writes, reads = history
    wrong = set()
    for number, (_, version, began, ended, age, _) in enumerate(reads):
        later = [write for write in writes if write[1] > version]
        mine = [write for write in writes if write[1] == version]
        newer = [read for read in reads if read[1] > version and read[4] == age == 0 and read[3] < began]
        known = [read for read in newer if read[1] <= len(writes)]
        if version > len(writes) or any(write[2] > ended for write in mine) or known:
            wrong.add(number)
        if version <= len(writes) and any(write[3] < began - age for write in later):
            wrong.add(number)
    assert bool(of_key(np.array(writes, WRITE), np.array(reads, READ))) == bool(wrong)
