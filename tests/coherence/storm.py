"""Several processes on one database: some read and write through forecache, others write it behind its back.

    python -m tests.coherence.storm --reads 10_000_000 --most 200

Rages in rounds, each over a new database, until so many reads were made or so many seconds are over. Every answer is
checked against its certificate (`history.py`). Prints one line of summary; the exit code is 1 when an answer was older
than what it claimed.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecache import Database, _core
from forecache.errors import OriginError
from tests.coherence.history import READ, WRITE, contended, violations
from tests.coherence.mutants import MUTANTS, OF_ALL, none
from tests.coherence.stages import ANY, KEYS, STAGES, Way

THREADS = 3  # in each reading process
SLOWLY = 0.0005  # seconds between a query and its return, at most: others commit meanwhile
OFTEN = [2 * (KEYS - key) - 1 for key in range(KEYS)]  # some keys are read and written more than others
MOST_READS = 1_000_000  # of one thread in one round
ROUND_SECONDS = 20.0
BETWEEN_WRITES = 0.004  # seconds, at most


@dataclass(frozen=True)
class Report:
    """What happened."""

    reads: int = 0
    contended: int = 0
    writes: int = 0
    processes: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        summary = f"{self.reads:,} reads, {self.contended:,} of them within 50 ms of a write of their row, "
        told = "".join(f"\n  {violation}" for violation in self.violations[:5])
        return f"{summary}{self.writes:,} writes, {self.processes} processes: {len(self.violations)} violations{told}"

    def and_then(self, other: Report) -> Report:
        """Both rounds."""
        counts = (self.reads + other.reads, self.contended + other.contended, self.writes + other.writes)
        return Report(*counts, other.processes, self.violations + other.violations)


class Reader:
    """A process that reads and sometimes writes through forecache."""

    def __init__(self, stage: Any, seed: int) -> None:
        self.stage, self.seed = stage, seed
        self.shop: Database = stage.open()
        self.reads, self.writes = array("d"), array("d")
        self.mine = [0] * KEYS  # versions that this process wrote
        self.broken: list[str] = []
        slow_down(self.shop, random.Random(seed))

    def walk(self, until: float, number: int) -> None:
        chance, reads = random.Random(self.seed * 100 + number), array("d")
        ways: list[Way] = self.stage.ways
        weights = [way.weight for way in ways]
        while time.monotonic() < until and len(reads) < MOST_READS * len(READ):
            keys = chance.choices(range(KEYS), OFTEN, k=50)
            for key, way in zip(keys, chance.choices(ways, weights, k=50), strict=True):
                self.read(key, way, reads)
            if chance.random() < 0.02:
                self.write(chance.choices(range(KEYS), OFTEN)[0])
        self.reads.extend(reads)

    def read(self, key: int, way: Way, reads: array[float]) -> None:
        rows, least = self.shop["product"], self.mine[key]
        self.stage.before(self.shop, key)
        began = _core.now()
        if way.certified:
            answer = rows.get(key, level=way.level, with_certificate=True)
            age = answer.certificate.max_age
            version, age = answer.row["version"], ANY if age is None else age
        else:
            version, age = rows.get(key)["version"], way.bound
        reads.extend((key, version, began, _core.now(), age, way.bound))
        if way.level == "session" and version < least:
            self.broken.append(f"session: {version} of key {key} after {least} was written")

    def write(self, key: int) -> None:
        began = _core.now()
        transaction = self.shop.transaction()
        with suppress(OriginError), transaction:
            version = transaction.get("product", key)["version"] + 1
            transaction.update("product", key, {"version": version})
        self.stage.after(self.shop)
        if transaction.changes:
            self.writes.extend((key, version, began, _core.now()))
            self.mine[key] = max(self.mine[key], version)


def slow_down(shop: Database, chance: random.Random) -> None:
    """Lets time pass between a query and its return, so that commits overtake loads."""
    read = shop._origin.read

    def slow(*arguments: Any) -> Any:
        batch = read(*arguments)
        time.sleep(chance.random() * SLOWLY)
        return batch

    shop._origin.read = slow  # type: ignore[method-assign]


def read_process(stage: Any, into: Path, seconds: float, seed: int, mutate: str) -> None:
    reader = Reader(stage, seed)
    MUTANTS.get(mutate, none)(reader.shop)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=reader.walk, args=(until, number)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    save(into, seed, reader.reads, reader.writes)
    (into / f"broken-{seed}").write_text("\n".join(reader.broken))
    reader.shop.close()


def write_process(stage: Any, into: Path, seconds: float, seed: int) -> None:
    chance, until, writes = random.Random(seed), time.monotonic() + seconds, array("d")
    write = stage.writer(chance)
    while time.monotonic() < until:
        key = chance.choices(range(KEYS), OFTEN)[0]
        began = _core.now()
        version = write(key)
        writes.extend((key, version, began, _core.now()))
        time.sleep(chance.random() * BETWEEN_WRITES)
    save(into, seed, array("d"), writes)


def save(into: Path, seed: int, reads: array[float], writes: array[float]) -> None:
    for name, numbers, kind in (("reads", reads, READ), ("writes", writes, WRITE)):
        columns = np.frombuffer(numbers).reshape(-1, len(kind))
        table = np.empty(len(columns), kind)
        for place, column in enumerate(kind.names or ()):
            table[column] = columns[:, place]
        np.save(into / f"{name}-{seed}.npy", table)


def loaded(into: Path, name: str) -> NDArray[Any]:
    return np.concatenate([np.load(file) for file in into.glob(f"{name}-*.npy")])


def run(
    seconds: float, *, stage: str = "sqlite", readers: int = 2, writers: int = 1, seed: int = 0, mutate: str = "none"
) -> Report:
    """Lets several processes loose on one database, and checks what they saw."""
    with tempfile.TemporaryDirectory(prefix="forecache-storm-") as directory:
        into, made = Path(directory), STAGES[stage](directory)
        try:
            place = made.make()
            options = {"stage": stage, "place": place, "into": into, "seconds": seconds, "mutate": mutate}
            given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
            roles = ["read"] * readers + ["write"] * writers
            commands = [
                [sys.executable, "-m", "tests.coherence.storm", *given, "--role", role, "--seed", str(seed * 100 + n)]
                for n, role in enumerate(roles)
            ]
            processes, stop = [subprocess.Popen(command) for command in commands], threading.Event()
            disturbing = threading.Thread(target=made.disturb, args=(random.Random(seed), stop))
            disturbing.start()
            codes = [process.wait(seconds * 3 + 60) for process in processes]
            stop.set()
            disturbing.join()
        finally:
            made.close()
        assert codes == [0] * len(codes), codes
        reads, writes = loaded(into, "reads"), loaded(into, "writes")
        broken = [line for file in into.glob("broken-*") for line in file.read_text().splitlines()]
    found = violations(writes, reads) + broken
    return Report(len(reads), contended(writes, reads), len(writes), len(roles), found)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.coherence.storm")
    parser.add_argument("--stage", choices=STAGES, default="sqlite")
    parser.add_argument("--reads", type=int, default=1_000_000, help="after which no round begins")
    parser.add_argument("--most", type=float, default=60, help="seconds after which no round begins")
    parser.add_argument("--seconds", type=float, default=ROUND_SECONDS, help="of each round")
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--mutate", default="none", help="a defence to leave out")
    parser.add_argument("--role", choices=["read", "write"], help="of one of the processes")
    parser.add_argument("--place", help="where the stage is, for one of the processes")
    parser.add_argument("--into", type=Path, help="directory of what it saw")
    given = parser.parse_args()
    logging.getLogger("forecache").setLevel(logging.ERROR)  # outages are made on purpose
    if given.role:
        OF_ALL.get(given.mutate, lambda: None)()
        stage = STAGES[given.stage](given.place)
        if given.role == "read":
            read_process(stage, given.into, given.seconds, given.seed, given.mutate)
        else:
            write_process(stage, given.into, given.seconds, given.seed)
        return
    report, began, number = Report(), time.monotonic(), 0
    while not report.violations and report.reads < given.reads and time.monotonic() < began + given.most:
        crowd = {"readers": given.readers, "writers": given.writers, "mutate": given.mutate}
        report = report.and_then(run(given.seconds, stage=given.stage, seed=given.seed + number, **crowd))
        number += 1
    sys.stdout.write(f"{given.stage}: {report}, {number} rounds from seed {given.seed} on\n")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
