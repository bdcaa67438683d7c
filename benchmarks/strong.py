"""What strong answers from copies cost: the wait of commits, the share that copies answer, and takeovers.

On a server of its own with `fsync` on, with sequencers and readers as processes of their own. One client updates one of
100 rows at a time, and commits; ways take turns. "Database alone" is the same server while commits do not wait for us.
"Does nothing" is a standby that acknowledges each commit as soon as its bytes are there: what is left to gain.
Where the disk takes longer, it is the same disk, and `fdatasync`, by which the server makes its log durable, waits for
a fixed time before it does its work: a stand-in for network storage. Several clients at a time are threads of one
process, each with rows and a connection of its own; the server makes their commits durable together.
Two readers read the same rows at random, or those of another table that nobody writes, with a pause of 1 ms after each,
at level `strong`; shares are of what they read while commits waited. In a takeover the sequencer that leads is killed
or stopped while the client commits without a pause: what is counted is the longest time between two commits that
returned after that.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import forecache
from benchmarks.following import follower, milliseconds
from benchmarks.harness import Peers, Table, parser, report
from benchmarks.idle_standby import NAME, stand_by
from benchmarks.slow_disk import SECONDS, NoCompilerError, slow_disk
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.show.servers import Sequencer
from tests.coherence.strong import Setting, until
from tests.servers import PostgreSQL, Valkey

ROWS = 100
ITEM, ELSEWHERE = "item", "price"  # the table that is written, and another
CLIENTS = 4  # of those that commit at a time, of which no two write the same row
Lines = list[list[str]]
UPDATE = "UPDATE item SET version = version + 1 WHERE id = %s"


def read(url: str, shared: str, table: str, pipe: Connection) -> None:
    """A process that reads a table until it is told to stop; answers each word with its counts, and those of copies."""
    choice = random.Random(pipe.fileno())  # noqa: S311 - chooses rows
    with forecache.open(url, [table], shared=ValkeyTier.connect(shared), level="strong") as database:
        counts = [0, 0]
        while True:
            answer = database[table].get(choice.randrange(1, ROWS + 1), with_certificate=True)
            counts[0] += 1
            counts[1] += answer.certificate.tier == "process"
            time.sleep(0.001)
            if pipe.poll():
                if pipe.recv() == "stop":
                    return
                pipe.send(counts)
                counts = [0, 0]


class Readers:
    """Processes that read a table strongly."""

    def __init__(self, stack: ExitStack, setting: Setting, number: int, table: str) -> None:
        """Starts them."""
        context = multiprocessing.get_context("spawn")
        self.pipes = []
        for _ in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=read, args=(setting.url, setting.valkey.url, table, theirs), daemon=True)
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


def commit(connection: Any, times: int, first: int = 0, step: int = 1) -> list[float]:
    """Seconds of each commit."""
    found = []
    for number in range(times):
        start = perf_counter()
        connection.execute(UPDATE, [(first + number * step) % ROWS + 1])
        found.append(perf_counter() - start)
    return found


class Commits:
    """What commits took, of one client after the other and of several at a time."""

    def __init__(self) -> None:
        """None yet."""
        self.alone: list[float] = []
        self.together: list[float] = []
        self.seconds = 0.0  # of those together

    def measure(self, connections: Sequence[Any], times: int) -> None:
        """The first client, and then all of them."""
        self.alone += commit(connections[0], times)
        start = perf_counter()
        with ThreadPoolExecutor(len(connections)) as pool:
            jobs = [
                pool.submit(commit, connection, times // 2, first, len(connections))
                for first, connection in enumerate(connections)
            ]
            for job in jobs:
                self.together += job.result()
        self.seconds += perf_counter() - start


def switch(setting: Setting, names: str) -> None:
    """Whom commits wait for; they are told at once."""
    setting.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    setting.ask("SELECT pg_reload_conf()")
    time.sleep(1.5)  # a sequencer vouches a second later


WAYS = ("database alone", "a standby that does nothing", "synchronous")
READERS = {"0 readers": (0, ITEM), "2 readers": (2, ITEM), "2 readers of another table": (2, ELSEWHERE)}


def waits(setting: Setting, connections: Sequence[Any], rounds: int, times: int) -> tuple[list[Lines], Lines]:
    """Lines of commits by one client and by several, and of reads."""
    ones: Lines = []
    several: Lines = []
    shares: Lines = []
    for who, (number, table) in READERS.items():
        alone, idle, waiting = found = [Commits() for _ in WAYS]
        with ExitStack() as stack:
            switch(setting, "forecache")
            readers = Readers(stack, setting, number, table) if number else None
            counts = [0, 0]
            for _ in range(rounds):
                switch(setting, "")
                alone.measure(connections, times)
                with follower(setting.url, stand_by):
                    switch(setting, NAME)
                    idle.measure(connections, times)
                    switch(setting, "")
                switch(setting, "forecache")
                if readers is not None:
                    readers.counts()
                waiting.measure(connections, times)
                if readers is not None:
                    counts = [sum(pair) for pair in zip(counts, readers.counts(), strict=True)]
        for name, commits in zip(WAYS, found, strict=True):
            one, all_of = milliseconds(commits.alone), milliseconds(commits.together)
            own = milliseconds(alone.alone)[0], milliseconds(alone.together)[0]
            title = f"{name}, {who}"
            ones.append([title, *(f"{part:.2f}" for part in one), f"{one[0] / own[0]:.2f}"])
            rate = len(commits.together) / commits.seconds
            several.append([title, *(f"{part:.2f}" for part in all_of), f"{all_of[0] / own[1]:.2f}", f"{rate:,.0f}"])
        if readers is not None:
            done, seconds = len(waiting.alone) + len(waiting.together), sum(waiting.alone) + waiting.seconds
            shares.append(
                [who, f"{done / seconds:,.0f}", f"{counts[0]:,}", f"{counts[1] / counts[0]:.3f}"],
            )
    return [ones, several], shares


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


@contextmanager
def prepared(server: PostgreSQL) -> Iterator[tuple[Setting, list[Sequencer], list[Any]]]:
    """Rows, two sequencers and clients on a server that runs."""
    with Valkey() as valkey, Setting(server, valkey, ELSEWHERE) as setting, ExitStack() as stack:
        for table in setting.tables:
            setting.ask(f"INSERT INTO {table} SELECT i, 0 FROM generate_series(6, %s) AS i", ROWS)  # noqa: S608
        candidates = [setting.candidate("400ms"), setting.candidate("400ms")]  # as is usual
        yield setting, candidates, [stack.enter_context(setting.connected()) for _ in range(CLIENTS)]
        switch(setting, "")


def main() -> None:
    """Measures and reports."""
    options, peers = parser(__doc__).parse_args(), Peers()
    peers.find("psycopg")
    peers.find("valkey")
    rounds, times, failures = (1, 50, 1) if options.quick else (4, 100, 5)
    with PostgreSQL(fsync="on") as server, prepared(server) as (setting, candidates, connections):
        lines, shares = waits(setting, connections, rounds, times)
        gone = takeovers(connections[0], candidates, failures)
    names, several = ["", "p50, ms", "p99, ms", "p50, times that of the database"], f"Commits of {CLIENTS} clients"
    columns = [names, [*names, "commits a second"]]
    tables = list(map(Table, ["Commits of one row", f"{several} at a time"], columns, lines))
    try:
        with slow_disk() as slow, slow, prepared(slow) as (setting, _, connections):
            lines, _ = waits(setting, connections, rounds, times)
        where = f"where the disk takes {SECONDS * 1000:g} ms more"
        tables += map(Table, [f"Commits of one row, {where}", f"{several} at a time, {where}"], columns, lines)
    except NoCompilerError as error:
        peers.skipped.append(f"the slow disk ({error})")
    tables += [
        Table("Strong reads", ["readers", "commits a second", "reads", "share that copies answered"], shares),
        Table("Takeovers", ["the sequencer that leads is", "times", "median, s", "longest, s"], gone),
    ]
    report("strong", options, tables, peers, (__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
