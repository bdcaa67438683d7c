"""The best size: what more memory saves against what it costs.

    net(m) = λ · P(m) · (cost of a miss − cost of a hit) − price · m

P, the hit ratio, never falls as m grows, so that without a price the largest cache is the best.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from forecache.curve import MissRatioCurve
from forecache.errors import CapacityError, ConfigurationError
from forecache.extras import TRACES, extra
from forecache.study.prices import CORE_MONTH, Prices, money, parse_cost, parse_price
from forecache.units import format_size, parse_size

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["Market", "Sensitivity", "Sizing", "market_of", "optimal_size"]

Floats = npt.NDArray[np.float64]

MIB: Final = 1024**2
STEPS: Final = 600  # sizes that are compared
FLAT: Final = 0.02  # share of the best net benefit that may be missed without regret
WIDE: Final = 2.0  # a range of good sizes whose ends differ by this factor is called flat
AROUND: Final = 1.1  # factor to each side over which a slope is taken
FILLED: Final = 3.0  # times that a cache should have been filled before its hit ratio says much
FACTORS: Final = (0.25, 0.5, 2.0, 4.0)  # prices of memory, in relation to those of misses, that are tried


@dataclass(frozen=True, slots=True)
class Market:
    """A curve in bytes and money: what each size saves and costs."""

    curve: MissRatioCurve
    prices: Prices
    entry_bytes: float  # memory of one unit of the curve's capacity; 1 where that is bytes already
    requests_per_second: float

    def saved(self, size: float) -> float:
        """Money a month that a cache of so many bytes saves."""
        return self.prices.saved(self.requests_per_second * self.curve.hit_ratio(size / self.entry_bytes))

    def net(self, size: float) -> float:
        """The same, less its memory."""
        return self.saved(size) - self.prices.rent(size)

    def database_load(self, size: float) -> float:
        """Misses a second."""
        return self.requests_per_second * (1 - self.curve.hit_ratio(size / self.entry_bytes))

    def sizes(self) -> Floats:
        """Bytes to compare: none, and those of the curve with steps in between, shape (sizes,)."""
        known = np.array(self.curve.capacities, dtype=np.float64)
        every = np.concatenate((np.geomspace(known[0], known[-1], STEPS), known))
        return np.concatenate(([0.0], np.unique(every) * self.entry_bytes))

    def best(self) -> float:
        """The size with the largest net benefit, the smallest if there are several."""
        sizes = self.sizes()
        return float(sizes[int(np.argmax([self.net(size) for size in sizes]))])

    def value_of_mib(self, size: float) -> float:
        """Money a month that one more MiB saves, from the slope of the curve around a size, without its price."""
        low, high = size / AROUND, size * AROUND
        return (self.saved(high) - self.saved(low)) / (high - low) * MIB if size > 0 else self.saved(MIB)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The best size if prices were others."""

    factor: float  # of the price of memory, or one over it of that of a miss
    size: float  # bytes


@dataclass(frozen=True, slots=True)
class Sizing:
    """A size for one policy, and what speaks for it; money is a month's."""

    policy: str
    capacity: int  # in the unit of the curve, at least 0
    size: int  # bytes of that
    hit_ratio: float
    error: float  # standard error of it
    net_benefit: float  # money: saved less memory
    rent: float  # money for the memory
    value_of_mib: float  # money that one more MiB would save
    price_of_mib: float  # money that it would cost
    database_load: float  # misses a second
    good_from: int  # bytes; from here …
    good_to: int  # … to here the net benefit is within 2 % of the best
    filled: float  # times that the accesses would fill a cache of this size
    sensitivity: tuple[Sensitivity, ...]
    size_for_hit_ratio: int | None  # bytes; the least that reaches the target; None if none does, or none was given
    size_for_load: int | None
    today: int | None  # bytes
    net_today: float | None  # money: net benefit of today's size

    @property
    def is_flat(self) -> bool:
        """Whether sizes that differ much are equally good."""
        return self.good_to > WIDE * max(self.good_from, 1)

    @property
    def is_short(self) -> bool:
        """Whether the accesses are too few to tell."""
        return self.filled < FILLED

    def __str__(self) -> str:
        """The recommendation, in plain sentences."""
        return " ".join([self._advice(), *self._change(), *self._doubts()])

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"is_flat": self.is_flat, "is_short": self.is_short, "advice": str(self)}

    @property
    def is_good_today(self) -> bool:
        """Whether no size is better than today's by more than 2 %."""
        net, now = self.net_benefit, self.net_today
        return bool(self.size and self.today) and now is not None and net - now <= FLAT * abs(net)

    def _advice(self) -> str:
        if self.size == 0:
            return "No cache pays at these prices: memory costs more than the misses that it saves."
        brings = (
            f"under the policy {self.policy} it answers {self.hit_ratio:.1%} of the requests, the database gets "
            f"{self.database_load:,.3g} a second, and {money(self.net_benefit)} a month is saved after "
            f"{money(self.rent)} for memory."
        )
        if self.is_good_today and self.today is not None and self.net_today is not None:
            gain = f"only {money(self.net_benefit - self.net_today)} a month more than now"
            return (
                f"Leave the cache at {format_size(self.today)}. {format_size(self.size)} would bring {gain}: {brings}"
            )
        return f"Give the cache {format_size(self.size)}: {brings}"

    def _change(self) -> list[str]:
        if self.today is None or self.net_today is None or self.is_good_today:
            return []
        gain = money(self.net_benefit - self.net_today)
        return [f"That is {gain} a month more than today's {format_size(self.today)}."]

    def _doubts(self) -> list[str]:
        doubts = []
        if self.is_flat and self.size > 0:
            ends = f"{format_size(self.good_from)} to {format_size(self.good_to)}"
            doubts.append(f"The optimum is flat: anything from {ends} is within 2 % of it.")
        if self.is_short and self.size > 0:
            times = f"they fill such a cache only {self.filled:.1f} times"
            doubts.append(f"The data are too short to be sure: {times}; record longer.")
        return doubts


