"""Prices: what a miss, a hit and memory cost, as people write them and as sums need them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from forecache.errors import ConfigurationError
from forecache.units import parse_duration, parse_size

__all__ = ["CORE_MONTH", "MONTH", "Prices", "money", "parse_cost", "parse_price", "per_second"]

MONTH: Final = 365.25 / 12 * 86_400  # seconds
GIB: Final = 1024**3
PERIODS: Final = {"second": 1.0, "hour": 3_600.0, "day": 86_400.0, "month": MONTH, "year": 12 * MONTH}
PLAIN: Final = re.compile(r"[0-9]*\.?[0-9]+(?:e-?[0-9]+)?", re.IGNORECASE)
PRICE: Final = re.compile(r"([0-9.e-]+)\s*/\s*([A-Za-z]+)-([a-z]+)", re.IGNORECASE)
MOST_DECIMALS: Final = 4  # of money
CURRENCY: Final = "$€£¥ "
CORE_MONTH: Final = 40.0  # money; a core of a managed database costs some 30 to 60 US dollars a month in 2026


@dataclass(frozen=True, slots=True)
class Prices:
    """What things cost, all in one unit of money, or of whatever else is to be saved."""

    miss: float  # each
    hit: float  # each
    gib_month: float  # of memory

    def __post_init__(self) -> None:
        """Checks the prices.

        Raises:
            ConfigurationError: one is negative, or a hit costs as much as a miss.
        """
        if not (0 <= self.hit < self.miss and self.gib_month >= 0):
            raise ConfigurationError(
                f"a miss costs {self.miss:g}, a hit {self.hit:g}, a GiB-month {self.gib_month:g}; "
                "expected none below 0, and that a miss costs more than a hit"
            )

    def saved(self, hits_per_second: float) -> float:
        """Money a month that hits save."""
        return hits_per_second * MONTH * (self.miss - self.hit)

    def cost(self, misses_per_second: float, hits_per_second: float) -> float:
        """Money a month that misses and hits cost."""
        return (misses_per_second * self.miss + hits_per_second * self.hit) * MONTH

    def rent(self, size: float) -> float:
        """Money a month for bytes of memory."""
        return size / GIB * self.gib_month


def parse_cost(cost: str | float, *, core_month: float = CORE_MONTH) -> float:
    """Money that a miss or a hit costs: a number is money, a duration is time of a core of the database.

    Args:
        cost: such as 0.00001, '0.00001' or '2ms'.
        core_month: money that a core costs a month.

    Raises:
        ConfigurationError: it is neither.
    """
    text = str(cost).strip().strip(CURRENCY)
    if PLAIN.fullmatch(text):
        return float(text)
    return parse_duration(text) * core_month / MONTH


def parse_price(price: str | float) -> float:
    """Money for a GiB of memory a month.

    Args:
        price: a number, or text such as '3.5/GiB-month', '$0.005/GiB-hour' or '0.1/MiB-year'.

    Raises:
        ConfigurationError: it is none of these.
    """
    text = str(price).strip().strip(CURRENCY)
    if PLAIN.fullmatch(text):
        return float(text)
    parts = PRICE.fullmatch(text)
    if parts is None or parts[3] not in PERIODS or not PLAIN.fullmatch(parts[1]):
        raise ConfigurationError(
            f"price {price!r} is not understood; write it like '3.5/GiB-month', "
            f"with a size and one of {', '.join(PERIODS)}, or as a number for a GiB-month"
        )
    return float(parts[1]) * GIB / parse_size(f"1{parts[2]}") * MONTH / PERIODS[parts[3]]


def per_second(rate: float) -> str:
    """A rate as people read it: whole, or two digits of what is less than ten.

    >>> per_second(1234.5), per_second(3.21), per_second(0.0331)
    ('1,234', '3.2', '0.033')
    """
    return f"{rate:,.0f}" if rate >= 9.5 or not rate else f"{rate:.2g}"  # noqa: PLR2004 - see above


def money(amount: float) -> str:
    """An amount as people read it: two decimals where they matter, and two digits of what is less than a tenth.

    >>> money(1234.5), money(12.345), money(0.00216), money(-0.000001)
    ('1,234', '12.35', '0.0022', '0.00')
    """
    size, decimals = abs(amount), 2
    if 0.5 * 0.1**MOST_DECIMALS <= size < 0.1:  # noqa: PLR2004 - two decimals would say nothing
        decimals = min(MOST_DECIMALS, 1 - math.floor(math.log10(size)))
    elif size >= 1000:  # noqa: PLR2004 - four digits before the point
        decimals = 0
    return f"{round(amount, decimals) + 0.0:,.{decimals}f}"  # and not -0.00
