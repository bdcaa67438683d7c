"""How long commits wait while one sequencer takes over from another, also again and again, and under load.

On a server of its own with `fsync` on, with two candidates as processes of their own, which may be silent for 400 ms.
One client commits without a pause; what is counted is its longest wait from the moment when the sequencer that leads is
killed or stopped, until it has committed again. One that is stopped goes on a second later, as a process does that
somebody looked into, and stands by; the next stop follows 2 s after that. Under load, processes that do nothing but
compute run beside all others: four for each core, or, where it is heavy, 16.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from time import perf_counter
from typing import Any, Final

from benchmarks.harness import Peers, Table, parser, report
from benchmarks.strong import UPDATE, leads, switch
from forecache.show.servers import Sequencer
from tests.coherence.strong import Setting, until
from tests.servers import PostgreSQL, Valkey

STOPPED_SECONDS: Final = 1.0
CALM_SECONDS: Final = 2.0
BUSY: Final = "while True: pass"


class Client:
    """Commits without a pause, in a thread."""

    def __init__(self, connection: Any) -> None:
        """Begins."""
        self._connection, self._stop = connection, threading.Event()
        self.done: list[float] = []
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        while not self._stop.is_set():
            self._connection.execute(UPDATE, [1])
            self.done.append(perf_counter())

    def longest_wait(self, since: float) -> float:
        """From a moment on, when half a second has passed with commits."""
        first = len(self.done)
        until(lambda: len(self.done) > first and self.done[-1] > since + 0.5)
        time.sleep(0.5)
        return max(after - max(before, since) for before, after in pairwise(list(self.done)) if after > since)

    def close(self) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join(30)


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Processes that compute."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def takeover(client: Client, candidates: list[Sequencer], *, kills: bool) -> float:
    """Seconds that commits waited; afterwards both candidates run."""
    until(lambda: any(map(leads, candidates)))
    (leader,) = filter(leads, candidates)
    (other,) = (each for each in candidates if each is not leader)
    at = perf_counter()
    leader.kill() if kills else leader.pause()
    until(lambda: leads(other))
    waited = client.longest_wait(at)
    if kills:
        leader.start()
    else:
        time.sleep(max(0.0, STOPPED_SECONDS - (perf_counter() - at)))
        leader.resume()
        until(lambda: not leads(leader))
    time.sleep(CALM_SECONDS)
    return waited


def line(name: str, waits: list[float]) -> list[str]:
    """Of one table."""
    return [name, f"{len(waits)}", f"{statistics.median(waits):.2f}", f"{max(waits):.2f}", f"{waits[-1]:.2f}"]


def main() -> None:
    """Measures and reports."""
    options, peers = parser(__doc__).parse_args(), Peers()
    peers.find("psycopg")
    peers.find("valkey")
    times, cores = (2, os.cpu_count() or 1) if options.quick else (6, os.cpu_count() or 1)
    lines = []
    with ExitStack() as stack:
        server, valkey = stack.enter_context(PostgreSQL(fsync="on")), stack.enter_context(Valkey())
        setting = stack.enter_context(Setting(server, valkey))
        candidates = [setting.candidate("400ms"), setting.candidate("400ms")]
        switch(setting, "forecache")
        stack.callback(switch, setting, "")
        client = Client(stack.enter_context(setting.connected()))
        stack.callback(client.close)
        for name, kills, processes in (
            ("killed", True, 0),
            ("stopped again and again", False, 0),
            ("killed, under load", True, 4 * cores),
            ("stopped again and again, under load", False, 4 * cores),
            ("killed, under heavy load", True, 16 * cores),
        ):
            with load(processes):
                lines.append(line(name, [takeover(client, candidates, kills=kills) for _ in range(times)]))
            for each in candidates:  # forgets how patient it was
                each.kill()
                each.start()
    table = Table("Takeovers", ["the sequencer that leads is", "times", "median, s", "longest, s", "last, s"], lines)
    report("takeovers", options, [table], peers, (__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
