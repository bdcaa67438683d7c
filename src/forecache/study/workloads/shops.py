"""A shop: a catalogue that drifts, launches, flash sales, carts, and a crawler that reads everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.study.workloads.pieces import (
    DAY,
    LEAST_REQUESTS,
    Event,
    Floats,
    Ints,
    Workload,
    chosen,
    daily,
    hour_starts,
    of_pareto,
    seconds_in,
    traced,
    with_returns,
)

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["CARTS", "shop"]

SHOP_DAYS: Final = 7
REQUESTS_PER_PRODUCT: Final = 4  # of the catalogue; recorded shops have 5 to 7 for each product that is asked for

ZIPF_EXPONENT: Final = 0.8  # popularity ~ rank^-a; recorded shops have 0.65 to 1
RUSH: Final = 0.7  # the busiest hour has 1 + RUSH times the mean traffic, the quietest 1 − RUSH; assumed
BUSIEST_HOUR: Final = 20  # of the day; visits to shops peak from 8 to 10 in the evening: Compete, April 2011
RHYTHM: Final = 0.5  # how much a product has its own hours: its popularity varies by e^±RHYTHM over the day
DRIFT: Final = 1.0  # standard deviation of the logarithm of a product's popularity over a long time
MEMORY: Final = 96  # hours after which that drift is forgotten but for 1/e
RETURNS: Final = 0.25  # share of requests that come back to what was looked at shortly before
RETURN_DISTANCE: Final = 60  # requests from a look to its return, on average
WRITES: Final = 0.02  # share of requests that change a price or a stock

CARTS: Final = 0.08  # share of requests that go to carts, where these are wanted
CART_REQUESTS: Final = 6  # of a cart, on average
CART_DISTANCE: Final = 25  # requests to other carts between two to one, on average
CART_WRITES: Final = 0.4  # share of the requests to carts that put something in or take it out

NEW_SHARE: Final = 0.1  # of the products are launched during the week
LAUNCHES: Final = ((1, 9), (4, 9))  # day and hour
NOVELTY: Final = 6.0  # a new product is asked for 1 + NOVELTY times as often as its rank says
NOVELTY_MEMORY: Final = 18  # hours after which novelty is down to 1/e
SALES: Final = ((2, 18, 6), (5, 12, 8))  # day, hour, and hours that it lasts
SALE_SHARE: Final = 0.25  # of the requests go to what is on sale
SALE_PRODUCTS: Final = 40
CRAWLS: Final = ((3, 1, 9), (6, 2, 8))  # day, hour, and hours that it lasts
CRAWL_SHARE: Final = 0.65  # of the requests come from the crawler


def shop(requests: int, *, products: int | None = None, carts: float = 0.0, seed: int = 0) -> Workload:
    """A week of an online shop: who looks at which product, and which prices and stocks change.

    The popularity of product i at hour t is

        rank_i^-a · exp(x_i(t)) · exp(r cos(2π t / 24 − φ_i)) · launched_i(t)

    where x_i drifts at random but stays around 0 (an Ornstein-Uhlenbeck process), φ_i are the product's own hours,
    and what was launched a short time ago is asked for more often. On top come returning visitors, flash sales of
    a few products, and a crawler that reads the catalogue in order; traffic has a daily rhythm. The numbers above are
    such that hit ratios, and the order of the policies, are like those of a recorded shop.

    Args:
        requests: accesses, at least 1000.
        products: of the catalogue; by default a quarter of the requests.
        carts: share of the requests that go to visitors' carts, in place of products.
        seed: of every random choice.

    Returns:
        Accesses whose key is the number of the product, from 1 in order of launch, or of a cart, after them, and whose
        time is in seconds since the first midnight; with its events.

    Raises:
        ConfigurationError: there are too few requests or products.
    """
    products = requests // REQUESTS_PER_PRODUCT if products is None else products
    if requests < LEAST_REQUESTS or products < 2 * SALE_PRODUCTS:
        raise ConfigurationError(
            f"a shop of {requests} requests and {products} products is too small; "
            f"expected at least {LEAST_REQUESTS} requests and {2 * SALE_PRODUCTS} products"
        )
    chance = np.random.default_rng(seed)
    week = Week.of(requests, products, chance)
    events = [
        *(week.launch(*when) for when in LAUNCHES),
        *(week.hold_sale(*when) for when in SALES),
        *(week.let_crawl(*when) for when in CRAWLS),
    ]
    if carts:
        week.fill_carts(carts)
    about = {"name": "shop", "source": f"generated: a shop of {products} products, seed {seed}"}
    trace = traced(week.key + 1, seconds_in(week.starts, chance), of_pareto(week.key, seed), week.written, about)
    return Workload(trace, tuple(sorted(events, key=lambda event: event.start)), in_seconds=True)


@dataclass(slots=True)
class Week:
    """The requests of a week, into which events are written."""

    key: Ints  # number of the product, from 0
    written: npt.NDArray[np.bool_]
    starts: Ints  # number of the first request of every hour, and after the last one
    products: int
    chance: np.random.Generator
    crawled: int = 0  # products that the crawler has read

    @classmethod
    def of(cls, requests: int, products: int, chance: np.random.Generator) -> Week:
        """Requests by popularity, visitors who return, and writes."""
        starts = hour_starts(daily(SHOP_DAYS * DAY, BUSIEST_HOUR, RUSH), requests)
        key = with_returns(popular(starts, products, chance), chance, RETURNS, RETURN_DISTANCE)
        return cls(key, chance.random(requests) < WRITES, starts, products, chance)

    def launch(self, day: int, hour: int) -> Event:
        """New products, as `launch_hours` says."""
        start, _ = self._span(day, hour, 0)
        return Event("new products", start, start)

    def hold_sale(self, day: int, hour: int, lasts: int) -> Event:
        """Sends requests to a few products; their prices change when the sale begins and when it ends."""
        start, stop = self._span(day, hour, lasts)
        on_sale = self.chance.choice(self.products - int(NEW_SHARE * self.products), SALE_PRODUCTS, replace=False)
        to_sale = self._some(start, stop, SALE_SHARE)
        self.key[to_sale] = self.chance.choice(on_sale, to_sale.size)
        for first in (start, stop):
            changed = slice(first, first + SALE_PRODUCTS)
            self.key[changed] = on_sale
            self.written[changed] = True
        return Event("flash sale", start, stop)

    def let_crawl(self, day: int, hour: int, lasts: int) -> Event:
        """Gives requests to a crawler, which reads the catalogue on from where it stopped."""
        start, stop = self._span(day, hour, lasts)
        read = self._some(start, stop, CRAWL_SHARE)
        self.key[read] = (self.crawled + np.arange(read.size)) % self.products
        self.written[read] = False
        self.crawled += read.size
        return Event("crawler", start, stop)

    def fill_carts(self, share: float) -> None:
        """Gives requests to carts, each of which is looked at a few times, and then never again."""
        to_carts = self._some(0, self.key.size, share)
        new = self.products + np.arange(to_carts.size)
        self.key[to_carts] = with_returns(new, self.chance, 1 - 1 / CART_REQUESTS, CART_DISTANCE)
        self.written[to_carts] = self.chance.random(to_carts.size) < CART_WRITES

    def _span(self, day: int, hour: int, lasts: int) -> tuple[int, int]:
        """Numbers of the first request of an event and of the first one after it."""
        return int(self.starts[day * DAY + hour]), int(self.starts[day * DAY + hour + lasts])

    def _some(self, start: int, stop: int, share: float) -> Ints:
        return start + np.flatnonzero(self.chance.random(stop - start) < share)


def popular(starts: Ints, products: int, chance: np.random.Generator) -> Ints:
    """What visitors ask for, by popularity alone: numbers of products from 0, shape (requests,)."""
    rank = chance.permutation(products) + 1
    own_hours = chance.uniform(0, 2 * np.pi, products)
    drift = chance.normal(0, DRIFT, products)
    stays = np.exp(-1 / MEMORY)
    launched = launch_hours(products)
    asked = []
    for hour, requests in enumerate(np.diff(starts)):
        weight = rank**-ZIPF_EXPONENT * np.exp(drift + RHYTHM * np.cos(2 * np.pi * hour / DAY - own_hours))
        asked.append(chosen(weight * novelty(hour - launched), requests, chance))
        drift = stays * drift + np.sqrt(1 - stays**2) * chance.normal(0, DRIFT, products)
    return np.concatenate(asked)


def launch_hours(products: int) -> Floats:
    """The hour in which each product is launched; −∞ for those that were there before."""
    hour = np.full(products, -np.inf)
    new = np.array_split(np.arange(products - int(NEW_SHARE * products), products), len(LAUNCHES))
    for (day, hour_of_day), these in zip(LAUNCHES, new, strict=True):
        hour[these] = day * DAY + hour_of_day
    return hour


def novelty(age: Floats) -> Floats:
    """How much more a product is asked for that was launched `age` hours ago; 0 before it is launched."""
    return np.where(age < 0, 0.0, 1 + NOVELTY * np.exp(-np.maximum(age, 0) / NOVELTY_MEMORY))
