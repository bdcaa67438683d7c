"""Levels and certificates."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.coherence.certificate import Certificate
from forecache.coherence.level import EVENTUAL, KINDS, SESSION, STRONG, Level
from forecache.errors import DurationError, LevelError

levels = st.one_of(
    st.sampled_from([EVENTUAL, SESSION, STRONG]),
    st.floats(min_value=1e-6, max_value=1e6).map(lambda seconds: Level.bounded(round(seconds, 6))),
)


@given(levels)
def test_a_level_reads_what_it_writes(level: Level) -> None:
    assert Level.parse(str(level)) == level
    assert Level.parse(level) is level


def test_every_kind_has_a_form() -> None:
    assert {Level.parse(form).kind for form in ("eventual", "bounded(1s)", "session", " strong ", "snapshot")} == set(
        KINDS
    )


@pytest.mark.parametrize("age", ["250ms", 0.25, timedelta(milliseconds=250)])
def test_a_bound_is_any_duration(age: object) -> None:
    assert Level.bounded(age) == Level("bounded", 0.25)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "level", ["", "bounded", "bounded()", "bounded(1s", "Strong", "strong(1s)", 1, None, b"strong"]
)
def test_what_is_no_level_is_refused_with_the_forms_there_are(level: object) -> None:
    with pytest.raises((LevelError, DurationError), match=r"expected|duration"):
        Level.parse(level)  # type: ignore[arg-type]


@pytest.mark.parametrize("age", ["0s", "-1s", "soon"])
def test_a_bound_is_above_nothing(age: str) -> None:
    with pytest.raises(DurationError):
        Level.parse(f"bounded({age})")


@given(levels, st.none() | st.floats(min_value=0, max_value=1e7))
def test_a_certificate_keeps_a_level_iff_its_age_is_proven_and_allowed(level: Level, age: float | None) -> None:
    proof = Certificate("process", "", 0, None, age)
    needed = level.seconds if level.kind in {"bounded", "strong"} else math.inf
    assert proof.keeps(level) == (needed == math.inf or (age is not None and age <= needed))
