"""The contract of a shared tier, over every way to reach it, by threads and by tasks.

`one` and `other` are two processes as far as the servers can tell: tiers with connections of their own.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache.keys import encode_key
from forecache.serve.budget import Budget
from forecache.serve.tier import Busy, Fill, Lease, Place, Tier, TierStats, Unavailable, Value
from tests.clock import Clock
from tests.contracts.tiers import KINDS, tiers, until
from tests.servers import Valkey

HOUR = 3600.0
Pair = tuple[Tier, Tier]


@pytest.fixture(scope="module", params=[(kind, tasks) for kind in KINDS for tasks in (False, True)], ids=str)
def pair(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Pair]:
    kind, tasks = request.param
    with tiers(kind, valkey, tasks=tasks) as make:
        yield make(), make()


@pytest.fixture
def table() -> str:
    """A table of its own for each test."""
    return f"tab:le {secrets.token_hex(4)}"


KEYS = [encode_key(key) for key in (1, "1", b"1", "{a}:b c\n", ("x", 2))]


def lease_of(tier: Tier, table: str, key: bytes = KEYS[0]) -> Lease:
    found = tier.read(table, [key])[0]
    assert isinstance(found, Lease), found
    return found


def fill(tier: Tier, table: str, payload: bytes, *, stamp: int = 0, key: bytes = KEYS[0]) -> None:
    assert tier.fill([Fill(lease_of(tier, table, key), payload, HOUR, stamp)]) == [True]


def payload(tier: Tier, table: str, key: bytes = KEYS[0]) -> bytes | None:
    found = tier.read(table, [key])[0]
    return found.payload if isinstance(found, Value) else None


def test_what_one_fills_the_other_reads(pair: Pair, table: str) -> None:
    one, other = pair
    leases = one.read(table, KEYS)
    assert all(isinstance(lease, Lease) for lease in leases)
    payloads = [b"", b"\0\xff|", b"x" * 100_000, b"L|", b"V|"]
    fills = [
        Fill(lease, bytes_, HOUR, stamp) for stamp, (lease, bytes_) in enumerate(zip(leases, payloads, strict=True))
    ]
    assert one.fill(fills) == [True] * 5
    found = other.read(table, KEYS)
    assert [(value.payload, value.stamp) for value in found if isinstance(value, Value)] == [
        *zip(payloads, range(5), strict=True)
    ]
    assert all(0 < value.ttl <= HOUR for value in found if isinstance(value, Value))


def test_of_two_who_miss_one_loads(pair: Pair, table: str) -> None:
    one, other = pair
    lease_of(one, table)
    busy = other.read(table, KEYS[:2])
    assert isinstance(busy[0], Busy)
    assert 0 < busy[0].retry_after < 60
    assert isinstance(busy[1], Lease)


def test_a_fill_that_an_invalidation_overtook_is_refused(pair: Pair, table: str) -> None:
    one, other = pair
    lease = lease_of(one, table)
    assert other.invalidate([lease.place])
    assert one.fill([Fill(lease, b"old", HOUR)]) == [False]
    fresh = lease_of(other, table)  # whoever comes next loads what is new
    assert one.fill([Fill(lease, b"old", HOUR)]) == [False]
    assert other.fill([Fill(fresh, b"new", HOUR)]) == [True]
    assert one.fill([Fill(lease, b"old", HOUR)]) == [False]
    assert payload(one, table) == b"new"


def test_an_invalidation_reaches_values_and_no_others(pair: Pair, table: str) -> None:
    one, other = pair
    for key in KEYS:
        fill(one, table, key, key=key)
    assert other.invalidate([Place(table, key) for key in KEYS[:3]])
    assert [type(found) for found in one.read(table, KEYS)] == [Lease, Lease, Lease, Value, Value]


def test_a_table_is_invalidated_as_a_whole_with_its_leases_and_no_other(pair: Pair, table: str) -> None:
    one, other = pair
    for key in KEYS[:3]:
        fill(one, table, b"old", key=key)
        fill(one, f"{table}:", b"another table's", key=key)
    lease = lease_of(one, table, KEYS[3])
    assert other.invalidate([], tables=[table])
    one.fill([Fill(lease, b"old", HOUR)])
    assert all(isinstance(found, Lease) for found in one.read(table, KEYS[:4]))
    assert all(isinstance(found, Value) for found in one.read(f"{table}:", KEYS[:3]))


def test_a_lease_that_is_given_back_is_free_and_only_by_its_holder(pair: Pair, table: str) -> None:
    one, other = pair
    lease = lease_of(one, table)
    other.release([Lease(lease.place, lease.token[:-1] + b"?")])
    assert isinstance(other.read(table, [KEYS[0]])[0], Busy)
    one.release([lease])
    lease_of(other, table)
    assert one.fill([Fill(lease, b"late", HOUR)]) == [False]


def test_values_that_are_too_old_are_leased_and_stay_if_they_are_not(pair: Pair, table: str) -> None:
    one, other = pair
    fill(one, table, b"five", stamp=5)
    assert isinstance(other.read(table, [KEYS[0]], since=5)[0], Value)
    lease = other.read(table, [KEYS[0]], since=6)[0]
    assert isinstance(lease, Lease)
    assert other.fill([Fill(lease, b"six", HOUR, 6)]) == [True]
    assert payload(one, table) == b"six"


@pytest.mark.parametrize("stamp", [1, 9, 10, 2**53 + 1, 2**63, 2**64 - 1])
def test_stamps_compare_as_numbers_of_64_bits(pair: Pair, table: str, stamp: int) -> None:
    one, _ = pair
    fill(one, table, b"", stamp=stamp)
    found = one.read(table, [KEYS[0]], since=stamp)[0]
    assert isinstance(found, Value)
    assert found.stamp == stamp
    if stamp < 2**64 - 1:
        assert isinstance(one.read(table, [KEYS[0]], since=stamp + 1)[0], Lease)


def test_many_places_in_one_call(pair: Pair, table: str) -> None:
    one, other = pair
    keys = [encode_key(number) for number in range(2500)]
    leases = [found for found in one.read(table, keys) if isinstance(found, Lease)]
    assert [lease.place.key for lease in leases] == keys
    assert all(one.fill([Fill(lease, lease.place.key, HOUR) for lease in leases]))
    assert [value.payload for value in other.read(table, keys) if isinstance(value, Value)] == keys
    assert other.invalidate([Place(table, key) for key in keys])
    assert {type(found) for found in one.read(table, keys)} == {Lease}


def test_nothing_asked_is_nothing_answered(pair: Pair, table: str) -> None:
    one, _ = pair
    one.release([])
    assert (one.read(table, []), one.fill([]), one.invalidate([])) == ([], [], True)


def test_a_request_without_time_asks_nobody(pair: Pair, table: str) -> None:
    one, _ = pair
    clock = Clock()
    budget = Budget(1, clock)
    lease = lease_of(one, table)
    clock.advance(1)
    assert isinstance(one.read(table, [KEYS[1]], budget=budget)[0], Unavailable)
    assert one.fill([Fill(lease, b"", HOUR)], budget=budget) == [False]
    assert one.invalidate([lease.place], budget=budget) is False
    assert one.invalidate([lease.place])
    until(lambda: "forecache-courier" not in {thread.name for thread in threading.enumerate()})  # or it delivers later


def test_what_happened_is_counted(pair: Pair, table: str) -> None:
    one, other = pair
    before = one.stats()
    lease = lease_of(one, table)
    assert one.fill([Fill(lease, b"", HOUR), Fill(lease, b"", HOUR)]) == [True, False]
    assert other.read(table, [KEYS[0], KEYS[1]])
    one.read(table, [KEYS[0], KEYS[1]])
    assert one.invalidate([lease.place], tables=[f"{table} too"])
    after = one.stats()
    names = ("values", "leases", "busy", "unavailable", "filled", "refused", "lost", "postponed", "outages")
    assert [getattr(after, name) - getattr(before, name) for name in names] == [1, 1, 1, 0, 1, 1, 0, 0, 0]
    assert after.invalidated > before.invalidated
    assert isinstance(after, TierStats)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["read", "fill", "release", "invalidate", "table"]), st.integers(0, 1), st.integers(0, 2)
    ),
    max_size=40,
)


class Model:
    """What a tier does, on dicts: a value, or who holds the lease."""

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}
        self.leases: dict[int, object] = {}

    def invalidate(self, places: list[int]) -> None:
        for place in places:
            self.values.pop(place, None)
            self.leases.pop(place, None)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_any_sequence_does_what_its_model_does(pair: Pair, operations: list[tuple[str, int, int]]) -> None:
    table, model, held = secrets.token_hex(8), Model(), dict[tuple[int, int], Any]()
    for number, (operation, who, place) in enumerate(operations):
        tier, key = pair[who], KEYS[place]
        match operation:
            case "read":
                found = tier.read(table, [key])[0]
                if place in model.values:
                    assert isinstance(found, Value)
                    assert found.payload == model.values[place]
                elif place in model.leases:
                    assert isinstance(found, Busy)
                else:
                    assert isinstance(found, Lease)
                    model.leases[place] = held[who, place] = found
            case "fill" if (who, place) in held:
                lease, bytes_ = held.pop((who, place)), b"%d" % number
                is_held = model.leases.get(place) is lease
                assert tier.fill([Fill(lease, bytes_, HOUR)]) == [is_held]
                if is_held:
                    del model.leases[place]
                    model.values[place] = bytes_
            case "release" if (who, place) in held:
                lease = held.pop((who, place))
                tier.release([lease])
                if model.leases.get(place) is lease:
                    del model.leases[place]
            case "invalidate":
                assert tier.invalidate([Place(table, key)])
                model.invalidate([place])
            case "table":
                assert tier.invalidate([], tables=[table])
                model.invalidate([0, 1, 2])
                held.clear()  # such a fill may be stored, and is never read
