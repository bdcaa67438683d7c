"""Laws of estimated bytes: near to what values really occupy, and looking at a value changes nothing in it."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from forecache import Cache
from forecache.serve.weigh import BOOKKEEPING_BYTES, bytes_of, estimate_bytes
from tests.serve.threads import outcome, start

TOLERANCE = 0.30  # as the docstring of estimate_bytes says


@dataclass
class Plain:
    name: str
    number: int
    parts: list[str]


@dataclass(slots=True)
class Slotted:
    name: str
    number: int


class Private:
    __slots__ = "__hidden"

    def __init__(self, hidden: str) -> None:
        self.__hidden = hidden


def text(length: int) -> str:
    return "abc"[length % 3] * length


VALUES: dict[str, Callable[[int], Any]] = {
    "str": lambda i: text(100 + i % 50),
    "wide str": lambda i: "ü" * (100 + i % 50) + "𝄞",
    "bytes": lambda i: bytes(200 + i % 50),
    "int": lambda i: 10**50 + i,
    "list of str": lambda i: [text(20 + i % 7) for _ in range(20)],
    "long list of int": lambda i: [1000 + i * j for j in range(1000)],
    "long list of dict": lambda i: [{"id": 1000 + j, "name": text(10 + j % 3)} for j in range(300)],
    "row": lambda i: {"id": 1000 + i, "name": text(30 + i % 9), "price": i / 7, "tags": ["a", text(10)]},
    "tuple": lambda i: (1000 + i, text(40), i / 3),
    "set": lambda i: {1000 + i + j for j in range(200)},
    "frozenset": lambda i: frozenset(text(20 + j) for j in range(30)),
    "deque": lambda i: deque(1000 + i + j for j in range(500)),
    "ordered dict": lambda i: OrderedDict((1000 + i + j, float(j)) for j in range(50)),
    "default dict": lambda i: defaultdict(list, {text(j + 20): [1000 + j] for j in range(30)}),
    "plain object": lambda i: Plain(text(60), 1000 + i, [text(30)]),
    "slotted object": lambda i: Slotted(text(60), 1000 + i),
    "private slot": lambda i: Private(text(200)),
    "exception": lambda i: ValueError(text(100)),
    "array": lambda i: bytearray(1000),
}


def real_bytes(make: Callable[[int], Any], count: int = 300) -> tuple[float, list[Any]]:
    """Mean bytes that values occupy, by the allocator's count."""
    values: list[Any] = [None] * count
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        values[number] = make(number)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count, values


@pytest.mark.parametrize("kind", VALUES)
def test_estimates_are_within_their_tolerance(kind: str) -> None:
    real, values = real_bytes(VALUES[kind])
    estimated = sum(bytes_of(value) for value in values) / len(values)
    assert abs(estimated - real) <= TOLERANCE * real, f"{estimated:.0f} estimated, {real:.0f} real"


def test_looking_at_a_value_takes_no_memory_and_runs_none_of_its_code() -> None:
    class Trap:
        def __init__(self) -> None:
            self.text = text(100)

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

        def __len__(self) -> int:
            raise AssertionError

        def __iter__(self) -> Any:
            raise AssertionError

        __eq__ = __hash__ = None  # type: ignore[assignment]

    values = [Trap() for _ in range(1000)]
    assert bytes_of(values[0]) > 100
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for value in values:
        bytes_of(value)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 1000, "no attribute dictionary was made"


def test_a_class_that_lies_about_its_size_or_its_items_is_believed_in_nothing_but_its_size() -> None:
    class Bad(dict[str, str]):
        def __sizeof__(self) -> int:
            raise ZeroDivisionError

        def items(self) -> Any:
            raise ZeroDivisionError

        def __len__(self) -> int:
            raise ZeroDivisionError

    assert bytes_of(Bad(a="x" * 1000)) > 1000


def test_cycles_and_shared_parts_count_once() -> None:
    big = text(100_000)
    cycle: list[Any] = [big]
    cycle.append(cycle)
    assert 100_000 < bytes_of(cycle) < 101_000
    assert 100_000 < bytes_of([big] * 50) < 102_000


def test_what_belongs_to_the_program_weighs_nothing() -> None:
    assert bytes_of([gc, Plain, text, print, len]) < 200


def test_a_value_that_others_change_can_be_weighed() -> None:
    value: dict[int, Any] = {number: [number] for number in range(50)}
    stop = threading.Event()

    def change() -> None:
        number = 50
        while not stop.is_set():
            value[number] = [number]
            value.pop(number - 40, None)
            number += 1

    changing = start(change)
    try:
        for _ in range(3000):
            assert bytes_of(value) > 0
    finally:
        stop.set()
    assert outcome(changing) is None


def test_a_budget_of_bytes_bounds_real_memory() -> None:
    """A cache of 2 MiB that is offered several times as much grows by 2 MiB, give or take the tolerance."""
    make = VALUES["row"]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    cache: Cache[str, Any] = Cache(max_bytes="2MiB", policy="lru")
    for number in range(12_000):
        cache[f"row {number}"] = make(number)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    in_rust = len(cache) * BOOKKEEPING_BYTES  # which tracemalloc does not see
    assert cache.weight <= 2**21
    assert abs(grown + in_rust - 2**21) < TOLERANCE * 2**21


def test_a_budget_of_bytes_uses_the_estimate() -> None:
    cache: Cache[str, bytes] = Cache(max_bytes="1MiB")
    cache["k"] = bytes(1000)
    entry = cache.peek("k")
    assert entry is not None
    assert entry.weight == cache.weight == estimate_bytes("k", bytes(1000))
    assert not cache.set("too big", bytes(2**20))
