"""Fits find the law that accesses were drawn from; the order of accesses is told from chance."""

from __future__ import annotations

import numpy as np
import pytest

from forecache.errors import EmptyTraceError
from forecache.record.trace import Trace
from forecache.study.models.popularity import ZipfMandelbrot, empirical, independence

EMPTY = Trace.from_columns([])


def drawn(law: ZipfMandelbrot, accesses: int = 300_000, seed: int = 0) -> Trace:
    return Trace.from_columns(np.random.default_rng(seed).choice(law.keys, accesses, p=law.probabilities()))


@pytest.mark.parametrize(("exponent", "shift"), [(0.7, 0.0), (1.0, 0.0), (0.9, 20.0), (1.3, 5.0)])
def test_a_fit_finds_the_law(exponent: float, shift: float) -> None:
    law = ZipfMandelbrot(exponent, shift, 1_000)
    fitted = ZipfMandelbrot.fit(drawn(law))
    assert fitted.exponent == pytest.approx(exponent, abs=0.05)
    ranks = [0, 10, 100, 900]
    assert fitted.probabilities()[ranks] == pytest.approx(law.probabilities()[ranks], rel=0.1)


def test_shares_are_sorted_and_sum_to_one() -> None:
    assert empirical(Trace.from_columns([5, 5, 9, 5])).tolist() == [0.75, 0.25]


def test_independent_accesses_are_told_to_be_fair() -> None:
    found = independence(drawn(ZipfMandelbrot(0.8, 0, 2_000), 50_000))
    assert found.is_fair
    assert "fair assumption" in str(found)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (np.repeat(np.random.default_rng(0).integers(0, 3_000, 10_000), 3), "sooner"),
        (np.tile(np.arange(3_000), 10), "later"),
    ],
    ids=["bursts", "loop"],
)
def test_order_is_seen_and_named(keys: np.ndarray, words: str) -> None:
    found = independence(Trace.from_columns(keys))
    assert not found.is_fair
    assert found.extreme
    assert words in str(found)


def test_nothing_can_be_said_of_no_access() -> None:
    for asked in (empirical, independence, ZipfMandelbrot.fit):
        with pytest.raises(EmptyTraceError):
            asked(EMPTY)
