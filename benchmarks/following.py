"""What it costs to follow PostgreSQL: row changes a second on one core, the way of a beacon, and the wait of commits.

On a server of its own with `fsync` on. "Machines" makes commits of bytes of the replication stream, recorded before, by
`decode` and `Transactions`, and counts the time of the core alone; rows have six columns. "With the server" is a source
from `open` until it has told and acknowledged a backlog, while the server prepares it, by the clock. A beacon is a
`sample` and the `poll` that brings it back. For commits, one client updates one row at a time; who follows is a process
of its own, which acknowledges at once; the ways take turns.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from time import perf_counter, process_time
from typing import Any

import psycopg

from benchmarks.harness import Peers, Table, parser, report
from forecache.coherence.changes import ChangeSource, Commit, Message
from forecache.coherence.postgresql.coverage import ask_tables
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.notes import removal
from forecache.coherence.postgresql.notes_source import NotesSource
from forecache.coherence.postgresql.pgoutput import decode
from forecache.coherence.postgresql.replication import Stream
from forecache.coherence.postgresql.synchronous import STANDBY, switch_off, switch_on
from forecache.coherence.postgresql.transactions import Followed, Transactions
from tests.servers import PostgreSQL

SCHEMA = "CREATE TABLE product (id int PRIMARY KEY, name text, price int, brand text, country text, at timestamptz)"
FILL = (
    "INSERT INTO product SELECT g, 'a name of some length', g, 'a brand', 'Italy', now() FROM generate_series(1, {}) g"
)
UPDATE = "UPDATE product SET price = price + 1 WHERE id BETWEEN {} AND {}"
TABLES = {"product": ["id"]}
SIZES = (1, 10, 1000)  # rows of a transaction
numbers = itertools.count()
SOURCES = {"log": LogSource, "notes of triggers": NotesSource}


def milliseconds(seconds: Sequence[float]) -> tuple[float, float]:
    """The median, and the 99th percentile."""
    return statistics.median(seconds) * 1e3, statistics.quantiles(seconds, n=100)[-1] * 1e3


class Bench:
    """A server with a table of so many rows."""

    def __init__(self, server: PostgreSQL, rows: int) -> None:
        """Fills the table."""
        self.url = server.url
        self.rows = rows
        self.connection: psycopg.Connection[Any] = psycopg.connect(self.url, autocommit=True)
        self.sql(SCHEMA, FILL.format(rows))

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs statements."""
        for statement in statements:
            cursor = self.connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    def backlog(self, rows: int, size: int) -> None:
        """Transactions of so many rows; as one call of the server, so that small ones are quick."""
        loops = rows // size
        first = f"i * {size} % {self.rows - size}"
        update = UPDATE.format(first, f"{first} + {size - 1}")
        loop = f"DO $$ BEGIN FOR i IN 1..{loops} LOOP {update}; COMMIT; END LOOP; END $$"
        self.sql("SET synchronous_commit = off", loop, "RESET synchronous_commit")

    def clean(self) -> None:
        """Removes triggers."""
        self.sql(*removal(ask_tables(lambda sql, values=None: self.connection.execute(sql, values).fetchall(), TABLES)))


@contextmanager
def opened(source: ChangeSource) -> Iterator[ChangeSource]:
    """A source, and what it made is gone afterwards."""
    source.open()
    try:
        yield source
    finally:
        source.close()


def drain(source: ChangeSource) -> int:
    """Tells and acknowledges all there is; the row changes in it."""
    end, rows = b"end %d" % next(numbers), 0  # one that was not acknowledged may be told again
    source.sample(end)
    while True:
        events = source.poll(1.0)
        commits = [event for event in events if isinstance(event, Commit)]
        rows += sum(len(commit.changes) for commit in commits)
        if commits:
            source.acknowledge(commits[-1].position)
        if any(isinstance(event, Message) and event.content == end for event in events):
            return rows


def recorded(bench: Bench, rows: int, size: int) -> list[bytes]:
    """What the replication stream carries of updates."""
    messages: list[bytes] = []
    with opened(LogSource(bench.url, TABLES, silence="1m")) as source:
        drain(source)
        bench.backlog(rows, size)
        read = Stream.read

        def reading(stream: Stream, seconds: float) -> Iterator[Any]:
            for data in read(stream, seconds):
                if isinstance(data, bytes):
                    messages.append(data)
                yield data

        Stream.read = reading  # type: ignore[assignment, method-assign]
        try:
            drain(source)
        finally:
            Stream.read = read  # type: ignore[method-assign]
    return messages


