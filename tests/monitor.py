"""What readers of a cache may see: an origin with versions, and the judge of reads and loads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

KEYS = 40


class RowLockedError(Exception):
    """What the origin raises now and then."""


@dataclass
class Row:
    """One key of the origin, and what is known about the cache's copy of it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = 0
    acknowledged: int = 0  # the version that the cache was told of last
    begun: int = 0  # writes that told the cache, or began to
    ended: int = 0  # those that were done with it
    loads: dict[int, int] = field(default_factory=dict)  # running: number of the load → `ended` when it was asked for


class Monitor:
    """The origin, and the judge of what is read from the cache."""

    def __init__(self) -> None:
        self.rows = [Row() for _ in range(KEYS)]
        self.violations: list[str] = []
        self.loads = 0
        self.lock = threading.Lock()

    def load(self, key: int, chance: random.Random, asked: int) -> int:
        """What the origin holds; slow, and sometimes failing. `asked`: writes that had ended when it was asked for."""
        with self.running(key, asked):
            version = self.rows[key].version
            if chance.random() < 0.3:
                time.sleep(chance.random() / 1000)
            if chance.random() < 0.02:
                raise RowLockedError
            return version

    @contextmanager
    def running(self, key: int, asked: int) -> Iterator[None]:
        """Judges whether this load may run beside the others of its key: a write may have begun between them."""
        row = self.rows[key]
        with self.lock:
            self.loads += 1
            number = self.loads
            if any(row.begun == asked == others for others in row.loads.values()):
                self.violations.append(f"two loads of key {key} at a time")
            row.loads[number] = asked
        try:
            yield
        finally:
            with self.lock:
                del row.loads[number]

    @contextmanager
    def writing(self, keys: list[int]) -> Iterator[None]:
        """Marks the time in which the cache is told that something changed."""
        with self.lock:
            for key in keys:
                self.rows[key].begun += 1
        try:
            yield
        finally:
            with self.lock:
                for key in keys:
                    self.rows[key].ended += 1

    def update(self, key: int, tell: Callable[[int], object]) -> None:
        """Writes to the origin, and then tells the cache."""
        row = self.rows[key]
        with row.lock:
            row.version += 1
            with self.writing([key]):
                tell(row.version)
            row.acknowledged = row.version

    @contextmanager
    def reading(self, key: int) -> Iterator[Callable[[int | None], None]]:
        """Judges what a read returns."""
        oldest = self.rows[key].acknowledged

        def judge(version: int | None) -> None:
            if version is not None and version < oldest:
                self.violations.append(f"key {key}: read version {version} after {oldest} was acknowledged")

        yield judge
