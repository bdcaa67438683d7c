"""What strong answers from copies cost: the wait of commits, the share that copies answer, and takeovers.

On a server of its own with `fsync` on, with sequencers and readers as processes of their own. One client updates one of
100 rows at a time, and commits; ways take turns. "Database alone" is the same server while commits do not wait for us.
"Does nothing" is a standby that acknowledges each commit as soon as its bytes are there: what is left to gain.
Two readers read the same rows at random, with a pause of 1 ms after each, at level `strong`; shares are of what they
read while commits waited. In a takeover the sequencer that leads is killed or stopped while the client commits without
a pause: what is counted is the longest time between two commits that returned after that.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import forecache
from benchmarks.following import follower, milliseconds
from benchmarks.harness import Peers, Table, parser, report
from benchmarks.idle_standby import NAME, stand_by
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.show.servers import Sequencer
from tests.coherence.strong import Setting, until
from tests.servers import PostgreSQL, Valkey

ROWS = 100
UPDATE = "UPDATE item SET version = version + 1 WHERE id = %s"


def read(url: str, shared: str, pipe: Connection) -> None:
    """A process that reads until it is told to stop; answers each word with its counts, and the share of copies."""
    choice = random.Random(pipe.fileno())  # noqa: S311 - chooses rows
    with forecache.open(url, ["item"], shared=ValkeyTier.connect(shared), level="strong") as database:
        counts = [0, 0]
        while True:
            answer = database["item"].get(choice.randrange(1, ROWS + 1), with_certificate=True)
            counts[0] += 1
            counts[1] += answer.certificate.tier == "process"
            time.sleep(0.001)
            if pipe.poll():
                if pipe.recv() == "stop":
                    return
                pipe.send(counts)
                counts = [0, 0]


class Readers:
    """Processes that read strongly."""

    def __init__(self, stack: ExitStack, setting: Setting, number: int) -> None:
        """Starts them."""
        context = multiprocessing.get_context("spawn")
        self.pipes = []
        for _ in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=read, args=(setting.url, setting.valkey.url, theirs), daemon=True)
            process.start()
            stack.callback(process.join, 30)
            stack.callback(ours.send, "stop")
            self.pipes.append(ours)
        until(lambda: self.counts()[1] > 0)

    def counts(self) -> list[int]:
        """Reads since the last call, and how many copies answered."""
        for pipe in self.pipes:
            pipe.send("counts")
        return [sum(parts) for parts in zip(*(pipe.recv() for pipe in self.pipes), strict=True)]


def commit(connection: Any, times: int) -> list[float]:
    """Seconds of each commit."""
    found = []
    for number in range(times):
        start = perf_counter()
        connection.execute(UPDATE, [number % ROWS + 1])
        found.append(perf_counter() - start)
    return found


def switch(setting: Setting, names: str) -> None:
    """Whom commits wait for; they are told at once."""
    setting.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    setting.ask("SELECT pg_reload_conf()")
    time.sleep(1.5)  # a sequencer vouches a second later


def waits(setting: Setting, connection: Any, rounds: int, times: int) -> tuple[list[list[str]], list[list[str]]]:
    """Lines of commits, and of reads."""
    lines, shares = [], []
    for number in (0, 2):
        alone: list[float] = []
        idle: list[float] = []
        waiting: list[float] = []
        with ExitStack() as stack:
            switch(setting, "forecache")
            readers = Readers(stack, setting, number) if number else None
            counts = [0, 0]
            for _ in range(rounds):
                switch(setting, "")
                alone += commit(connection, times)
                with follower(setting.url, stand_by):
                    switch(setting, NAME)
                    idle += commit(connection, times)
                    switch(setting, "")
                switch(setting, "forecache")
                if readers is not None:
                    readers.counts()
                waiting += commit(connection, times)
                if readers is not None:
                    counts = [sum(pair) for pair in zip(counts, readers.counts(), strict=True)]
        own = milliseconds(alone)[0]
        for name, found in (("database alone", alone), ("a standby that does nothing", idle), ("synchronous", waiting)):
            line = milliseconds(found)
            lines.append([f"{name}, {number} readers", *(f"{part:.2f}" for part in line), f"{line[0] / own:.2f}"])
        if readers is not None:
            rate = len(waiting) / sum(waiting)
            shares.append([f"{number}", f"{rate:,.0f}", f"{counts[0]:,}", f"{counts[1] / counts[0]:.3f}"])
    return lines, shares


def leads(candidate: Sequencer) -> bool:
    """Whether its last word was that it does."""
    words = [line for line in candidate.log if any(word in line for word in ("lead", "followed", "steps back"))]
    return "this sequencer leads" in words[-1]


def takeovers(connection: Any, candidates: list[Sequencer], times: int) -> list[list[str]]:
    """Lines of what happens to the one that leads."""
    found: dict[str, list[float]] = {"killed": [], "stopped": []}
    done: list[float] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            connection.execute(UPDATE, [1])
            done.append(perf_counter())

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(times):
        for what, seconds in found.items():
            time.sleep(1.0)
            until(lambda: any(map(leads, candidates)))
            (leader,) = filter(leads, candidates)
            at = perf_counter()
            leader.kill() if what == "killed" else leader.pause()
            others = [each for each in candidates if each is not leader]
            until(lambda others=others: any(map(leads, others)))  # type: ignore[misc]
            time.sleep(0.5)  # in which the client's commit returns
            while done[-1] < at + 0.5:
                time.sleep(0.01)
            seconds.append(max(after - before for before, after in pairwise(done) if after > at))
            if what == "stopped":
                leader.resume()
                leader.kill()  # one that is stopped again and again is given more time
            leader.start()
    stop.set()
    thread.join(30)
    return [
        [name, f"{len(seconds)}", f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"]
        for name, seconds in found.items()
    ]


def main() -> None:
    """Measures and reports."""
    options, peers = parser(__doc__).parse_args(), Peers()
    peers.find("psycopg")
    peers.find("valkey")
    rounds, times, failures = (1, 50, 1) if options.quick else (5, 100, 5)
    with PostgreSQL(fsync="on") as server, Valkey() as valkey, Setting(server, valkey) as setting:
        setting.ask("INSERT INTO item SELECT i, 0 FROM generate_series(6, %s) AS i", ROWS)
        candidates = [setting.candidate("400ms"), setting.candidate("400ms")]  # as is usual
        with setting.connected() as connection:
            lines, shares = waits(setting, connection, rounds, times)
            gone = takeovers(connection, candidates, failures)
        switch(setting, "")
    tables = [
        Table("Commits of one row", ["", "p50, ms", "p99, ms", "p50, times that of the database"], lines),
        Table("Strong reads", ["readers", "commits a second", "reads", "share that copies answered"], shares),
        Table("Takeovers", ["the sequencer that leads is", "times", "median, s", "longest, s"], gone),
    ]
    report("strong", options, tables, peers, (__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
