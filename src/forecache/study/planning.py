"""What if: a service with its caches as they are, what each of some changes would bring, and which to make first.

Every plan is simulated on the same accesses, so that differences are due to the plan. They are those to a sample of the
keys, served by caches with the same share of the capacity (Waldspurger et al., USENIX ATC 2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from forecache.errors import ConfigurationError, EmptyTraceError
from forecache.extras import TRACES, extra
from forecache.record.trace import Op, Trace
from forecache.study.curves import TIME_UNITS
from forecache.study.fleet import WARM_UP, simulate_fleet
from forecache.study.miniature import sampled
from forecache.study.models.fleet import Fleet, Load
from forecache.study.prices import Prices, money, per_second
from forecache.units import format_duration, format_size

with extra(TRACES):
    import numpy as np

__all__ = ["Outlook", "Plan", "Scene", "compare", "with_writes"]

ACCESSES: Final = 200_000  # of a sample by default: a plan is simulated in a second
LEAST_ENTRIES: Final = 64  # of a cache in the sample, where all accesses allow it
MATTERS: Final = 0.02  # share of what the database and the memory cost now, below which a change is not worth making
INSTEAD: Final = 60.0  # seconds, the bound that is tried in place of invalidation


@dataclass(frozen=True, slots=True)
class Plan:
    """A service's caches."""

    name: str  # what is changed, in words
    fleet: Fleet  # of the whole service
    policy: str

    def memory(self, entry_bytes: float) -> float:
        """Bytes of all caches together."""
        return (self.fleet.processes * self.fleet.capacity + self.fleet.shared) * entry_bytes


@dataclass(frozen=True, slots=True)
class Scene:
    """What plans are compared on."""

    trace: Trace
    share: float  # of the keys that the trace holds
    reads: float  # after the warm-up, of all keys
    reads_per_second: float
    seconds_per_tick: float
    prices: Prices  # a hit is one in the shared tier
    entry_bytes: float
    seed: int

    @classmethod
    def of(
        cls,
        trace: Trace,
        least: int,
        *,
        prices: Prices,
        entry_bytes: float,
        requests_per_second: float | None = None,
        accesses: int = ACCESSES,
        seed: int = 0,
    ) -> Scene:
        """A sample of a trace.

        Args:
            trace: accesses; sets are writes.
            least: entries of the smallest cache that will be asked about.
            prices: of a miss, of a hit in the shared tier, and of memory.
            entry_bytes: memory of an entry.
            requests_per_second: of the service; by default as the times of the trace say.
            accesses: of the sample, about.
            seed: of every random choice.

        Raises:
            ConfigurationError: nobody knows how many requests a second there are.
            EmptyTraceError: there is no access.
        """
        if len(trace) == 0:
            raise EmptyTraceError(f"trace {trace.name!r} has no access; expected at least one")
        span, unit = trace.stats().span, TIME_UNITS.get(str(trace.metadata.get("time_unit")))
        share_of_trace = float(trace.metadata.get("sample", 1.0))
        known = None if unit is None or span == 0 else len(trace) / share_of_trace / (span * unit)
        rate = known if requests_per_second is None else requests_per_second
        if rate is None or not rate > 0:
            raise ConfigurationError(
                f"nobody knows how many requests a second {trace.name!r} had; give requests_per_second, above 0"
            )
        share = min(1.0, max(accesses / len(trace), LEAST_ENTRIES / max(least * share_of_trace, 1)))
        part = sampled(trace, share, seed)
        counted = trace.op[int(len(trace) * WARM_UP) :]
        reads = int(np.count_nonzero(counted == Op.GET))
        seconds = len(trace) / share_of_trace / rate  # that the trace takes at this rate
        return cls(
            trace=part,
            share=share * share_of_trace,
            reads=reads * share,
            reads_per_second=rate * reads / max(counted.size, 1),
            seconds_per_tick=seconds / max(span, 1),
            prices=prices,
            entry_bytes=entry_bytes,
            seed=seed,
        )

    def load(self, plan: Plan) -> Load:
        """Where reads are answered.

        What the sample misses or has too much of, it does in keys that are read all the time, and so hit.
        """
        fleet = plan.fleet
        small = replace(fleet, capacity=self._small(fleet.capacity), shared=self._small(fleet.shared))
        found = simulate_fleet(
            self.trace, small, policy=plan.policy, seconds_per_tick=self.seconds_per_tick, seed=self.seed
        )
        counted = int(np.count_nonzero(self.trace.op[int(len(self.trace) * WARM_UP) :] == Op.GET))
        scale = counted / self.reads
        tier, database = found.in_tier * scale, found.database * scale
        return Load(max(0.0, 1 - tier - database), tier, min(database, 1.0), found.stale * scale)

    def _small(self, capacity: int) -> int:
        return max(1, round(capacity * self.share)) if capacity else 0

    def outlook(self, plan: Plan) -> Outlook:
        """What a plan brings and costs."""
        load, memory = self.load(plan), plan.memory(self.entry_bytes)
        answered = self.reads_per_second * np.array([load.database, load.in_tier])
        spent = self.prices.cost(*answered.tolist())
        return Outlook(plan, load, float(answered[0]), memory, self.prices.rent(memory), spent)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A plan, and what it brings; money is a month's."""

    plan: Plan
    load: Load
    database_reads: float  # a second
    memory: float  # bytes
    rent: float  # money for them
    spent: float  # money for what the database and the shared tier answer

    @property
    def cost(self) -> float:
        """Money for all of it."""
        return self.rent + self.spent

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        fleet = asdict(self.plan.fleet) | {"sharing": self.plan.fleet.readers}
        fleet["bound"] = None if math.isinf(self.plan.fleet.bound) else self.plan.fleet.bound
        figures = {"database_reads": self.database_reads, "memory": self.memory, "rent": self.rent, "spent": self.spent}
        ratios = {name: float(value) for name, value in asdict(self.load).items()}
        return {"plan": self.plan.name, "policy": self.plan.policy, **fleet, **ratios, **figures, "cost": self.cost}


