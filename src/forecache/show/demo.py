"""The demo: one stream of requests, served from a database without a cache, with every policy, and with foresight."""

from __future__ import annotations

import gc
import itertools
import shutil
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns
from typing import Final, Protocol

from forecache import Cache
from forecache.extras import TRACES, extra
from forecache.show.database import Database
from forecache.show.findings import NO_CACHE, Outcome, Run
from forecache.show.service import Service, front_of
from forecache.show.stream import Demo
from forecache.study.oracle import next_lookups
from forecache.study.simulate import simulate

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["CURVE", "Teller", "run_demo", "windows"]

WINDOWS: Final = 84  # parts of the stream whose hit ratios are plotted
CURVE: Final = ("0.2%", "0.5%", "1%", "2%", "5%", "10%", "20%")  # capacities of the second picture
NANO: Final = 1e-9  # seconds


class Teller(Protocol):
    """Is told how the work goes."""

    def step(self, name: str, done: int, total: int, note: str = "") -> None:
        """A step has got so far; it is over at `total`."""

    def standing(self, policy: str, hit_ratio: float, queries: int) -> None:
        """How a policy stands after the requests served so far."""


def run_demo(demo: Demo, teller: Teller) -> Outcome:
    """Serves the requests without a cache and with each policy, and simulates other capacities."""
    with tempfile.TemporaryDirectory(prefix="forecache-demo-") as folder:
        runs = serve_all(demo, Path(folder), teller)
    curve = simulate(
        demo.trace,
        demo.policies,
        CURVE,
        sets="invalidate",
        seed=demo.seed,
        on_progress=lambda done, total: teller.step("other sizes", done, total, f"{len(CURVE)} sizes simulated"),
    )
    return Outcome(demo, tuple(runs), tuple(curve))


def serve_all(demo: Demo, folder: Path, teller: Teller) -> list[Run]:
    """Serves the same requests with every policy, each on a database of its own.

    They take turns, window by window, so that whatever else the machine does meanwhile slows all of them alike.
    """
    pristine = folder / "pristine.sqlite"
    Database.create(pristine, demo.trace.unique)
    megabytes = pristine.stat().st_size / 1e6
    teller.step("database", 1, 1, f"{demo.trace.unique:,} products, {megabytes:,.1f} MB for each policy")
    requests, oracle = demo.requests(), next_lookups(demo.trace.key, ~demo.read).data
    with ExitStack() as stack:
        courses = [Course(demo, policy, pristine, oracle, stack) for policy in (None, *demo.policies)]
        gc.collect()
        teller.step("requests", 0, len(requests))
        for start, stop in windows(len(requests)):
            for course in courses:
                course.serve(requests, start, stop)
                teller.standing(course.name, *course.standing(demo.reads_before(stop)))
            teller.step("requests", stop, len(requests), f"{stop:,} of {len(requests):,}")
    return [course.finish(demo) for course in courses]


class Course:
    """A policy on its way through the requests."""

    def __init__(self, demo: Demo, policy: str | None, pristine: Path, oracle: memoryview, stack: ExitStack) -> None:
        """Copies the database, and opens the copy until `stack` ends."""
        self.name = policy or NO_CACHE
        self._policy = policy
        file = pristine.with_name(f"{self.name}.sqlite")
        shutil.copyfile(pristine, file)
        self._database = stack.enter_context(Database(file))
        self._front = front_of(policy, demo.capacity, oracle, demo.seed)
        self._service = Service(self._database, self._front)
        self._nanos = array("q")
        self._answers = 0
        self._queries = [0]

    def serve(self, requests: Sequence[str], start: int, stop: int) -> None:
        """Serves some requests, one after another, and notes the time of each and the checksum of all answers."""
        handle, clock, checksum = self._service.handle, perf_counter_ns, zlib.crc32
        spent, answers = self._nanos.append, self._answers
        for request in requests[start:stop]:
            began = clock()
            answer = handle(request)
            spent(clock() - began)
            answers = checksum(answer, answers)
        self._answers = answers
        self._queries.append(self._database.queries)

    def standing(self, reads: int) -> tuple[float, int]:
        """Hit ratio and queries after so many reads."""
        queries = self._queries[-1]
        return 1 - queries / max(reads, 1), queries

    def finish(self, demo: Demo) -> Run:
        """What it did."""
        nanos = np.frombuffer(self._nanos, dtype=np.int64)
        edges = windows(len(demo.trace))
        asked = [demo.reads_before(stop) - demo.reads_before(start) for start, stop in edges]
        loaded = np.diff(self._queries).tolist()
        return Run(
            policy=self._policy,
            reads=demo.reads_before(len(demo.trace)),
            queries=self._queries[-1],
            hit_ratios=tuple(1 - load / read if read else None for load, read in zip(loaded, asked, strict=True)),
            seconds=float(nanos.sum() * NANO),
            read_seconds=latencies(nanos[demo.read]),
            answers=self._answers,
            learning=self._front.learning() if isinstance(self._front, Cache) else None,
        )


def windows(requests: int) -> Iterable[tuple[int, int]]:
    """First and last + 1 of the requests of each window; fewer windows when there are fewer requests."""
    return itertools.pairwise(np.linspace(0, requests, min(WINDOWS, requests) + 1).astype(int).tolist())


def latencies(nanos: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean, median and 99th percentile in seconds; zeros if there is none."""
    if nanos.size == 0:
        return 0.0, 0.0, 0.0
    median, p99 = np.percentile(nanos, [50, 99])
    return float(nanos.mean() * NANO), float(median * NANO), float(p99 * NANO)
