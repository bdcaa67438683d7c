"""Laws of the cache against a model: a dict that is told of every removal and keeps its own time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from forecache import POLICIES, Cache
from tests.clock import Clock
from tests.laws.keys import KEYS, place_of

TAGS = ["red", "green", "blue"]

keys = st.integers(0, len(KEYS) - 1)
moments = st.integers(1, 40).map(lambda quarters: quarters / 4)  # exact in nanoseconds


@dataclass
class Expected:
    value: str
    weight: int
    fresh_until: float
    expires_at: float
    tags: frozenset[str]


class CacheLaws(RuleBasedStateMachine):
    """`cache` is read in every way; its twin gets the same accesses and writes, but no other reading."""

    @initialize(
        policy=st.sampled_from(POLICIES),
        capacity=st.integers(1, 12),
        in_bytes=st.sampled_from([False, False, True]),
        ttl=st.none() | moments,
        stale_ttl=st.just(0.0) | moments,
        jitter=st.sampled_from([0.0, 0.0, 0.5]),
        seed=st.integers(0, 2**32),
        shards=st.sampled_from([1, 1, 1, 3]),
    )
    def make(
        self,
        policy: str,
        capacity: int,
        in_bytes: bool,
        ttl: float | None,
        stale_ttl: float,
        jitter: float,
        seed: int,
        shards: int,
    ) -> None:
        budget: dict[str, Any] = {"max_bytes": 600 * capacity} if in_bytes else {"capacity": capacity}
        if capacity < shards:
            shards = 1
        self.shards = shards
        self.ttl, self.stale_ttl, self.jitter, self.in_bytes = ttl, stale_ttl, jitter, in_bytes
        self.clock, self.model, self.count = Clock(), dict[int, Expected](), 0
        self.told: tuple[list[tuple[int, str, str]], ...] = ([], [])
        self.cache, self.twin = (
            Cache[Any, str](
                **budget,
                policy=policy,
                ttl=ttl,
                stale_ttl=stale_ttl,
                jitter=jitter,
                clock=self.clock,
                seed=seed,
                shards=shards,
                on_evict=lambda key, value, cause, told=told: told.append((place_of(key), value, cause)),
            )
            for told in self.told
        )

    # What changes something.

    @rule(
        key=keys,
        size=st.integers(0, 900),
        ttl=st.none() | moments,
        stale_ttl=st.none() | moments,
        tags=st.sets(st.sampled_from(TAGS)),
        weight=st.none() | st.integers(1, 15),
    )
    def set(
        self,
        key: int,
        size: int,
        ttl: float | None,
        stale_ttl: float | None,
        tags: set[str],
        weight: int | None,
    ) -> None:
        value = self.new_value(size)
        weight = None if self.in_bytes else weight
        stayed = self.both(
            lambda cache: cache.set(KEYS[key], value, ttl=ttl, stale_ttl=stale_ttl, tags=tags, weight=weight)
        )
        self.arrive(key, value, stayed, ttl, stale_ttl, tags)

    @rule(key=keys)
    def set_item(self, key: int) -> None:
        value = self.new_value(10)
        self.both(lambda cache: cache.__setitem__(KEYS[key], value))
        self.arrive(key, value, self.cache.peek(KEYS[key]) is not None, None, None, set())

    @rule(key=keys, ttl=st.none() | moments, tags=st.sets(st.sampled_from(TAGS)))
    def get_or_load(self, key: int, ttl: float | None, tags: set[str]) -> None:
        if self.is_stale(key):
            return  # refreshed by another thread: not for a test that knows what comes next
        fresh, value = self.fresh(key), self.new_value(10)
        got = self.both(lambda cache: cache.get_or_load(KEYS[key], lambda _: value, ttl=ttl, tags=tags))
        assert got == (value if fresh is None else fresh)
        if fresh is None:
            self.arrive(key, value, self.cache.peek(KEYS[key]) is not None, ttl, None, tags)

    @rule(key=keys)
    def fail_to_load(self, key: int) -> None:
        def fail(_: Any) -> str:
            raise LookupError("no such row")

        if self.is_stale(key):
            return
        fresh = self.fresh(key)
        assert self.both(lambda cache: caught(lambda: cache.get_or_load(KEYS[key], fail))) == (
            "LookupError" if fresh is None else fresh
        )

    @rule(key=keys)
    def delete(self, key: int) -> None:
        expected = self.model.get(key)
        was_there = expected is not None and self.clock() < expected.expires_at
        assert self.both(lambda cache: cache.delete(KEYS[key])) == was_there
        self.leave()

    @rule(key=keys)
    def pop(self, key: int) -> None:
        fresh = self.fresh(key)
        assert self.both(lambda cache: cache.pop(KEYS[key], None)) == fresh
        self.leave()

    @rule(tag=st.sampled_from(TAGS))
    def invalidate_tag(self, tag: str) -> None:
        tagged = sum(tag in expected.tags for expected in self.model.values())
        assert self.both(lambda cache: cache.invalidate_tag(tag)) == tagged
        self.leave(all_at_once=True)

    @rule()
    def clear(self) -> None:
        self.both(lambda cache: cache.clear())
        self.leave(all_at_once=True)
        assert not self.model

    @rule(seconds=moments)
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # What counts as an access.

    @rule(key=keys)
    def get(self, key: int) -> None:
        assert self.both(lambda cache: cache.get(KEYS[key])) == self.fresh(key)

    @rule(key=keys)
    def get_item(self, key: int) -> None:
        fresh = self.fresh(key)
        assert self.both(lambda cache: caught(lambda: cache[KEYS[key]])) == ("KeyError" if fresh is None else fresh)

    @rule(wanted=st.sets(keys.filter(lambda key: type(KEYS[key]) is str or KEYS[key] == ()), max_size=5))
    def get_many(self, wanted: set[int]) -> None:
        expected = {KEYS[key]: self.fresh(key) for key in wanted if self.fresh(key) is not None}
        assert self.both(lambda cache: cache.get_many([KEYS[key] for key in wanted])) == expected

    # What changes nothing; the twin is not asked.

    @rule(key=keys)
    def peek(self, key: int) -> None:
        entry, expected = self.cache.peek(KEYS[key]), self.model.get(key)
        if expected is None or self.clock() >= expected.expires_at:
            assert entry is None
        else:
            assert entry is not None
            assert (entry.value, entry.weight) == (expected.value, expected.weight)

    @rule(key=keys)
    def contains(self, key: int) -> None:
        assert (KEYS[key] in self.cache) == (self.fresh(key) is not None)
        assert (KEYS[key] in self.cache.keys()) == (self.fresh(key) is not None)  # noqa: SIM118 - the view

    @rule()
    def look_around(self) -> None:
        fresh = {key: value for key in self.model if (value := self.fresh(key)) is not None}
        assert {place_of(key): value for key, value in self.cache.items()} == fresh
        assert sorted(self.cache.values()) == sorted(fresh.values())
        assert {place_of(key) for key in self.cache} == {place_of(key) for key in self.cache.keys()} == set(fresh)  # noqa: SIM118
        assert all(pair in self.cache.items() for pair in self.cache.items())
        assert f"{len(self.model)} entries" in repr(self.cache)
        self.cache.stats()

    # What is always so.

    @invariant()
    def the_weight_is_within_the_capacity(self) -> None:
        assert self.cache.weight == sum(expected.weight for expected in self.model.values()) <= self.cache.capacity
        assert len(self.cache) == len(self.model)

    @invariant()
    def reading_changed_nothing(self) -> None:
        assert self.told[0] == self.told[1]
        counts, twins = self.cache.stats(), self.twin.stats()
        assert (counts.hits, counts.misses, counts.stale) == (twins.hits, twins.misses, twins.stale)

    def new_value(self, size: int) -> str:
        self.count += 1
        return f"{self.count} {'x' * size}"

    def both(self, act: Any) -> Any:
        """What an operation returns; it is the same for the cache and for its twin."""
        self.seen = len(self.told[0])
        result = act(self.cache)
        assert act(self.twin) == result
        return result

    def fresh(self, key: int) -> str | None:
        expected = self.model.get(key)
        return expected.value if expected is not None and self.clock() < expected.fresh_until else None

    def is_stale(self, key: int) -> bool:
        return key in self.model and self.model[key].fresh_until <= self.clock() < self.model[key].expires_at

    def leave(self, arrived: str | None = None, *, all_at_once: bool = False) -> None:
        """Takes out of the model what the listener was told of, and checks the causes."""
        for key, value, cause in self.told[0][self.seen :]:
            if value == arrived:
                assert cause in {"rejected", "evicted"}
                continue
            expected = self.model.pop(key)
            assert value == expected.value
            is_expired = self.clock() >= expected.expires_at and not all_at_once
            assert (cause == "expired") == is_expired, f"{cause} while it expires at {expected.expires_at}"
        self.seen = len(self.told[0])

    def arrive(
        self, key: int, value: str, stayed: bool, ttl: float | None, stale_ttl: float | None, tags: set[str]
    ) -> None:
        """Puts into the model what was stored, and checks how it will age."""
        causes = [cause for _, _, cause in self.told[0][self.seen :]]
        self.leave(value)
        if "evicted" in causes and self.shards == 1:
            assert all(expected.expires_at > self.clock() for expected in self.model.values()), "expired leave first"
        if not stayed:
            assert key not in self.model
            return
        entry = self.cache.peek(KEYS[key])
        assert entry is not None
        assert entry.value == value
        ttl = self.ttl if ttl is None else ttl
        stale_ttl = self.stale_ttl if stale_ttl is None else stale_ttl
        fresh_until, expires_at = float("inf"), float("inf")
        if ttl is not None:
            fresh_until, expires_at = entry.fresh_until or 0.0, entry.expires_at or 0.0
            assert self.clock() + ttl * (1 - self.jitter) <= fresh_until + 1e-8
            assert fresh_until <= self.clock() + ttl
            assert abs(expires_at - fresh_until - stale_ttl) < 1e-8
        self.model[key] = Expected(value, entry.weight, fresh_until, expires_at, frozenset(tags))


def caught(act: Any) -> Any:
    try:
        return act()
    except (KeyError, LookupError) as error:
        return type(error).__name__


TestCacheLaws = CacheLaws.TestCase
TestCacheLaws.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