def machines(bench: Bench, rows: int, size: int) -> float:
    """Row changes in a second of a core, without the server."""
    messages = recorded(bench, rows, size)
    product = Followed("product", ("id",), lambda texts: int(texts[0]))
    best = 0.0
    for _ in range(5):
        made, found = Transactions(lambda _: [product], 10**6), 0
        start = process_time()
        for message in messages:
            event = made.feed(decode(message))
            if isinstance(event, Commit):
                found += len(event.changes)
        best = max(best, found / (process_time() - start))
    return best


def with_server(bench: Bench, kind: type[LogSource | NotesSource], rows: int, size: int) -> float:
    """Row changes a second, of a backlog."""
    source = kind(bench.url, TABLES, silence="1m", timeout="1m")
    with opened(source):
        drain(source)
    bench.backlog(rows, size)
    start = perf_counter()
    with opened(source):
        found = drain(source)
    seconds = perf_counter() - start
    bench.clean()
    return found / seconds


def beacons(bench: Bench, kind: type[LogSource | NotesSource], times: int) -> tuple[float, float]:
    """Milliseconds from a sample until its message is told."""
    found = []
    with opened(kind(bench.url, TABLES)) as source:
        drain(source)
        for number in range(times):
            content, start = b"%d" % number, perf_counter()
            source.sample(content)
            while not any(isinstance(event, Message) and event.content == content for event in source.poll(1.0)):
                pass
            found.append(perf_counter() - start)
    bench.clean()
    return milliseconds(found)


def follow(url: str, is_up: Event, is_over: Event) -> None:
    """A process that follows and acknowledges at once."""
    with opened(LogSource(url, TABLES, silence="1m", standby=STANDBY)) as source:
        is_up.set()
        while not is_over.is_set():
            for event in source.poll(0.05):
                if isinstance(event, Commit):
                    source.acknowledge(event.position)


@contextmanager
def follower(url: str, follow: Callable[[str, Event, Event], None] = follow) -> Iterator[None]:
    """Somebody who follows, as a process: it says that it does, and is told when that is over."""
    context = multiprocessing.get_context("spawn")
    is_up, is_over = context.Event(), context.Event()
    process = context.Process(target=follow, args=(url, is_up, is_over))
    process.start()
    try:
        if not is_up.wait(30):
            raise RuntimeError("nobody follows")
        yield
    finally:
        is_over.set()
        process.join(30)


def commits(bench: Bench, rounds: int, times: int) -> list[list[str]]:
    """Milliseconds of a commit, by what it waits for."""

    def update(found: list[float]) -> None:
        for number in range(times):
            start = perf_counter()
            bench.sql(UPDATE.format(number + 1, number + 1))
            found.append(perf_counter() - start)

    ways: dict[str, list[float]] = {name: [] for name in ("nobody", "followed", "synchronous", "noted by triggers")}
    for _ in range(rounds):
        update(ways["nobody"])
        with follower(bench.url):
            update(ways["followed"])
            bench.sql(*switch_on("", 1))
            update(ways["synchronous"])
            bench.sql(*switch_off("forecache"))
        with opened(NotesSource(bench.url, TABLES, silence="1m")):
            update(ways["noted by triggers"])
        bench.clean()
    own = milliseconds(ways["nobody"])[0]
    return [
        [name, *(f"{part:.2f}" for part in milliseconds(found)), f"{milliseconds(found)[0] / own:.2f}"]
        for name, found in ways.items()
    ]


def speeds_of(bench: Bench, rows: int, size: int) -> list[object]:
    """A line of the first table."""
    speeds = [machines(bench, rows, size), *(with_server(bench, kind, rows, size) for kind in SOURCES.values())]
    return [f"{size} rows", *(f"{speed:,.0f}" for speed in speeds)]


def main() -> None:
    """Measures and reports."""
    options, peers = parser(__doc__).parse_args(), Peers()
    peers.find("psycopg")
    rows, rounds, times = (2_000, 1, 100) if options.quick else (30_000, 10, 60)
    with PostgreSQL(fsync="on") as server:
        bench = Bench(server, 10_000)
        speeds = [speeds_of(bench, rows, size) for size in SIZES]
        ways = [
            [name, *(f"{part:.2f}" for part in beacons(bench, kind, rounds * times))] for name, kind in SOURCES.items()
        ]
        waits = commits(bench, rounds, times)
        bench.connection.close()
    columns = ["", "machines", *(f"with the server, {name}" for name in SOURCES)]
    tables = [
        Table("Row changes a second, by the size of transactions", columns, speeds),
        Table("Beacons", ["", "p50, ms", "p99, ms"], ways),
        Table("Commits of one row", ["", "p50, ms", "p99, ms", "p50, times that of nobody"], waits),
    ]
    report("following", options, tables, peers, (__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
