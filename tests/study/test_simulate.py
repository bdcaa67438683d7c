"""Laws of simulations: rows are those of a naive twin, whatever the threads do, and gaps are what they say."""

from __future__ import annotations

import gc
import sys
import threading
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import _core
from forecache.errors import CapacityError, ConfigurationError, EmptyTraceError, UnknownPolicyError
from forecache.record.trace import Trace
from forecache.study.simulate import BASELINE, BOUND, Row, Sets, gap_closed, known_policies, share_of_gap, simulate
from forecache.units import Capacity, Weights

CONTRACT = [
    "trace",
    "policy",
    "capacity",
    "capacity_spec",
    "weights",
    "accesses",
    "hits",
    "hit_ratio",
    "byte_hit_ratio",
    "seconds",
]
rows_of_traces = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 5), st.sampled_from([0, 0, 0, 1])), min_size=1, max_size=80
)


def traced(rows: list[tuple[int, int, int]]) -> Trace:
    key, size, op = (list(column) for column in zip(*rows, strict=True))
    return Trace.from_columns(key, size=size, op=op)


def zipf(accesses: int = 20_000, seed: int = 0) -> Trace:
    return Trace.from_columns(np.random.default_rng(seed).zipf(1.2, accesses) % 5_000, name="zipf")


def naive_lru(trace: Trace, capacity: int, *, by_size: bool, invalidates: bool) -> tuple[int, int, int, int]:
    """Accesses, hits, bytes and bytes of hits of an LRU cache written on an ordered dict."""
    held: OrderedDict[int, int] = OrderedDict()
    accesses = hits = asked = served = 0
    for key, size, op in zip(trace.key.tolist(), trace.size.tolist(), trace.op.tolist(), strict=True):
        if op and invalidates:
            held.pop(key, None)
            continue
        accesses += 1
        asked += size
        if key in held:
            hits += 1
            served += size
            held.move_to_end(key)
        elif (weight := size if by_size else 1) <= capacity:
            while sum(held.values()) + weight > capacity:
                held.popitem(last=False)
            held[key] = weight
    return accesses, hits, asked, served


@given(rows_of_traces, st.integers(1, 12), st.sampled_from(["unit", "size"]), st.sampled_from(["access", "invalidate"]))
def test_rows_of_lru_are_those_of_its_naive_twin(
    rows: list[tuple[int, int, int]], capacity: int, weights: Weights, sets: Sets
) -> None:
    trace = traced([*rows, (0, 2, 0)])
    (row,) = simulate(trace, [BASELINE], [capacity], weights=weights, sets=sets, jobs=1)
    accesses, hits, asked, served = naive_lru(
        trace, capacity, by_size=weights == "size", invalidates=sets == "invalidate"
    )
    assert (row.accesses, row.hits) == (accesses, hits)
    assert (row.hit_ratio, row.byte_hit_ratio) == (hits / accesses, served / asked)


@given(rows_of_traces, st.integers(1, 6))
def test_without_sets_it_does_not_matter_what_sets_do(rows: list[tuple[int, int, int]], capacity: int) -> None:
    trace = traced([(key, size, 0) for key, size, _ in rows])
    counts = [
        [(row.policy, row.hits) for row in simulate(trace, known_policies(), [capacity], sets=sets, jobs=1)]
        for sets in ("access", "invalidate")
    ]
    assert counts[0] == counts[1]


@given(rows_of_traces, st.integers(1, 6))
def test_no_policy_that_admits_every_key_hits_more_than_min(rows: list[tuple[int, int, int]], capacity: int) -> None:
    trace = traced(rows)
    for sets in ("access", "invalidate"):
        found = simulate(trace, ["fifo", BASELINE, "lfu", BOUND], [capacity], sets=sets, jobs=1)
        assert max(row.hits for row in found) == found[-1].hits


def test_a_row_has_the_columns_of_the_contract() -> None:
    (row,) = simulate(zipf(100), [BASELINE], [" 10% "])
    assert list(asdict(row)) == CONTRACT
    assert (row.trace, row.policy, row.capacity_spec, row.weights) == ("zipf", BASELINE, "10%", "unit")


@pytest.mark.parametrize("weights", ["unit", "size"])
def test_capacities_are_those_of_units(weights: Weights) -> None:
    rng = np.random.default_rng(1)
    trace = Trace.from_columns(rng.integers(0, 977, 3_000), size=rng.integers(1, 10_000, 3_000))
    specs = ["0.1%", "1%", "33.3%", "100%", "57", *(["64KiB"] if weights == "size" else [])]
    rows = simulate(trace, [BASELINE], specs, weights=weights)
    assert [row.capacity for row in rows] == [Capacity.parse(spec).resolve(trace, weights=weights) for spec in specs]
    assert [row.capacity_spec for row in rows] == specs


def test_rows_come_by_capacity_and_then_by_policy_in_the_order_asked_for() -> None:
    rows = simulate(zipf(1000), ["lru", "arc", "lru"], [20, "1%"])
    assert [(row.capacity_spec, row.policy) for row in rows] == [
        ("20", "lru"),
        ("20", "arc"),
        ("1%", "lru"),
        ("1%", "arc"),
    ]


