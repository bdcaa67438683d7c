"""Laws of settings: each is checked where it is given, and the message says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from forecache import POLICIES, Cache, ForecacheError
from forecache.errors import CapacityError, ConfigurationError, DurationError, UnknownPolicyError

WRONG: list[tuple[dict[str, Any], type[ForecacheError], str]] = [
    ({}, CapacityError, "neither capacity nor max_bytes is given; expected one: capacity=10_000"),
    ({"capacity": 1, "max_bytes": 1}, CapacityError, "both capacity and max_bytes are given; expected one"),
    ({"capacity": 0}, CapacityError, r"capacity is 0; expected 1 to 2\*\*62"),
    ({"capacity": -1}, CapacityError, "capacity is -1; expected 1"),
    ({"capacity": 2**63}, CapacityError, "capacity is 9223372036854775808; expected"),
    ({"capacity": "5"}, CapacityError, "capacity is '5'; expected a whole number of entries, or use max_bytes"),
    ({"capacity": 5.0}, CapacityError, "capacity is 5.0; expected a whole number"),
    ({"capacity": True}, CapacityError, "capacity is True; expected a whole number"),
    ({"max_bytes": 0}, CapacityError, "max_bytes is 0; expected 1"),
    ({"max_bytes": "5X"}, CapacityError, "unknown unit 'X'; expected one of B, KiB"),
    ({"max_bytes": "1M"}, CapacityError, "ambiguous.*write 'MB' or 'MiB'"),
    ({"policy": "lro"}, UnknownPolicyError, f"unknown policy 'lro'; expected one of {', '.join(POLICIES)}"),
    ({"policy": "min"}, UnknownPolicyError, "unknown policy 'min'; expected one of"),
    ({"policy": None}, UnknownPolicyError, "unknown policy None; expected one of"),
    ({"policy": []}, UnknownPolicyError, r"unknown policy \[\]; expected one of"),
    ({"ttl": 0}, DurationError, "ttl is 0; expected more than 0 seconds, or None or infinity"),
    ({"ttl": "0s"}, DurationError, "ttl is 0; expected more than 0 seconds"),
    ({"ttl": -1}, DurationError, "duration -1 is out of range; expected 0 to"),
    ({"ttl": float("nan")}, DurationError, "duration nan is out of range"),
    ({"ttl": "soon"}, DurationError, "duration 'soon' is not understood.*write it like '5m'"),
    ({"ttl": True}, DurationError, "a duration of type bool cannot be used; write it like"),
    ({"ttl": [5]}, DurationError, "a duration of type list cannot be used; write it like"),
    ({"stale_ttl": -1}, DurationError, "duration -1 is out of range"),
    ({"stale_ttl": "x"}, DurationError, "duration 'x' is not understood"),
    ({"negative_ttl": -1}, DurationError, "duration -1 is out of range"),
    ({"jitter": 1}, ConfigurationError, r"jitter is 1; expected a share in \[0, 1\), such as 0.1"),
    ({"jitter": -0.1}, ConfigurationError, "jitter is -0.1; expected a share"),
    ({"jitter": "much"}, ConfigurationError, "jitter is 'much'; expected a share"),
    ({"jitter": float("nan")}, ConfigurationError, "jitter is nan; expected a share"),
    ({"seed": -1}, ConfigurationError, "seed is -1; expected a whole number from 0 to"),
    ({"seed": 1.5}, ConfigurationError, "seed is 1.5; expected a whole number"),
    ({"seed": 2**64}, ConfigurationError, "seed is 18446744073709551616; expected a whole number"),
    ({"shards": 0}, ConfigurationError, "shards is 0; expected a whole number from 1 to 5"),
    ({"shards": 6}, ConfigurationError, "shards is 6; expected a whole number from 1 to 5"),
    ({"shards": 1.0}, ConfigurationError, "shards is 1.0; expected a whole number"),
    (
        {"clock": 3},
        ConfigurationError,
        "clock is 3, which cannot be called; expected a function such as time.monotonic",
    ),
    ({"weigher": "len"}, ConfigurationError, "weigher is 'len', which cannot be called; expected a function such as"),
    ({"on_evict": 5}, ConfigurationError, "on_evict is 5, which cannot be called; expected a function such as"),
]


@pytest.mark.parametrize(("settings", "error", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_a_setting_that_cannot_be_used_is_told(
    settings: dict[str, Any], error: type[ForecacheError], message: str
) -> None:
    needs_capacity = settings and not {"capacity", "max_bytes"} & set(settings)
    with pytest.raises(error, match=message) as caught:
        Cache(**({"capacity": 5} if needs_capacity else {}), **settings)
    assert isinstance(caught.value, (ConfigurationError, ValueError))


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda cache: cache.set(1, 2, ttl="soon"), DurationError, "is not understood"),
        (lambda cache: cache.set(1, 2, ttl=0), DurationError, "ttl is 0; expected more than 0 seconds"),
        (lambda cache: cache.set(1, 2, ttl=0.0), DurationError, "ttl is 0; expected more than 0 seconds"),
        (lambda cache: cache.set(1, 2, ttl=-1.0), DurationError, "out of range"),
        (lambda cache: cache.set(1, 2, ttl=float("nan")), DurationError, "out of range"),
        (lambda cache: cache.set(1, 2, stale_ttl="x"), DurationError, "is not understood"),
        (lambda cache: cache.set(1, 2, weight=0), ValueError, "weight is 0; expected a whole number from 1 to"),
        (lambda cache: cache.set(1, 2, weight=-1), ValueError, "weight is -1; expected a whole number"),
        (lambda cache: cache.set(1, 2, weight=2**64), ValueError, "weight is 18446744073709551616; expected"),
        (lambda cache: cache.set(1, 2, weight=1.5), ValueError, "weight is 1.5; expected a whole number"),
        (lambda cache: cache.set(1, 2, tags="red"), TypeError, r"tags is the str 'red'; expected several, as in"),
        (lambda cache: cache.set(1, 2, tags=[1]), TypeError, "tag 1 is no str; expected a str such as 'user:7'"),
        (lambda cache: cache.set(1, 2, tags=5), TypeError, "not iterable"),
        (lambda cache: cache.invalidate_tag(5), TypeError, "tag 5 is no str; expected a str such as 'user:7'"),
        (lambda cache: cache.get_or_load(1, "x"), TypeError, "not callable"),
        (lambda cache: cache.get_many(5), TypeError, "not iterable"),
    ],
)
def test_an_argument_that_cannot_be_used_is_told_and_nothing_changes(
    use: Callable[[Cache[Any, Any]], object], error: type[Exception], message: str
) -> None:
    cache: Cache[Any, Any] = Cache(5)
    cache["k"] = 1
    with pytest.raises(error, match=message):
        use(cache)
    assert dict(cache) == {"k": 1}


@pytest.mark.parametrize("weight", [None, 0, -1, 1.5, "heavy"])
def test_a_weigher_that_returns_no_weight_is_told(weight: Any) -> None:
    cache: Cache[int, int] = Cache(5, weigher=lambda key, value: weight)
    with pytest.raises(ValueError, match=r"the weigher returned .*; expected a whole number from 1 to"):
        cache[1] = 1
    assert len(cache) == 0


def test_what_a_weigher_raises_is_raised() -> None:
    cache: Cache[int, str] = Cache(5, weigher=lambda key, value: len(value) + 1)
    cache[1] = "abc"
    for bad in (lambda: cache.set(2, 5), lambda: cache.set(1, 5)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="has no len"):
            bad()
    assert dict(cache) == {1: "abc"}


def test_a_weight_beyond_all_budgets_is_turned_away() -> None:
    cache: Cache[int, int] = Cache(2**62)
    for _ in range(3):
        assert not cache.set(1, 1, weight=2**64 - 1)
    assert cache.set(2, 2, weight=2**62)
    assert cache.weight == 2**62


def test_an_empty_column_is_an_empty_trace() -> None:
    from array import array

    from forecache import _core

    assert len(_core.Accesses(array("Q"))) == 0
