"""The demo of coherence: its judgement of histories, and a short run on real servers."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from forecache.show.verdict import History, Write, judge
from forecache.show.vouching import LEVEL_SECONDS, READ

WRITES = (Write(1, 1, 10.0, 10.1), Write(1, -1, 11.0, 11.5), Write(1, 3, 12.0, 12.1))


def judged(version: int, began: float, age: float, *, key: int = 1) -> tuple[int, int, int]:
    """Stale, early and unproven, of one read."""
    read = np.array([(key, 0, version, began, age, began + 0.01)], READ)
    found = judge(History(read, WRITES))
    assert found.reads == 1
    assert found.writes == 3
    return found.stale, found.early, found.unproven


@pytest.mark.parametrize(
    ("version", "began", "age", "expected"),
    [
        (0, 10.05, 0.0, (0, 0, 0)),  # the write has not returned
        (1, 10.05, 0.0, (0, 0, 0)),  # and may be seen already
        (0, 10.2, 0.2, (0, 0, 0)),  # 10.0 is before it returned
        (0, 10.2, 0.05, (1, 0, 0)),  # 10.15 is not
        (2, 10.2, 0.05, (0, 1, 0)),  # nobody had begun to write it
        (1, 11.9, 0.0, (0, 0, 0)),  # nobody knows whether the second write was committed
        (2, 11.9, 0.0, (0, 0, 0)),
        (2, 12.2, 0.0, (1, 0, 0)),
        (3, 12.2, 2 * LEVEL_SECONDS, (0, 0, 1)),
        (3, 12.2, float("nan"), (0, 0, 1)),
    ],
)
def test_a_read_is_judged_by_what_had_returned_when_it_says_it_was_current(
    version: int, began: float, age: float, expected: tuple[int, int, int]
) -> None:
    assert judged(version, began, age) == expected


def test_rows_that_nobody_wrote_are_as_they_were() -> None:
    assert judged(0, 50.0, 0.0, key=2) == (0, 0, 0)
    assert judged(1, 50.0, 0.0, key=2) == (0, 1, 0)


def test_the_demo_proves_its_answers_while_everything_is_killed() -> None:
    command = [sys.executable, "-m", "forecache", "demo", "coherence", "--seconds", "10", "--seed", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["violations"] == 0
    assert found["faults"] >= 1
    assert found["reads"] > 100
    assert found["writes"] > 10
