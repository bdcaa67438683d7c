"""Caches written on plain dicts, to which equations are compared; each counts the hits after a warm-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

Ask = Callable[[int, float], bool]  # a key and a time: whether it hits


def measured(ask: Ask, probabilities: np.ndarray, accesses: int, rate: float = 1.0) -> float:
    """Hit ratio over the second half of a Poisson process of accesses."""
    rng = np.random.default_rng(3)
    keys = rng.choice(probabilities.size, accesses, p=probabilities)
    times = np.cumsum(rng.exponential(1 / rate, accesses))
    hits = [ask(key, time) for key, time in zip(keys.tolist(), times.tolist(), strict=True)]
    return float(np.mean(hits[accesses // 2 :]))


def lru(capacity: int, admits: Callable[[int], bool] = lambda key: True) -> Ask:
    held: OrderedDict[int, None] = OrderedDict()

    def ask(key: int, time: float = 0) -> bool:
        if key in held:
            held.move_to_end(key)
            admits(key)
            return True
        if admits(key):
            held[key] = None
            if len(held) > capacity:
                held.popitem(last=False)
        return False

    return ask


def q_lru(capacity: int, q: float) -> Ask:
    chance = np.random.default_rng(1)
    return lru(capacity, lambda key: bool(chance.random() < q))


def two_lru(capacity: int) -> Ask:
    ids = lru(capacity)
    return lru(capacity, lambda key: ids(key, 0))


def random(capacity: int) -> Ask:
    held: list[int] = []
    places: dict[int, int] = {}
    chance = np.random.default_rng(1)

    def ask(key: int, time: float) -> bool:
        if key in places:
            return True
        if len(held) == capacity:
            place = int(chance.integers(capacity))
            del places[held[place]]
            held[place] = key
        else:
            place = len(held)
            held.append(key)
        places[key] = place
        return False

    return ask


def ttl(seconds: float, *, from_load: bool) -> Ask:
    until: dict[int, float] = {}

    def ask(key: int, time: float) -> bool:
        hit = until.get(key, -1.0) > time
        if not (hit and from_load):
            until[key] = time + seconds
        return hit

    return ask


def lru_with_ttl(capacity: int, seconds: float) -> Ask:
    """Expired entries make room first, as in a store that sweeps."""
    until: OrderedDict[int, float] = OrderedDict()  # by last access

    def ask(key: int, time: float) -> bool:
        if until.get(key, -1.0) > time:
            until.move_to_end(key)
            return True
        until.pop(key, None)
        if len(until) == capacity:
            expired = [key for key, end in until.items() if end <= time]
            for old in expired or [next(iter(until))]:
                del until[old]
        until[key] = time + seconds
        return False

    return ask
