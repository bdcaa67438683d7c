"""Pictures: labels do not cover each other, lines can be told apart, and every kind of result can be drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.record.trace import Trace
from forecache.show.plots import draw_curves, label_of, spread, styles
from forecache.study.simulate import known_policies, simulate
from forecache.units import Weights

heights = st.lists(st.floats(0, 1, allow_nan=False), max_size=12)


@given(heights, st.floats(0.01, 0.2))
def test_spread_labels_keep_their_order_and_their_distance(wanted: list[float], gap: float) -> None:
    placed = spread(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda at: (wanted[at], placed[at]))
    assert all(placed[after] - placed[before] >= gap - 1e-6 for before, after in pairwise(order))


@given(heights, st.floats(0.01, 0.2))
def test_labels_that_have_room_stay_where_they_are(wanted: list[float], gap: float) -> None:
    apart = [number * (gap + 0.01) + height * 0.005 for number, height in enumerate(wanted)]
    assert spread(apart, gap) == pytest.approx(apart, abs=1e-8)


def test_no_two_policies_look_alike() -> None:
    many = [*known_policies(), *(f"policy {number}" for number in range(6))]
    looks = [(look["color"], str(look.get("linestyle", "solid"))) for look in styles(many).values()]
    assert len(set(looks)) == len(many)
    assert len({label_of(policy) for policy in many}) == len(many)


@pytest.mark.parametrize("weights", ["unit", "size"])
def test_curves_of_several_traces_are_drawn_as_one_picture(weights: Weights, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trace = Trace.from_columns(rng.zipf(1.3, 2_000) % 300, size=rng.integers(1, 900, 2_000), name="a")
    rows = [
        row
        for name in ("a", "b")
        for row in simulate(replace(trace, name=name), known_policies(), ["1%", "9", "100%"], weights=weights)
    ]
    draw_curves(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
