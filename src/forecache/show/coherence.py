"""`forecache demo coherence`: two processes, a database, a shared tier and sequencers, and any of them is killed.

Rows are written past the caches, as psql would; every answer has a certificate, and at the end all are checked.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from typing import Any, Final

import numpy as np

from forecache._core import now
from forecache.show.servers import PostgreSQL, Valkey
from forecache.show.verdict import History, Judgement, Write, judge
from forecache.show.vouching import KEYS, LEVEL_SECONDS, READ, TABLE

__all__ = ["VIOLATED", "demonstrate", "run_coherence"]

VIOLATED: Final = 1  # exit code
READERS, SEQUENCERS = 2, 2
CALM_SECONDS: Final = 3.0  # before the first fault, and after the last
BETWEEN_SECONDS: Final = 1.5  # two faults
READY_SECONDS: Final = 60.0  # until processes read
WRITE_SECONDS: Final = 0.01  # between two writes
Tell = Callable[[str], object]


class Process:
    """One that is started again when it was killed."""

    def __init__(self, stack: ExitStack, name: str, command: Callable[[], Sequence[str]]) -> None:
        """Started by `start`."""
        self.name, self._command = name, command
        self._process: subprocess.Popen[bytes] | None = None
        stack.callback(self.kill)

    def start(self) -> None:
        """Runs it."""
        self._process = subprocess.Popen(self._command(), stderr=subprocess.DEVNULL)  # noqa: S603 - our own program

    def send(self, number: Signals) -> None:
        """A signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash does."""
        self.send(SIGKILL)
        if self._process is not None:
            self._process.wait()

    def wait(self, seconds: float) -> None:
        """Until it ends by itself."""
        if self._process is not None:
            self._process.wait(seconds)


class Writer(threading.Thread):
    """Writes rows past the caches, and notes when."""

    def __init__(self, url: str, seed: int) -> None:
        """Not begun."""
        super().__init__(daemon=True)
        self.writes: list[Write] = []
        self.stop = threading.Event()
        self._url, self._chance = url, random.Random(seed)  # noqa: S311 - no secret

    def run(self) -> None:
        """Until told to stop; a connection that is lost is made again."""
        import psycopg

        while not self.stop.is_set():
            with suppress(psycopg.Error), psycopg.connect(self._url, autocommit=True, connect_timeout=2) as connection:
                while not self.stop.wait(WRITE_SECONDS):
                    self._write(connection, self._chance.randrange(KEYS))
            self.stop.wait(0.1)

    def _write(self, connection: Any, key: int) -> None:
        began, version = now(), -1
        try:
            statement = f"UPDATE {TABLE} SET version = version + 1 WHERE id = %s RETURNING version"  # noqa: S608 - constant
            version = connection.execute(statement, [key]).fetchone()[0]
        finally:
            self.writes.append(Write(key, version, began, now()))


class Stage:
    """All that runs."""

    def __init__(self, stack: ExitStack, seconds: float, seed: int, tell: Tell) -> None:
        """Starts it."""
        import psycopg

        self.chance, self.tell, self.seconds, self._numbers = random.Random(seed), tell, seconds, 0  # noqa: S311 - no secret
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecache-")))
        self.postgresql, self.valkey = stack.enter_context(PostgreSQL()), stack.enter_context(Valkey())
        with psycopg.connect(self.postgresql.url, autocommit=True) as admin:
            admin.execute(f"CREATE TABLE {TABLE} (id int PRIMARY KEY, version bigint NOT NULL)")
            admin.execute(f"INSERT INTO {TABLE} SELECT n, 0 FROM generate_series(0, {KEYS - 1}) AS n")  # noqa: S608 - constants
        self.sequencers = [Process(stack, f"sequencer {n}", self._sequencer) for n in range(1, SEQUENCERS + 1)]
        self.readers = [Process(stack, f"process {n}", self._reader) for n in range(1, READERS + 1)]
        for process in (*self.sequencers, *self.readers):
            process.start()
        self.writer = Writer(self.postgresql.url, seed)
        self.faults: list[Callable[[], str]] = [
            *(partial(self.killed, each) for each in (*self.sequencers, *self.readers)),
            *(partial(self.paused, each) for each in self.sequencers),
            self.valkey_killed,
            self.valkey_paused,
            self.valkey_emptied,
            self.postgresql_killed,
        ]

    def _sequencer(self) -> list[str]:
        where = ["--origin", self.postgresql.url, "--shared", self.valkey.url, "--table", TABLE]
        return [sys.executable, "-m", "forecache", "sequencer", *where, "--quiet"]

    def _reader(self) -> list[str]:
        self._numbers += 1
        file = str(self.directory / f"reads-{self._numbers}")
        where = [self.postgresql.url, self.valkey.url, str(self.seconds + READY_SECONDS), str(self._numbers), file]
        return [sys.executable, "-m", "forecache.show.vouching", *where]

    def wait(self) -> None:
        """Until every process reads.

        Raises:
            TimeoutError: one does not.
        """
        ends = now() + READY_SECONDS
        while sum(file.stat().st_size > 0 for file in self.directory.glob("reads-*")) < READERS:
            if now() > ends:
                raise TimeoutError(f"the processes do not read after {READY_SECONDS:g} s; is the machine overloaded?")
            time.sleep(0.05)

    def killed(self, process: Process) -> str:
        """A process dies, and is started again."""
        process.kill()
        process.start()
        return f"{process.name} killed, and started again"

    def paused(self, process: Process) -> str:
        """A process stands still, and then goes on as if nothing had happened."""
        process.send(SIGSTOP)
        time.sleep(BETWEEN_SECONDS)
        process.send(SIGCONT)
        return f"{process.name} stood still for {BETWEEN_SECONDS} s"

    def valkey_killed(self) -> str:
        """The tier dies, and comes back empty."""
        self.valkey.kill()
        time.sleep(self.chance.uniform(0, 1))
        self.valkey.start()
        return "Valkey killed, and started again empty"

    def valkey_paused(self) -> str:
        """The tier does not answer."""
        self.valkey.pause()
        time.sleep(BETWEEN_SECONDS)
        self.valkey.resume()
        return f"Valkey stood still for {BETWEEN_SECONDS} s"

    def valkey_emptied(self) -> str:
        """Somebody deletes all keys."""
        import valkey

        with valkey.Valkey(port=self.valkey.port) as admin:
            admin.flushall()
        return "FLUSHALL"

    def postgresql_killed(self) -> str:
        """The database crashes, and recovers."""
        self.postgresql.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.postgresql.start()
        return "PostgreSQL crashed, and recovered"

    def history(self) -> History:
        """What the processes wrote down."""
        reads = []
        for file in sorted(self.directory.glob("reads-*")):
            data = file.read_bytes()
            reads.append(np.frombuffer(data[: len(data) // READ.itemsize * READ.itemsize], READ))
        return History(np.concatenate(reads), tuple(self.writer.writes))


def run_coherence(seconds: float, seed: int, tell: Tell) -> tuple[Judgement, int]:
    """Runs everything for so long, and judges.

    Args:
        seconds: of which the first and the last are without faults.
        seed: of the order of faults and of keys.
        tell: is told what happens, a line at a time.

    Returns:
        The judgement, and how many faults there were.
    """
    with ExitStack() as stack:
        stage = Stage(stack, seconds, seed, tell)
        stage.wait()
        ends = now() + seconds
        tell(f"two processes read {KEYS} rows at 'bounded({LEVEL_SECONDS}s)'; one connection writes past them")
        stage.writer.start()
        time.sleep(CALM_SECONDS)
        faults, waiting = 0, list[Callable[[], str]]()
        while now() < ends - CALM_SECONDS:
            if not waiting:  # each once, then each once more, in another order
                waiting = stage.chance.sample(stage.faults, len(stage.faults))
            tell(f"{seconds - (ends - now()):5.1f} s  {waiting.pop()()}")
            faults += 1
            time.sleep(stage.chance.uniform(0.2, 1) * BETWEEN_SECONDS)
        time.sleep(max(0.0, ends - now()))
        stage.writer.stop.set()
        stage.writer.join(5)
        for reader in stage.readers:
            reader.kill()
        return judge(stage.history()), faults


def demonstrate(seconds: float, seed: int, *, as_json: bool) -> int:
    """Runs it, and says how it ended; the exit code."""
    from forecache.show.output import print_json

    judgement, faults = run_coherence(seconds, seed, lambda line: sys.stderr.write(line + "\n"))
    if as_json:
        print_json(asdict(judgement) | {"faults": faults, "violations": judgement.violations})
    else:
        sys.stdout.write("\n".join([*findings(judgement), "", closing(judgement, faults)]) + "\n")
    return VIOLATED if judgement.violations else 0


def findings(judgement: Judgement) -> list[str]:
    """What was seen, for people."""
    tiers = ", ".join(f"{count:,} from the {tier}" for tier, count in judgement.tiers.items())
    median, high = (age * 1000 for age in judgement.ages)
    return [
        "",
        f"answers: {tiers}; {judgement.contended:,} within 50 ms of a write to their row",
        f"proven age of answers from the process: {median:.0f} ms in the median, 99 % within {high:.0f} ms",
        f"older than certified: {judgement.stale}; of writes not begun: {judgement.early}; "
        f"without a proof that the level allows: {judgement.unproven}",
    ]


def closing(judgement: Judgement, faults: int) -> str:
    """The last line."""
    done = f"{judgement.reads:,} reads, {judgement.writes:,} writes, {faults} faults"
    return f"{done}, {judgement.violations} violations"