def compare(scene: Scene, today: Plan, policies: list[str]) -> tuple[list[Outlook], str]:
    """Today's outlook, then that of each change, the cheapest first; and what to change first, in plain words."""
    now = scene.outlook(today)
    others = sorted((scene.outlook(plan) for plan in changes(today, policies)), key=lambda outlook: outlook.cost)
    return [now, *others], advice(now, others)


def changes(today: Plan, policies: list[str]) -> Iterator[Plan]:
    """Plans that differ from today's in one thing."""
    fleet = today.fleet
    if fleet.capacity:
        yield replace(today, name="twice the memory in each process", fleet=replace(fleet, capacity=2 * fleet.capacity))
        yield replace(today, name="half the memory in each process", fleet=replace(fleet, capacity=fleet.capacity // 2))
        for policy in policies:
            if policy != today.policy:
                yield replace(today, name=f"policy {policy}", policy=policy)
    yield from other_processes(today)
    yield from other_tiers(today)
    yield from other_bounds(today)


def other_processes(today: Plan) -> Iterator[Plan]:
    """More or fewer of them with the same memory in all, and each key read by one only."""
    fleet = today.fleet
    in_all = fleet.processes * fleet.capacity
    if fleet.processes > 1:
        half = fleet.processes // 2
        fewer = replace(fleet, processes=half, capacity=in_all // half, sharing=at_most(fleet.sharing, half))
        yield replace(today, name=f"{half} processes, the same memory in all", fleet=fewer)
    if fleet.capacity:
        more = replace(fleet, processes=2 * fleet.processes, capacity=fleet.capacity // 2)
        yield replace(today, name=f"{2 * fleet.processes} processes, the same memory in all", fleet=more)
        if fleet.readers > 1:
            yield replace(today, name="each key read by one process only", fleet=replace(fleet, sharing=1))


def at_most(sharing: int | None, processes: int) -> int | None:
    """Processes that a key's reads go to, of so many."""
    return None if sharing is None else min(sharing, processes)


def other_tiers(today: Plan) -> Iterator[Plan]:
    """A shared tier where there is none; more of it, or none, where there is one."""
    fleet = today.fleet
    if fleet.shared:
        yield replace(today, name="twice the shared tier", fleet=replace(fleet, shared=2 * fleet.shared))
        if fleet.capacity:
            yield replace(today, name="no shared tier", fleet=replace(fleet, shared=0))
        return
    in_all = fleet.processes * fleet.capacity
    yield replace(today, name="a shared tier besides, of the memory of all", fleet=replace(fleet, shared=in_all))
    half = replace(fleet, capacity=fleet.capacity // 2, shared=in_all - fleet.processes * (fleet.capacity // 2))
    if half.capacity:
        yield replace(today, name="a shared tier with half of the memory", fleet=half)


def other_bounds(today: Plan) -> Iterator[Plan]:
    """A longer and a shorter bound, and writes that remove copies or do not."""
    fleet = today.fleet
    if math.isinf(fleet.bound):
        aged = replace(fleet, bound=INSTEAD, invalidates=False)
        yield replace(today, name=f"a bound of {format_duration(INSTEAD)} in place of invalidation", fleet=aged)
        return
    for factor in (4.0, 0.25):
        bound = fleet.bound * factor
        yield replace(today, name=f"a bound of {format_duration(bound)}", fleet=replace(fleet, bound=bound))
    if not fleet.invalidates:
        fresh = replace(fleet, bound=math.inf, invalidates=True)
        yield replace(today, name="invalidation in place of the bound", fleet=fresh)


def advice(now: Outlook, others: list[Outlook]) -> str:
    """What to change first, in plain words."""
    best = min(others, key=lambda outlook: outlook.cost)
    if now.cost - best.cost <= MATTERS * now.cost:
        return (
            f"Leave it as it is: none of these changes saves more than {money(max(now.cost - best.cost, 0))} of the "
            f"{money(now.cost)} a month that the database's work and the memory cost."
        )
    said = [f"Change first: {best.plan.name}. {consequences(now, best)}"]
    if is_looser(best.plan.fleet, now.plan.fleet):
        others = [other for other in others if not is_looser(other.plan.fleet, now.plan.fleet)]
        fresh = min(others, key=lambda outlook: outlook.cost)
        if now.cost - fresh.cost > MATTERS * now.cost:
            said.append(f"If answers may not be staler than today: {fresh.plan.name}. {consequences(now, fresh)}")
    return " ".join(said)


def consequences(now: Outlook, then: Outlook) -> str:
    """What a change brings, as a sentence."""
    memory = then.memory - now.memory
    amount = format_size(round(abs(memory)))
    takes = f"with {amount} {'more' if memory > 0 else 'less'} memory" if memory else "with the same memory"
    stale = f"; {then.load.stale:.1%} of the reads are stale" if then.load.stale > now.load.stale + MATTERS else ""
    return (
        f"The database then answers {per_second(then.database_reads)} reads a second in place of "
        f"{per_second(now.database_reads)}, "
        f"{takes}, and {money(now.cost - then.cost)} of {money(now.cost)} a month is saved{stale}."
    )


def is_looser(fleet: Fleet, than: Fleet) -> bool:
    """Whether answers may be staler."""
    return not fleet.invalidates and (than.invalidates or fleet.bound > than.bound)


def with_writes(trace: Trace, ratio: float, *, seed: int = 0) -> Trace:
    """The trace with a share of its accesses, drawn at random, as writes: for traces that hold reads only.

    Raises:
        ConfigurationError: the ratio is not within [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ConfigurationError(f"the write ratio is {ratio}; expected a share of the accesses in [0, 1)")
    op = (np.random.default_rng(seed).random(len(trace)) < ratio).astype(np.uint8)
    return replace(trace, op=op)
