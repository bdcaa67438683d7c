"""The demo, end to end and small: what it measures is what the simulator says, and nothing is stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecache import POLICIES
from forecache.errors import CapacityError, ConfigurationError
from forecache.record.trace import Trace
from forecache.show import service
from forecache.show.demo import CURVE, run_demo
from forecache.show.findings import COMPARED, Outcome, Run, cost_of_learning, finding
from forecache.show.plots import draw_outcome
from forecache.show.progress import Silence
from forecache.show.stream import REQUESTS, Demo, prepare
from forecache.study.simulate import BASELINE, BOUND, known_policies, simulate

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run_demo(prepare(known_policies(), "5%", requests=3_000, seed=2), Silence())


def test_no_answer_of_any_policy_is_stale(outcome: Outcome) -> None:
    assert [run.policy for run in outcome.runs] == [None, *known_policies()]
    assert outcome.stale == []


def test_without_a_cache_every_read_is_a_query(outcome: Outcome) -> None:
    assert (outcome.runs[0].queries, outcome.runs[0].hits) == (outcome.runs[0].reads, 0)


def test_no_policy_hits_more_than_the_bound(outcome: Outcome) -> None:
    assert max(run.hits for run in outcome.runs) == outcome.run_of(BOUND).hits


def test_what_was_served_is_what_was_simulated(outcome: Outcome) -> None:
    policies = [policy for policy in known_policies() if policy != "learned"]  # live, it learns when a fit lands
    rows = simulate(outcome.demo.trace, policies, [outcome.demo.capacity], sets="invalidate", seed=outcome.demo.seed)
    assert {row.policy: row.hits for row in rows} == {policy: outcome.run_of(policy).hits for policy in policies}


def test_windows_add_up_to_the_whole(outcome: Outcome) -> None:
    assert len({len(run.hit_ratios) for run in outcome.runs}) == 1
    assert all(0 <= ratio <= 1 for run in outcome.runs for ratio in run.hit_ratios if ratio is not None)
    for run in outcome.runs:
        mean, median, p99 = run.read_seconds
        assert 0 < median <= p99
        assert 0 < mean < run.seconds


def test_the_picture_is_written(outcome: Outcome, tmp_path: Path) -> None:
    draw_outcome(outcome, tmp_path / "shop.png")
    assert (tmp_path / "shop.png").read_bytes().startswith(PNG)
    assert {row.capacity_spec for row in outcome.curve} == set(CURVE)


def test_a_cache_that_forgets_to_invalidate_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(service.Foresight):
        def delete(self, key: int, /) -> bool:
            return False

    monkeypatch.setattr("forecache.show.demo.front_of", lambda policy, *_: Forgetful(50, policy or "lru"))
    monkeypatch.setattr("forecache.show.demo.CURVE", ("5%",))
    demo = prepare(["fifo"], "50", requests=3_000)
    forgetful = run_demo(demo, Silence())
    monkeypatch.undo()
    truth = run_demo(demo, Silence())
    mixed = Outcome(demo, (truth.runs[0], forgetful.runs[1], truth.runs[1]), ())
    assert mixed.stale == ["fifo"]


def test_a_recorded_trace_is_served_key_by_key() -> None:
    trace = Trace.from_columns([2**64 - 1, 7, 2**64 - 1, 7, 0, 7], op=[0, 0, 1, 0, 0, 0], name="recorded")
    demo = prepare(["lru", "min"], "2", trace=trace)
    assert demo.requests() == [
        "GET /product/3",
        "GET /product/2",
        "PUT /product/3 price=3",
        "GET /product/2",
        "GET /product/1",
        "GET /product/2",
    ]
    found = run_demo(demo, Silence())
    assert [(run.reads, run.queries) for run in found.runs] == [(5, 5), (5, 3), (5, 3)]
    assert found.stale == []


def test_sets_may_be_read_like_gets() -> None:
    trace = Trace.from_columns([1, 1, 1], op=[0, 1, 1])
    assert set(prepare(["lru"], "1", trace=trace, sets="access").requests()) == {"GET /product/1"}


def test_a_long_trace_is_cut_unless_asked_for() -> None:
    trace = Trace.from_columns([1] * (REQUESTS + 5))
    counts = [len(prepare(["lru"], "1", trace=trace, requests=wanted).trace) for wanted in (None, 10, REQUESTS + 9)]
    assert counts == [REQUESTS, 10, REQUESTS + 5]
    assert prepare(["lru"], "1", trace=trace).recorded == REQUESTS + 5


def test_what_cannot_be_served_is_refused() -> None:
    with pytest.raises(CapacityError, match="the demo counts entries: write '2%' or '500'"):
        prepare(["lru"], "1MiB", requests=2_000)
    with pytest.raises(ConfigurationError, match="requests is 0; expected 1 or more"):
        prepare(["lru"], "2%", requests=0)


def found(hits: dict[str, int]) -> Outcome:
    demo = Demo(Trace.from_columns([1, 2, 3]), (), False, 3, 2, "2", tuple(hits), 0)
    runs = (Run(policy, 100, 100 - count, (), 1.0, (1.0, 1.0, 1.0), 0) for policy, count in hits.items())
    return Outcome(demo, (Run(None, 100, 100, (), 1.0, (1.0, 1.0, 1.0), 0), *runs), ())


@pytest.mark.parametrize(
    ("hits", "sentence"),
    [
        (
            {"lru": 20, "arc": 30, "min": 60},
            "With room for 2 of 3 keys, arc answered 30.0% of the reads without the database (LRU 20.0%; "
            "perfect foresight 60.0%); it saved 30 of 100 queries, and closed 25% of the gap from LRU to foresight.",
        ),
        (
            {"lru": 40, "arc": 30, "min": 60},
            "With room for 2 of 3 keys, no policy did better than LRU: lru answered 40.0% of the reads without the "
            "database (perfect foresight 60.0%); it saved 40 of 100 queries.",
        ),
        (
            {"arc": 30},
            "With room for 2 of 3 keys, arc answered 30.0% of the reads without the database; it saved 30 of 100 "
            "queries.",
        ),
        (
            {"min": 60},
            "With room for 2 of 3 keys, min answered 60.0% of the reads without the database; it saved 60 of 100 "
            "queries.",
        ),
    ],
)
def test_the_finding_says_in_one_sentence_what_the_numbers_say(hits: dict[str, int], sentence: str) -> None:
    assert finding(found(hits)) == sentence


def test_the_finding_names_the_default_policy_whether_it_is_the_best_or_not() -> None:
    default = next(iter(COMPARED))
    assert default in POLICIES
    other = next(policy for policy in POLICIES if policy not in {default, BASELINE})
    assert f"{default}, the default policy, answered 30.0%" in finding(found({default: 30, other: 20}))
    assert f"({default}, the default policy, 20.0%)" in finding(found({default: 20, other: 30}))


def test_what_learning_took_is_told_of_the_policies_that_learn() -> None:
    stream = prepare(["learned", "lru"], "5%", requests=20_000)
    outcome = run_demo(stream, Silence())
    told = {run.policy: cost_of_learning(run) for run in outcome.runs}
    assert (told[None], told["lru"]) == (None, None)
    learning = outcome.runs[1].learning
    assert learning is not None
    assert told["learned"] is not None
    assert f"fitted {learning.fits} models in {learning.fit_seconds:.2f} s" in told["learned"]
    assert outcome.to_dict()["rows"][1]["learning"]["fits"] == learning.fits
