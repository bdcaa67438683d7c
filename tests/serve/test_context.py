"""Contexts: keys of one kind look alike, and what a kind of key does is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecache import Cache, _core
from forecache.errors import TraceFormatError
from forecache.record.trace import Trace
from forecache.study.simulate import simulate

ALIKE: list[tuple[Any, Any]] = [
    ("user:1", "user:27"),
    (b"user:1", b"user:27"),
    ("https://example.org/a", "https://example.org/b"),
    ("/api/users/1", "/api/users/2"),
    ("user_17", "user_9"),
    (("orders", 1), ("orders", 2)),
    (("app.views.price", 7, "EUR"), ("app.views.price", 7, "USD")),
    (("state", "é", 4), ("state", "é", 5)),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ("user:1", "order:1"),
    ("user:1:name", "user:2:name"),
    ("/api/users/1", "/api/orders/1"),
    ("user_17", "order-17"),
    (("orders", 1), ("customers", 1)),
    (("price", 7, "EUR"), ("price", 8, "EUR")),
]
WITHOUT: list[Any] = [
    7,
    2.5,
    None,
    True,
    "",
    "user",
    ":user",
    "user:",
    "17",
    "f3a9c2",
    (),
    (1,),
    (None, 2),
    "\ud800:1",
    object(),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_keys_of_one_kind_have_one_context(one: Any, other: Any) -> None:
    assert _core.context(one) == _core.context(other) != 0


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_keys_of_several_kinds_have_several(one: Any, other: Any) -> None:
    assert _core.context(one) != _core.context(other)


@pytest.mark.parametrize("key", WITHOUT)
def test_keys_whose_looks_tell_nothing_have_none(key: Any) -> None:
    assert _core.context(key) == 0


def mixed(count: int, seed: int) -> Trace:
    """Sessions, each asked for some ten times and then no more, and reports that nobody asks for twice."""
    random = np.random.default_rng(seed)
    session = random.random(count) < 0.5
    begun = np.cumsum(session & (random.random(count) < 0.1))  # sessions so far
    key = np.where(session, np.maximum(begun - random.integers(0, 100, count), 0), 10**6 + np.arange(count))
    context = np.where(session, _core.context("session:1"), _core.context("report:1")).astype(np.uint16)
    return Trace.from_columns(key.astype(np.uint64), context=context)


def test_what_a_kind_of_key_does_is_learned() -> None:
    trace = mixed(20_000, seed=1)
    plain = Trace.from_columns(trace.key)
    with_context, without = (simulate(each, ["learned"], ["100"])[0].hits for each in (trace, plain))
    assert with_context > 1.02 * without


def test_a_trace_keeps_its_contexts(tmp_path: Path) -> None:
    trace = mixed(100, seed=2)
    trace.write(tmp_path / "trace.parquet")
    again = Trace.read(tmp_path / "trace.parquet")[10:]
    assert again.context is not None
    assert trace.context is not None
    assert again.context.tolist() == trace.context[10:].tolist()
    Trace.from_columns([1]).write(tmp_path / "plain.parquet")
    assert Trace.read(tmp_path / "plain.parquet").context is None
    with pytest.raises(TraceFormatError, match="context"):
        Trace.from_columns([1], context=[2**16])


def test_a_log_tells_the_contexts_and_its_replay_hits_where_the_cache_did(tmp_path: Path) -> None:
    trace = mixed(20_000, seed=4)
    cache = Cache[tuple[str, int], int](capacity=100, seed=3, record=tmp_path)
    for number in trace.key.tolist():
        cache.get_or_load(("report" if number >= 10**6 else "session", number), lambda key: key[1])
    cache.close()
    logged = Trace.read(tmp_path)
    assert logged.context is not None
    assert set(logged.context.tolist()) == {_core.context((kind, 1)) for kind in ("report", "session")}
    assert simulate(logged, ["learned"], ["100"], seed=3)[0].hits == cache.stats().hits


def test_what_is_known_of_a_kind_is_told() -> None:
    cache = Cache[str, int](capacity=10, seed=3)
    cache["user:1"] = cache["17"] = 1
    named, nameless = cache.explain("user:1"), cache.explain("17")
    assert named is not None
    assert nameless is not None
    assert named.features["since_context"] < nameless.features["since_context"] == 255
