"""A short stress, and proof that it would see what it looks for: each mutant of the cache breaks another law."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest

from forecache import Cache
from tests.stress import run


@pytest.fixture(autouse=True)
def _silence() -> Any:
    """Refreshes fail on purpose."""
    logger = logging.getLogger("forecache")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


class LandsAnyway(Cache[int, int]):
    """Ignores what overtook a load."""

    def _land(self, key: int, ticket: Any, value: int, load_seconds: float, **keep: Any) -> bool:
        self._abandon(key, ticket)
        return self.set(key, value, **keep)


class LoadsTwice(Cache[int, int]):
    """Sees no load in flight."""

    def _begin(self, key: int, ticket: Any, tags: Any = None) -> None:
        super()._begin(key, ticket, tags)


class KeepsTagged(Cache[int, int]):
    """Forgets to invalidate tags."""

    def invalidate_tag(self, tag: str, /) -> int:
        return 0


@pytest.mark.parametrize("policy", ["tinylfu", "lru"])
def test_threads_break_no_law(policy: str) -> None:
    report = run(3, 16, seed=1, policy=policy)
    assert report.violations == [], report
    assert report.operations > 1000
    assert report.loads > 100


@pytest.mark.parametrize(
    ("mutant", "law"),
    [(LandsAnyway, "was acknowledged"), (LoadsTwice, "two loads"), (KeepsTagged, "was acknowledged")],
)
def test_a_mutant_is_caught(mutant: type[Cache[int, int]], law: str) -> None:
    seen: list[str] = []
    for seed in range(5):  # seconds are few, and chance is chance
        seen += run(1, 12, seed=seed, kind=mutant).violations
        if any(law in violation for violation in seen):
            return
    raise AssertionError(f"{mutant.__name__} was not caught; seen: {seen[:3]}")


def test_a_deadlock_is_caught_and_ends_with_an_error() -> None:
    program = """
from forecache.serve.flight import Flight
from tests import stress
Flight.fail = lambda self, error: None
stress.main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, "--seconds", "3", "--patience", "2", "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "threads do not move any more" in ran.stdout
    assert ran.stdout.count("\n") == 1, "one line of summary"
