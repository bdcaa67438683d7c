"""Traces and datasets that the tests of learning share."""

import numpy as np
import pytest

from forecache.learn.dataset import Dataset, Split, split
from forecache.record.trace import Trace

CAPACITY = 100


def workload(accesses: int, seed: int = 0) -> Trace:
    """Popular keys, a loop, and keys that are seen once."""
    chance = np.random.default_rng(seed)
    popular = chance.zipf(1.2, accesses) % 2000
    loop = 10_000 + np.arange(accesses) % 150
    once = 100_000 + np.arange(accesses)
    kind = chance.random(accesses)
    keys = np.select([kind < 0.6, kind < 0.8], [popular, loop], once)
    return Trace.from_columns(keys, size=1 + keys % 50, name="workload")


@pytest.fixture(scope="session")
def part() -> Split:
    return split(workload(30_000), 0.3)


@pytest.fixture(scope="session")
def data(part: Split) -> Dataset:
    return Dataset.of(part.past, CAPACITY)


@pytest.fixture(scope="session")
def random_rows() -> np.ndarray:
    chance = np.random.default_rng(1)
    return chance.integers(0, 256, (1003, 27), dtype=np.uint8)
