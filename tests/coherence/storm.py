"""Several processes on one SQLite file: some read and write through forecache, others through plain `sqlite3`.

    python -m tests.coherence.storm --seconds 60 --readers 3 --writers 2

Every answer is checked against its certificate (`history.py`). Prints one line of summary; the exit code is 1 when an
answer was older than what it claimed.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import forecache
from forecache import Database, _core
from forecache.errors import OriginError
from tests.coherence.history import READ, WRITE, contended, violations

KEYS = 12
THREADS = 3  # in each reading process
SLOWLY = 0.0005  # seconds between a query and its return, at most: others commit meanwhile
LEVELS = [(None, 0.0), ("strong", 0.0), ("bounded(5ms)", 0.005), ("bounded(1s)", 1.0), ("eventual", float("inf"))]
WEIGHTS = [12, 4, 2, 2, 1]
MOST_ROWS = 2_000_000  # of one process: more would not be checked in time


@dataclass(frozen=True)
class Report:
    """What happened."""

    reads: int
    contended: int
    writes: int
    processes: int
    violations: list[str]

    def __str__(self) -> str:
        summary = f"{self.reads:,} reads, {self.contended:,} of them within 50 ms of a write of their row, "
        told = "".join(f"\n  {violation}" for violation in self.violations[:5])
        return f"{summary}{self.writes:,} writes, {self.processes} processes: {len(self.violations)} violations{told}"


class Reader:
    """A process that reads and sometimes writes through forecache."""

    def __init__(self, path: Path, seed: int) -> None:
        self.shop = forecache.open(path, ["product"], level="strong", capacity=8, policy="lru")
        self.seed = seed
        self.reads: list[tuple[Any, ...]] = []
        self.writes: list[tuple[Any, ...]] = []
        slow_down(self.shop, random.Random(seed))

    def walk(self, until: float, number: int) -> None:
        chance, rows = random.Random(self.seed * 100 + number), self.shop["product"]
        while time.monotonic() < until and len(self.reads) < MOST_ROWS:
            for level, bound in chance.choices(LEVELS, WEIGHTS, k=50):
                key = min(chance.randrange(KEYS), chance.randrange(KEYS))
                began = _core.now()
                if level is None:
                    version, age = rows.get(key)["version"], 0.0
                else:
                    answer = rows.get(key, level=level, with_certificate=True)
                    version, age = answer.row["version"], answer.certificate.max_age
                self.reads.append((key, version, began, _core.now(), age, bound))
            if chance.random() < 0.02:
                self.write(min(chance.randrange(KEYS), chance.randrange(KEYS)))

    def write(self, key: int) -> None:
        began = _core.now()
        with suppress(OriginError), self.shop.transaction() as transaction:
            version = transaction.get("product", key)["version"] + 1
            transaction.update("product", key, {"version": version})
        self.writes.append((key, version, began, _core.now()))


def slow_down(shop: Database, chance: random.Random) -> None:
    """Lets time pass between a query and its return, so that commits overtake loads."""
    read = shop._origin.read

    def slow(*arguments: Any) -> Any:
        batch = read(*arguments)
        time.sleep(chance.random() * SLOWLY)
        return batch

    shop._origin.read = slow  # type: ignore[method-assign]


def read_process(path: Path, seconds: float, seed: int, mutate: str) -> None:
    from tests.coherence.mutants import MUTANTS

    reader = Reader(path, seed)
    MUTANTS[mutate](reader.shop)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=reader.walk, args=(until, number)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    save(path, seed, reader.reads, reader.writes)
    reader.shop.close()


def write_process(path: Path, seconds: float, seed: int) -> None:
    """A program that knows nothing of forecache."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA synchronous = OFF")
    chance, until, writes = random.Random(seed), time.monotonic() + seconds, []
    while time.monotonic() < until:
        key = min(chance.randrange(KEYS), chance.randrange(KEYS))
        began = _core.now()
        sql = "UPDATE product SET version = version + 1 WHERE id = ? RETURNING version"
        version = connection.execute(sql, (key,)).fetchall()[0][0]
        writes.append((key, version, began, _core.now()))
        if chance.random() < 0.01:
            connection.execute(f"PRAGMA wal_checkpoint({chance.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])})")
        time.sleep(chance.random() * 0.004)
    connection.close()
    save(path, seed, [], writes)


def save(path: Path, seed: int, reads: list[Any], writes: list[Any]) -> None:
    np.save(path.with_name(f"reads-{seed}.npy"), np.array(reads, READ))
    np.save(path.with_name(f"writes-{seed}.npy"), np.array(writes, WRITE))


def run(seconds: float, *, readers: int = 2, writers: int = 1, seed: int = 0, mutate: str = "none") -> Report:
    """Lets several processes loose on one file, and checks what they saw."""
    with tempfile.TemporaryDirectory(prefix="forecache-storm-") as directory:
        path = Path(directory) / "shop.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, version INT NOT NULL)")
            connection.executemany("INSERT INTO product VALUES (?, 0)", [(key,) for key in range(KEYS)])
        connection.close()
        forecache.open(path, ["product"]).close()  # so that the writers' first commits are logged
        roles = ["read"] * readers + ["write"] * writers
        commands = []
        for number, role in enumerate(roles):
            options = {"role": role, "path": path, "seconds": seconds, "seed": seed * 100 + number, "mutate": mutate}
            given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
            commands.append([sys.executable, "-m", "tests.coherence.storm", *given])
        processes = [subprocess.Popen(command) for command in commands]
        codes = [process.wait(seconds * 3 + 60) for process in processes]
        assert codes == [0] * len(codes), codes
        reads = np.concatenate([np.load(file) for file in Path(directory).glob("reads-*.npy")])
        writes = np.concatenate([np.load(file) for file in Path(directory).glob("writes-*.npy")])
    return Report(len(reads), contended(writes, reads), len(writes), len(roles), violations(writes, reads))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.coherence.storm")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--mutate", default="none", help="a defence to leave out")
    parser.add_argument("--role", choices=["read", "write"], help="of one of the processes")
    parser.add_argument("--path", type=Path)
    given = parser.parse_args()
    roles: dict[str, Callable[[], None]] = {
        "read": lambda: read_process(given.path, given.seconds, given.seed, given.mutate),
        "write": lambda: write_process(given.path, given.seconds, given.seed),
    }
    if given.role:
        roles[given.role]()
        return
    report = run(given.seconds, readers=given.readers, writers=given.writers, seed=given.seed, mutate=given.mutate)
    sys.stdout.write(f"{report}, seed {given.seed}\n")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
