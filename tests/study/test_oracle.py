"""The oracle, against a definition that looks ahead, and MIN with it, against all choices there are."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecache.record.trace import Trace
from forecache.study.oracle import NEVER, next_lookups
from forecache.study.simulate import BOUND, simulate

accesses = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=40)
short = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([False, False, False, True])), min_size=1, max_size=12)


def looked_ahead(rows: list[tuple[int, bool]]) -> list[int]:
    numbers, lookups = [], 0
    for _, is_write in rows:
        numbers.append(lookups)
        lookups += not is_write
    ahead = []
    for at, (key, is_write) in enumerate(rows):
        if not is_write:
            later = next((other for other in range(at + 1, len(rows)) if rows[other][0] == key), None)
            ahead.append(NEVER if later is None or rows[later][1] else numbers[later])
    return ahead


@given(accesses)
def test_the_oracle_tells_the_next_lookup_that_no_write_precedes(rows: list[tuple[int, bool]]) -> None:
    key, written = np.array([row[0] for row in rows], dtype=np.uint64), np.array([row[1] for row in rows])
    assert next_lookups(key, written).tolist() == looked_ahead(rows)


def most_hits(rows: list[tuple[int, bool]], capacity: int) -> int:
    """Hits of the best of all ways to evict, when every key that is missed is stored."""

    @cache
    def best(at: int, held: frozenset[int]) -> int:
        if at == len(rows):
            return 0
        key, is_write = rows[at]
        if is_write:
            return best(at + 1, held - {key})
        if key in held:
            return 1 + best(at + 1, held)
        if len(held) < capacity:
            return best(at + 1, held | {key})
        return max(best(at + 1, held - {victim} | {key}) for victim in held)

    return best(0, frozenset())


@given(short, st.integers(1, 3))
def test_min_with_the_oracle_is_the_best_of_all_ways_to_evict(rows: list[tuple[int, bool]], capacity: int) -> None:
    trace = Trace.from_columns([row[0] for row in rows], op=[int(row[1]) for row in rows])
    (found,) = simulate(trace, [BOUND], [capacity], sets="invalidate", jobs=1)
    assert found.hits == most_hits(rows, capacity)