def optimal_size(
    curve: MissRatioCurve,
    *,
    cost_per_miss: str | float,
    price_per_gib_month: str | float,
    cost_per_hit: str | float = 0.0,
    entry_bytes: str | int | None = None,
    requests_per_second: float | None = None,
    target_hit_ratio: float | None = None,
    most_misses_per_second: float | None = None,
    today: str | int | None = None,
    core_month: float | None = None,
) -> Sizing:
    """The size with the largest net benefit, and what depends on it.

    Args:
        curve: from a trace, a model or a live cache.
        cost_per_miss: money, or a duration such as '2ms' that a core of the database is busy.
        price_per_gib_month: money, or text such as '0.005/GiB-hour'.
        cost_per_hit: as of a miss.
        entry_bytes: memory of an entry, where the curve counts entries: key, value and bookkeeping.
        requests_per_second: by default as the curve says.
        target_hit_ratio: for which the least size is wanted, in (0, 1).
        most_misses_per_second: that the database should get; likewise.
        today: size of the cache as it is, in bytes.
        core_month: money that a core of the database costs a month, for costs that are durations.

    Raises:
        ConfigurationError: a price cannot be used, or what is needed to compare is not known.
        CapacityError: a size cannot be used.
    """
    market = market_of(
        curve,
        cost_per_miss=cost_per_miss,
        price_per_gib_month=price_per_gib_month,
        cost_per_hit=cost_per_hit,
        entry_bytes=entry_bytes,
        requests_per_second=requests_per_second,
        core_month=core_month,
    )
    if target_hit_ratio is not None and not 0 < target_hit_ratio < 1:
        raise ConfigurationError(f"target_hit_ratio is {target_hit_ratio}; expected a share in (0, 1), such as 0.9")
    if most_misses_per_second is not None and not 0 < most_misses_per_second < math.inf:
        raise ConfigurationError(f"most_misses_per_second is {most_misses_per_second}; expected a number above 0")
    rate, prices = market.requests_per_second, market.prices
    best, sizes = market.best(), market.sizes()
    nets = np.array([market.net(size) for size in sizes])
    good = sizes[nets >= market.net(best) - FLAT * abs(market.net(best))]
    now = None if today is None else parse_size(today)
    capacity = int(best / market.entry_bytes)
    ratio = curve.hit_ratio(capacity)
    entries = capacity * curve.keys / max(curve.capacities[-1], capacity, 1) if curve.weights == "size" else capacity
    return Sizing(
        policy=curve.policy,
        capacity=capacity,
        size=round(best),
        hit_ratio=ratio,
        error=curve.error(capacity),
        net_benefit=market.net(best),
        rent=prices.rent(best),
        value_of_mib=market.value_of_mib(best),
        price_of_mib=prices.rent(MIB),
        database_load=market.database_load(best),
        good_from=round(float(good.min())),
        good_to=round(float(good.max())),
        filled=(1 - ratio) * curve.accesses / max(entries, 1),
        sensitivity=tuple(Sensitivity(factor, at_price(market, factor).best()) for factor in FACTORS),
        size_for_hit_ratio=least(sizes, market, target_hit_ratio),
        size_for_load=least(
            sizes, market, None if most_misses_per_second is None else 1 - most_misses_per_second / rate
        ),
        today=now,
        net_today=None if now is None else market.net(now),
    )


def market_of(
    curve: MissRatioCurve,
    *,
    cost_per_miss: str | float,
    price_per_gib_month: str | float,
    cost_per_hit: str | float = 0.0,
    entry_bytes: str | int | None = None,
    requests_per_second: float | None = None,
    core_month: float | None = None,
) -> Market:
    """A curve in bytes and money; arguments and errors are those of `optimal_size`."""
    rate = curve.requests_per_second if requests_per_second is None else requests_per_second
    if rate is None or not rate > 0:
        raise ConfigurationError(
            f"nobody knows how many requests a second {curve.trace!r} had; give requests_per_second, above 0"
        )
    core = CORE_MONTH if core_month is None else core_month
    miss, hit = (parse_cost(cost, core_month=core) for cost in (cost_per_miss, cost_per_hit))
    prices = Prices(miss, hit, parse_price(price_per_gib_month))
    return Market(curve, prices, unit_bytes(curve, entry_bytes), rate)


def unit_bytes(curve: MissRatioCurve, entry_bytes: str | int | None) -> float:
    """Bytes of one unit of a curve's capacity.

    Raises:
        CapacityError: it counts entries, and nobody knows how large they are.
    """
    if curve.weights == "size":
        return 1.0
    if entry_bytes is None or parse_size(entry_bytes) == 0:
        raise CapacityError("the curve counts entries of unknown size; give entry_bytes above 0, such as '2KiB'")
    return float(parse_size(entry_bytes))


def at_price(market: Market, factor: float) -> Market:
    """The same with memory at another price."""
    prices = market.prices
    other = Prices(prices.miss, prices.hit, prices.gib_month * factor)
    return Market(market.curve, other, market.entry_bytes, market.requests_per_second)


def least(sizes: Floats, market: Market, hit_ratio: float | None) -> int | None:
    """The smallest of growing sizes that reaches a hit ratio."""
    if hit_ratio is None:
        return None
    return next(
        (round(float(size)) for size in sizes if market.curve.hit_ratio(size / market.entry_bytes) >= hit_ratio), None
    )
