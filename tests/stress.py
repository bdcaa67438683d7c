"""Many threads on one small cache, and a monitor that knows what they may see.

    python -m tests.stress --seconds 60 --threads 16

Every key has a version in an origin that the monitor keeps. A writer raises it and then tells the cache; from then on
no read may return an older one. At most one load of a key runs at a time, unless a write came between their
beginnings. The weight never exceeds the capacity, and every thread keeps moving. Prints one line of summary; the exit
code is 1 when a law was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from forecache import POLICIES, Cache
from tests.monitor import KEYS, Monitor, RowLockedError

CAPACITY = 24
SETTLED_SECONDS = 0.05  # between looks at the threads
MOST_TOLD = 5  # violations that are printed

CacheOf = Cache[int, int]


class Worker:
    """One thread's random walk over everything a cache can do."""

    def __init__(self, cache: CacheOf, monitor: Monitor, seed: int) -> None:
        self.cache, self.monitor = cache, monitor
        self.chance = random.Random(seed)
        self.operations = 0
        self.moved_at = time.monotonic()
        self.acts: list[tuple[int, Callable[[int], None]]] = [
            (60, self.read_or_load),
            (15, self.read),
            (6, self.read_asynchronously),
            (6, self.delete),
            (5, self.set),
            (4, self.invalidate),
            (2, self.read_without_trace),
            (1, self.clear),
        ]

    def walk(self, until: float) -> None:
        weights, acts = zip(*self.acts, strict=True)
        while time.monotonic() < until:
            for act in self.chance.choices(acts, weights, k=20):
                act(min(self.chance.randrange(KEYS), self.chance.randrange(KEYS)))
                self.operations += 1
                self.moved_at = time.monotonic()
                if self.cache.weight > CAPACITY:
                    self.monitor.violations.append(f"weight {self.cache.weight} above {CAPACITY}")

    def load(self, asked: int, key: int) -> int:
        if key % 3 == 0 and key + 1 < KEYS and self.chance.random() < 0.5:
            self.read_or_load(key + 1)  # a load that needs another
        return self.monitor.load(key, self.chance, asked)

    def read_or_load(self, key: int) -> None:
        with self.monitor.reading(key) as judge:
            load = partial(self.load, self.monitor.rows[key].ended)
            with suppress(RowLockedError):
                judge(self.cache.get_or_load(key, load, tags=[f"key {key}", f"row {key % 5}"]))

    def read_asynchronously(self, key: int) -> None:
        async def load(asked: int, key: int) -> int:
            await asyncio.sleep(0)
            return self.monitor.load(key, self.chance, asked)

        async def read(key: int) -> None:
            with self.monitor.reading(key) as judge:
                asked = self.monitor.rows[key].ended
                judge(await self.cache.aget_or_load(key, partial(load, asked), tags=[f"key {key}", f"row {key % 5}"]))

        async def read_many() -> None:
            reads = [asyncio.create_task(read(each % KEYS)) for each in range(key, key + 8)]
            if self.chance.random() < 0.3:
                await asyncio.sleep(0)
                reads[self.chance.randrange(8)].cancel()
            await asyncio.gather(*reads, return_exceptions=True)

        asyncio.run(read_many())

    def read(self, key: int) -> None:
        with self.monitor.reading(key) as judge:
            judge(self.cache.get(key))

    def read_without_trace(self, key: int) -> None:
        with self.monitor.reading(key) as judge:
            entry = self.cache.peek(key)
            judge(entry and entry.value)
        len(self.cache), repr(self.cache), self.cache.stats(), list(self.cache.items()), key in self.cache

    def delete(self, key: int) -> None:
        self.monitor.update(key, lambda _: self.cache.delete(key))

    def set(self, key: int) -> None:
        ttl, weight = self.chance.choice([None, 0.001, 0.01]), self.chance.randint(1, 3)
        self.monitor.update(
            key, lambda version: self.cache.set(key, version, ttl=ttl, tags=[f"key {key}"], weight=weight)
        )

    def invalidate(self, key: int) -> None:
        if self.chance.random() < 0.5:
            self.monitor.update(key, lambda _: self.cache.invalidate_tag(f"key {key}"))
        else:
            with self.monitor.writing([other for other in range(KEYS) if other % 5 == key % 5]):
                self.cache.invalidate_tag(f"row {key % 5}")

    def clear(self, key: int) -> None:
        with self.monitor.writing(list(range(KEYS))):
            self.cache.clear()


@dataclass
class Report:
    """What a run saw."""

    seconds: float
    threads: int
    operations: int
    loads: int
    violations: list[str]

    def __str__(self) -> str:
        told = "; ".join(self.violations[:MOST_TOLD])
        return (
            f"stress: {self.seconds:.0f} s, {self.threads} threads, {self.operations:,} operations, "
            f"{self.loads:,} loads, {len(self.violations)} violations{': ' if told else ''}{told}"
        )


def run(
    seconds: float,
    threads: int,
    *,
    seed: int = 0,
    policy: str = "tinylfu",
    kind: type[CacheOf] = Cache,
    patience: float = 20,
) -> Report:
    """Lets many threads loose on one cache.

    Args:
        seconds: how long.
        threads: how many.
        seed: of what each of them does.
        policy: of the cache.
        kind: of cache, for tests of this test.
        patience: seconds without a step after which a thread counts as stuck.
    """
    cache = kind(CAPACITY, policy=policy, ttl=0.02, stale_ttl=0.02, jitter=0.2, negative_ttl=0, shards=2, seed=seed)
    monitor = Monitor()
    workers = [Worker(cache, monitor, seed * 1000 + number) for number in range(threads)]
    until = time.monotonic() + seconds

    def walk(worker: Worker) -> None:
        try:
            worker.walk(until)
        except BaseException as error:
            monitor.violations.append(f"{type(error).__name__}: {error}")

    running = [threading.Thread(target=walk, args=(worker,), daemon=True) for worker in workers]
    for thread in running:
        thread.start()
    while any(thread.is_alive() for thread in running):
        time.sleep(SETTLED_SECONDS)
        stuck = sum(
            thread.is_alive() and time.monotonic() - worker.moved_at > patience
            for worker, thread in zip(workers, running, strict=True)
        )
        if stuck:
            monitor.violations.append(f"{stuck} threads do not move any more")
            break
    else:
        cache.close()
    operations = sum(worker.operations for worker in workers)
    return Report(seconds, threads, operations, monitor.loads, monitor.violations)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description="Many threads on one cache.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--patience", type=float, default=20, help="seconds without a step that mean a deadlock")
    parser.add_argument("--policy", choices=POLICIES, default="tinylfu")
    arguments = parser.parse_args()
    logging.getLogger("forecache").setLevel(logging.ERROR)  # refreshes fail on purpose
    report = run(
        arguments.seconds,
        arguments.threads,
        seed=arguments.seed,
        policy=arguments.policy,
        patience=arguments.patience,
    )
    if any("do not move" in violation for violation in report.violations):
        faulthandler.dump_traceback(all_threads=True)
    sys.stdout.write(f"{report}, seed {arguments.seed}\n")
    sys.stdout.flush()
    os._exit(bool(report.violations))  # without waiting for threads that may be stuck


if __name__ == "__main__":
    main()
