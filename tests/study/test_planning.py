"""Laws of plans: simulated fleets do what small examples say, changes are compared fairly, and the advice follows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from forecache.errors import ConfigurationError, EmptyTraceError, UnknownPolicyError
from forecache.record.trace import Op, Trace
from forecache.study.fleet import simulate_fleet
from forecache.study.models.fleet import Fleet, Load
from forecache.study.planning import Outlook, Plan, Scene, advice, changes, compare, is_looser, with_writes
from forecache.study.prices import Prices
from forecache.study.simulate import simulate

PRICES = Prices(miss=1e-6, hit=1e-7, gib_month=3.5)


def drawn(accesses: int = 40_000, keys: int = 3_000, writes: float = 0.02, seed: int = 0) -> Trace:
    rng = np.random.default_rng(seed)
    weights = np.arange(1, keys + 1) ** -0.8
    key = rng.choice(keys, accesses, p=weights / weights.sum())
    op = (rng.random(accesses) < writes).astype(np.uint8)
    return Trace.from_columns(key, time=np.arange(accesses) * 5, op=op, metadata={"time_unit": "ms"})


@pytest.mark.parametrize("policy", ["lru", "tinylfu"])
def test_a_fleet_of_one_is_the_simulator(policy: str) -> None:
    trace = drawn(writes=0)
    found = simulate_fleet(trace, Fleet(1, 200), policy=policy, warm_up=0)
    exact = 0 if policy == "lru" else 0.005  # a sketch confuses other keys
    assert found.in_process == pytest.approx(simulate(trace, [policy], [200])[0].hit_ratio, abs=exact)
    assert (found.in_tier, found.stale) == (0, 0)


def test_a_write_makes_the_next_read_of_every_process_a_miss() -> None:
    reads, write = [(1, Op.GET)] * 40, [(1, Op.SET)]
    key, op = zip(*reads, *write, *reads, strict=True)
    trace = Trace.from_columns(list(key), op=list(op))
    found = simulate_fleet(trace, Fleet(4, 10, 10), warm_up=0)
    assert found.database == 2 / 80  # once before, once after the write
    assert found.in_tier == 6 / 80  # three other processes each time
    alone = simulate_fleet(trace, Fleet(4, 10), warm_up=0)
    assert alone.database == 8 / 80


def test_nothing_older_than_the_bound_is_served_not_even_through_the_tier() -> None:
    op = [Op.GET, Op.SET] + [Op.GET] * 98
    trace = Trace.from_columns([1] * 100, time=list(range(100)), op=op)
    for fleet in (Fleet(3, 5, bound=40, invalidates=False), Fleet(3, 5, 5, bound=40, invalidates=False)):
        found = simulate_fleet(trace, fleet, warm_up=0)
        assert 0 < found.stale <= 40 / 99
    assert simulate_fleet(trace, Fleet(3, 5, 5, bound=40), warm_up=0).stale == 0


def test_a_key_belongs_to_as_many_processes_as_share_it() -> None:
    trace = Trace.from_columns([7] * 200)
    for sharing in (1, 2, 5):
        found = simulate_fleet(trace, Fleet(5, 3, sharing=sharing), warm_up=0)
        assert round(found.database * 200) == sharing


def test_changes_change_one_thing_and_the_memory_is_that_of_today_where_it_is_said() -> None:
    today = Plan("today", Fleet(4, 1_000, bound=30.0), "lru")
    plans = list(changes(today, ["lru", "tinylfu"]))
    names = [plan.name for plan in plans]
    assert len(set(names)) == len(names)
    assert "policy tinylfu" in names
    assert "policy lru" not in names
    for plan in plans:
        assert plan.fleet != today.fleet or plan.policy != today.policy
        if "same memory" in plan.name or "half of the memory" in plan.name:
            assert plan.memory(1) == today.memory(1)
    with_tier = Plan("today", Fleet(4, 1_000, 500), "lru")
    assert {"no shared tier", "twice the shared tier"} <= {plan.name for plan in changes(with_tier, [])}
    assert {"a bound of 1m in place of invalidation"} <= {plan.name for plan in changes(with_tier, [])}


def scene(trace: Trace, **settings: object) -> Scene:
    return Scene.of(trace, 50, prices=PRICES, entry_bytes=1024, **settings)  # type: ignore[arg-type]


def test_a_sample_tells_what_the_whole_tells() -> None:
    trace, plan = drawn(), Plan("today", Fleet(2, 400), "lru")
    whole, some = (scene(trace, accesses=count).load(plan) for count in (10**6, 15_000))
    assert some.database == pytest.approx(whole.database, abs=0.03)
    assert whole == simulate_fleet(trace, plan.fleet, seconds_per_tick=5e-3)


def test_the_rate_is_that_of_the_times_or_as_given() -> None:
    trace = drawn(writes=0)
    assert scene(trace).reads_per_second == pytest.approx(200, rel=0.01)
    faster = scene(trace, requests_per_second=1_000.0)
    assert faster.reads_per_second == pytest.approx(1_000)
    assert faster.seconds_per_tick == pytest.approx(0.0002, rel=0.01)
    with pytest.raises(ConfigurationError, match="give requests_per_second"):
        scene(Trace.from_columns([1, 2, 3]))
    with pytest.raises(EmptyTraceError, match="has no access"):
        scene(Trace.from_columns([]))


def test_the_advice_names_the_cheapest_change_and_what_it_brings() -> None:
    outlooks, said = compare(scene(drawn()), Plan("today", Fleet(6, 60), "lru"), ["tinylfu"])
    costs = [outlook.cost for outlook in outlooks[1:]]
    assert costs == sorted(costs)
    assert said.startswith(f"Change first: {outlooks[1].plan.name}. The database then answers ")
    assert outlooks[0].plan.name == "today"
    assert outlooks[1].to_dict()["plan"] == outlooks[1].plan.name


def test_where_nothing_pays_it_says_so() -> None:
    everything = Plan("today", Fleet(1, 3_000), "lru")
    assert compare(scene(drawn(writes=0)), everything, [])[1].startswith("Leave it as it is: none of these changes")


def test_who_wants_fresh_answers_is_told_what_to_do_besides() -> None:
    def outlook(name: str, fleet: Fleet, spent: float) -> Outlook:
        return Outlook(Plan(name, fleet, "lru"), Load(0.5, 0.0, 0.5, 0.0), spent, 1024.0, 1.0, spent)

    fleet = Fleet(2, 100)
    aged = outlook("a bound", replace(fleet, bound=60.0, invalidates=False), 10)
    fewer = outlook("fewer", Fleet(1, 200), 50)
    now = outlook("today", fleet, 90)
    said = advice(now, [aged, fewer])
    assert said.startswith("Change first: a bound. The database then answers 10 reads a second in place of 90, ")
    assert "If answers may not be staler than today: fewer. The database then answers 50 reads" in said
    assert "staler" not in advice(now, [fewer])
    assert "staler" not in advice(now, [aged, outlook("no gain", Fleet(1, 200), 91)])
    assert not is_looser(replace(fleet, bound=math.inf), replace(fleet, bound=5.0, invalidates=False))


def test_writes_are_drawn_at_the_ratio_that_is_asked_for() -> None:
    trace = with_writes(drawn(writes=0), 0.3)
    assert trace.op.mean() == pytest.approx(0.3, abs=0.02)
    with pytest.raises(ConfigurationError, match="write ratio is 1"):
        with_writes(trace, 1)


def test_a_policy_that_cannot_serve_is_refused() -> None:
    with pytest.raises(UnknownPolicyError, match="policy 'min' cannot serve"):
        simulate_fleet(drawn(100), Fleet(1, 5), policy="min")
    with pytest.raises(EmptyTraceError, match="no read after the warm-up"):
        simulate_fleet(Trace.from_columns([1, 2], op=[1, 1]), Fleet(1, 5))
