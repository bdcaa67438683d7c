"""Requests arrive at a steady rate, and the shared tier under them is killed and started again.

    python -m tests.serve.outage --rate 2000

Processes read rows through forecache, some more often than others, with room for a quarter of them, from PostgreSQL
and a Valkey. First without a tier, which tells how fast the database is by itself; then with one, which is killed,
stays away, and comes back. A request's time begins when it was due, whether or not the process was ready for it. Prints
one line; the exit code is 1 if a request failed or was answered wrongly, or if the tier was not used again without a
restart of anything.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

import forecache
from forecache import _core
from forecache.serve.tiers.valkey import ValkeyTier
from tests.servers import PostgreSQL, Valkey

ROWS = 2_000
ROOM = 500  # rows in a process
WINDOW = 0.5  # seconds over which a percentile is taken
LONGEST = 60.0  # seconds after the last request, until the tier must have answered
SOON = 0.5  # seconds from the last process' readiness to the first request

Seen = NDArray[Any]  # of shape (requests, 5): due, answered, whether it failed, answers of the tier so far, process


@dataclass(frozen=True)
class Report:
    """What came of it; times in seconds."""

    requests: int
    failed: int
    alone: float  # 99th percentile of the database alone
    before: float  # with the tier
    worst: float  # in the windows after the kill
    settled_after: float | None  # from the kill until the percentile stays below twice that of the database
    settled_again_after: float | None  # the same from the tier's return
    answers_after: float | None  # from the tier's return until it answers every process

    def __str__(self) -> str:
        def told(seconds: float | None) -> str:
            return "never" if seconds is None else f"{seconds * 1e3:,.1f} ms"

        return (
            f"{self.requests:,} requests, {self.failed} failed; p99 {told(self.alone)} of the database alone, "
            f"{told(self.before)} with the tier, {told(self.worst)} at worst after it was killed; below twice the "
            f"database's {told(self.settled_after)} after the kill, and {told(self.settled_again_after)} after the "
            f"return; the tier answered {told(self.answers_after)} after it was back"
        )


async def requests(url: str, tier: str, rate: float, seconds: float, seed: int) -> array[float]:
    """What became of each request, from a moment on that somebody says when we are ready."""
    shared = ValkeyTier.connect(tier, seed=seed) if tier else None
    shop = forecache.open(url, ["product"], level="eventual", shared=shared, capacity=ROOM, policy="lru", seed=seed)
    often = 1 / np.arange(1, ROWS + 1)  # Zipf, exponent 1
    chance, seen = np.random.default_rng(seed), array("d")
    keys = chance.choice(ROWS, int(rate * seconds), p=often / often.sum()).tolist()
    await asyncio.gather(*(shop["product"].aget(key) for key in range(50)))  # connects
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    start = float(sys.stdin.readline())

    async def one(key: int, due: float) -> None:
        try:
            wrong = (await shop["product"].aget(key))["name"] != f"name {key}"
        except Exception as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            wrong = True
        seen.extend((due, _core.now(), wrong, shop.stats().shared, seed))

    async with asyncio.TaskGroup() as group:
        for number, key in enumerate(keys):
            due = start + number / rate
            if (pause := due - _core.now()) > 0:
                await asyncio.sleep(pause)
            group.create_task(one(key, due))
    if tier:
        before, until = shop.stats().shared, _core.now() + LONGEST
        while shop.stats().shared == before and _core.now() < until:  # a machine that is busy may need longer
            shop.clear()
            await one(keys[0], _core.now())
            await asyncio.sleep(0.05)
    await shop.aclose()
    return seen


def crowd(
    url: str, tier: str, rate: float, seconds: float, processes: int, act: Callable[[float], None]
) -> tuple[float, Seen]:
    """Lets processes ask, and something happen meanwhile; returns when they began, and what became of all requests."""
    with tempfile.TemporaryDirectory(prefix="forecache-outage-") as directory:
        started = []
        for number in range(processes):
            into = str(Path(directory) / f"{number}.npy")
            given = {
                "url": url,
                "tier": tier,
                "rate": rate / processes,
                "seconds": seconds,
                "seed": number,
                "into": into,
            }
            options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
            command = [sys.executable, "-m", "tests.serve.outage", *options]
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        start = _core.now() + SOON
        for process in started:
            assert process.stdin
            process.stdin.write(f"{start!r}\n")
            process.stdin.flush()
        act(start)
        for process in started:
            process.communicate()
        assert not any(process.returncode for process in started)
        return start, np.concatenate([np.load(file) for file in Path(directory).glob("*.npy")])


def p99(seen: Seen, since: float, until: float) -> float:
    """Of the requests that were due within some time; NaN of none."""
    due = (seen[:, 0] >= since) & (seen[:, 0] < until)
    return float(np.quantile(seen[due, 1] - seen[due, 0], 0.99)) if due.any() else float("nan")


def windows(seen: Seen, since: float, until: float) -> list[tuple[float, float]]:
    """Seconds from `since` to the end of each window, and its percentile."""
    return [(at + WINDOW - since, p99(seen, at, at + WINDOW)) for at in np.arange(since, until - WINDOW / 2, WINDOW)]


def settled(found: list[tuple[float, float]], limit: float) -> float | None:
    """Seconds until the percentile stays below a limit; None if it does not."""
    late = [ends for ends, percentile in found if percentile > limit]
    return None if late and late[-1] == found[-1][0] else late[-1] if late else 0.0


def answered_again(seen: Seen, back: float) -> float | None:
    """When a request of one process ended before which the tier had answered since it was back."""
    before = seen[:, 3].max(where=seen[:, 1] <= back, initial=0)
    later = seen[seen[:, 3] > before, 1]
    return float(later.min()) if len(later) else None


def run(*, rate: float, seconds: float, processes: int = 2) -> Report:
    """So many seconds without a tier, with it, without it once more, and twice as many when it is back."""
    with PostgreSQL() as database, Valkey() as tier:
        url, moments = database.database(), dict[str, float]()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE product (id INT PRIMARY KEY, name TEXT)")
            connection.execute(
                "INSERT INTO product SELECT n, 'name ' || n FROM generate_series(0, %s) AS n", (ROWS - 1,)
            )

        def act(start: float) -> None:
            time.sleep(max(0.0, start + seconds - _core.now()))
            moments["killed"] = _core.now()
            tier.kill()
            time.sleep(max(0.0, start + 2 * seconds - _core.now()))
            tier.start()
            moments["back"] = _core.now()

        began, alone = crowd(url, "", rate, seconds, processes, lambda start: None)
        start, seen = crowd(url, tier.url, rate, 4 * seconds, processes, act)
    own = p99(alone, began + seconds / 4, began + seconds)
    killed, back, end = moments["killed"], moments["back"], start + 4 * seconds
    later = [answered_again(seen[seen[:, 4] == process], back) for process in range(processes)]
    return Report(
        requests=len(seen) + len(alone),
        failed=int(seen[:, 2].sum() + alone[:, 2].sum()),
        alone=own,
        before=p99(seen, start + seconds / 2, killed),
        worst=max(percentile for _, percentile in windows(seen, killed, end)),
        settled_after=settled(windows(seen, killed, back), 2 * own),
        settled_again_after=settled(windows(seen, back, end), 2 * own),
        answers_after=None if None in later else max(moment - back for moment in later if moment is not None),
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.serve.outage")
    parser.add_argument("--rate", type=float, default=2000, help="requests a second")
    parser.add_argument("--seconds", type=float, default=4, help="before and during the outage; after it twice as long")
    parser.add_argument("--processes", type=int, default=2)
    for name in ("url", "tier", "into"):
        parser.add_argument(f"--{name}", default="", help="of one of the processes")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.getLogger("forecache").setLevel(logging.ERROR)  # the outage is made on purpose
    if given.into:
        seen = asyncio.run(requests(given.url, given.tier, given.rate, given.seconds, given.seed))
        np.save(given.into, np.frombuffer(seen).reshape(-1, 5))
        return
    report = run(rate=given.rate, seconds=given.seconds, processes=given.processes)
    sys.stdout.write(f"{report}\n")
    sys.exit(bool(report.failed) or report.answers_after is None)


if __name__ == "__main__":
    main()