def test_how_many_run_at_once_changes_nothing_but_the_time() -> None:
    trace = zipf()
    one, many = (simulate(trace, known_policies(), ["0.5%", "5%"], jobs=jobs, seed=7) for jobs in (1, 5))
    assert [replace(row, seconds=0) for row in one] == [replace(row, seconds=0) for row in many]
    assert all(row.seconds > 0 for row in one + many)


def test_progress_never_falls_and_ends_at_the_total() -> None:
    told: list[tuple[int, int]] = []
    simulate(zipf(), known_policies(), ["1%"], on_progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (20_000 * len(known_policies()),) * 2


def test_an_interruption_ends_all_threads() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(zipf(200_000), known_policies(), ["1%", "2%", "3%"], jobs=3, on_progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forecache-study")]


@pytest.mark.parametrize("entered", range(1, 12))
def test_an_interrupt_while_it_waits_leaves_nothing_locked(entered: int) -> None:
    """Interrupts arrive as functions are entered: here the first after the first report, the second, and so on."""
    left = entered

    def trace(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            sys.settrace(None)
            raise KeyboardInterrupt

    def report(done: int, total: int) -> None:
        sys.settrace(trace)

    before = sys.gettrace()
    gc.disable()  # what its callbacks raise is lost
    try:
        with pytest.raises(KeyboardInterrupt):
            simulate(zipf(200_000), ["lru", "fifo"], ["1%", "2%", "3%"], jobs=2, on_progress=report)
    finally:
        sys.settrace(before)
        gc.enable()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forecache-study")]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"policies": ["lru", "best"]}, UnknownPolicyError, "unknown policy 'best'; expected one or more of fifo, lru"),
        ({"policies": []}, UnknownPolicyError, "no policy given"),
        ({"capacities": []}, CapacityError, "no capacity given"),
        ({"capacities": ["1MiB"]}, CapacityError, "1MiB is in bytes while every entry weighs 1"),
        ({"capacities": ["12x"]}, CapacityError, "unknown unit 'x'"),
        ({"weights": "size"}, CapacityError, "the trace has no sizes"),
        ({"jobs": 0}, ConfigurationError, "jobs is 0; expected 1 or more"),
        ({"sets": "drop"}, ConfigurationError, "sets is 'drop'; expected one of access, invalidate"),
        ({"trace": Trace.from_columns([])}, EmptyTraceError, "has no access"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    usable = {"trace": zipf(100), "policies": ["lru"], "capacities": ["1%"]}
    with pytest.raises(error, match=message):
        simulate(**(usable | arguments))  # type: ignore[arg-type]


def row(policy: str, hits: int, capacity: int = 10, trace: str = "t") -> Row:
    return Row(trace, policy, capacity, str(capacity), "unit", 100, hits, hits / 100, hits / 100, 1.0)


def test_the_gap_closed_is_told_within_one_trace_and_capacity() -> None:
    rows = [row("lru", 20), row("arc", 30), row("fifo", 10), row("min", 60)]
    rows += [
        row("arc", 70, capacity=20),
        row("min", 80, capacity=20),
        row("lru", 50, trace="u"),
        row("min", 50, trace="u"),
    ]
    assert gap_closed(rows) == [0.0, 0.25, -0.25, 1.0, None, None, None, None]


@given(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 50)), st.one_of(st.none(), st.integers(0, 50)))
def test_a_share_of_the_gap_is_0_at_lru_and_1_at_min(hits: int, baseline: int | None, bound: int | None) -> None:
    share = share_of_gap(hits, baseline, bound)
    assert (share is None) == (baseline is None or bound is None or bound <= baseline)
    if share is not None:
        assert (hits == baseline) == (share == 0)
        assert (hits == bound) == (share == 1)


def test_policies_are_those_of_the_core() -> None:
    assert known_policies() == (*_core.POLICIES, *_core.OFFLINE_POLICIES)
    assert {BASELINE, BOUND} <= set(known_policies())


def test_lru_on_a_published_trace_is_as_published(real_traces: Path) -> None:
    path = real_traces / "arc_oltp.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}; set FORECACHE_TRACES to the directory that has it")
    rows = simulate(Trace.read(path), [BASELINE], [1_000, 2_000, 5_000, 10_000, 15_000])
    assert [round(100 * (row.hit_ratio or 0), 2) for row in rows] == [32.83, 42.47, 53.65, 60.70, 64.63]


def test_shares_of_a_real_trace_have_the_hit_ratios_of_its_readme(real_traces: Path) -> None:
    cells = [line.split("|") for line in (real_traces / "README.md").read_text().splitlines()]
    table = {row[1].strip(): row for row in cells if len(row) > 8}
    for name in ("web12", "lirs_sprite", "wiki_edits"):
        trace = Trace.read(real_traces / f"{name}.parquet")
        lru = simulate(trace, [BASELINE], [round(share * trace.unique) for share in (0.001, 0.01, 0.1)])
        best = simulate(trace, [BOUND], [round(share * trace.unique) for share in (0.01, 0.1)])
        published = (
            " / ".join(f"{row.hit_ratio:.3f}"[1:] for row in lru),
            " / ".join(f"{row.hit_ratio:.3f}"[1:] for row in best),
        )
        assert published == (table[name][7].strip(), table[name][8].strip()), name
