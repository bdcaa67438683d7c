"""Row changes that a sequencer brings from PostgreSQL into Valkey, a second and for a second of processor time.

All is committed before it starts: the backlog of a sequencer that was away. It then follows the log until every change
is applied and acknowledged. "Largest backlog" is of commands that Valkey had not answered. PostgreSQL and Valkey run on
the same machine. "Of a core" counts the processor time of the sequencer's process: what it does if nothing holds it up.
Ages are of copies in a process at rest, proven by beacons every 20 ms. Hits are of rows that are in the process, beside
a plain `forecache.Cache` with the same rows, which proves nothing; all take turns. There, the shared tier is two
servers, and commits wait for the sequencer, which is in another process, so that strong reads are hits as well.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import quantiles

import psycopg

import forecache
from benchmarks.harness import Peers, Table, alternate, own, parser, report
from forecache.coherence.certificate import Certified
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.synchronous import STANDBY, switch_off, switch_on
from forecache.serve.sequencing import Sequencing
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.show.servers import Sequencer as Candidate
from tests.servers import PostgreSQL, Valkey

ROWS = 10_000
CHANGES = 200_000
HITS = 1_000  # keys
PATIENCE_SECONDS = 120
WRITE = """
DO $$ BEGIN
    FOR i IN 0..{last} LOOP
        UPDATE item SET version = version + 1 WHERE id BETWEEN i * {rows} % {all} + 1 AND i * {rows} % {all} + {rows};
        COMMIT;
    END LOOP;
END $$
"""


def source_of(url: str) -> LogSource:
    """Follows the table."""
    return LogSource(url, {"item": ("id",)})


@contextmanager
def sequencing(url: str, shared: str) -> Iterator[Sequencing]:
    """One that runs."""
    running, stop = Sequencing(source_of(url), ValkeyTier.connect(shared)), threading.Event()
    thread = threading.Thread(target=running.run, args=(stop,))
    thread.start()
    try:
        yield running
    finally:
        stop.set()
        thread.join()


def drain(url: str, shared: str, rows: int, changes: int) -> list[str]:
    """How fast a backlog of transactions of so many rows is brought over."""
    source = source_of(url)
    source.open()  # from here on the log is kept
    source.close()
    with psycopg.connect(url, autocommit=True) as writer:
        writer.execute(WRITE.format(last=changes // rows - 1, rows=rows, all=ROWS).encode())
    before, start = processor_seconds(), time.perf_counter()
    with sequencing(url, shared) as running:
        largest, ends = 0, time.monotonic() + PATIENCE_SECONDS
        while (stats := running.stats()).changes < changes or stats.backlog:
            largest = max(largest, stats.backlog)
            if time.monotonic() > ends:
                raise TimeoutError(f"{stats} after {PATIENCE_SECONDS} seconds; expected {changes} changes")
            time.sleep(0.01)
        wall, busy = time.perf_counter() - start, processor_seconds() - before
    return [f"{rows}", f"{changes:,}", f"{changes / wall:,.0f}", f"{changes / busy:,.0f}", f"{largest:,}"]


def processor_seconds() -> float:
    """Of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def ages(url: str, shared: str, seconds: float) -> list[str]:
    """Of a copy that is read now and then."""
    with sequencing(url, shared), forecache.open(url, ["item"], shared=shared) as database:
        found: list[float] = []
        ends = time.monotonic() + 2 + seconds
        while time.monotonic() < ends:
            certificate = database["item"].get(1, with_certificate=True).certificate
            if time.monotonic() > ends - seconds and certificate.max_age is not None:
                found.append(certificate.max_age * 1000)
            time.sleep(0.001)
    cuts = quantiles(found, n=100)
    return [f"{len(found):,}", f"{cuts[49]:.0f}", f"{cuts[98]:.0f}", f"{max(found):.0f}"]


@contextmanager
def waited_for(url: str, shared: list[str]) -> Iterator[None]:
    """A sequencer for whose acknowledgement commits wait."""
    running = Candidate(url, shared[0], "item", "--synchronous", "--shared", shared[1])
    running.start()
    with psycopg.connect(url, autocommit=True) as admin:
        for statement in switch_on("", 1):
            admin.execute(statement.encode())
        yield
        for statement in switch_off(STANDBY):
            admin.execute(statement.encode())
    running.close()


def hits(url: str, shared: list[str], rounds: int) -> list[list[str]]:
    """What a proof, a certificate, and more than a proof, add to a hit."""
    keys = list(range(1, HITS + 1))
    with (
        waited_for(url, shared),
        forecache.open(url, ["item"], shared=shared) as database,
        forecache.open(url, ["item"], shared=shared, level="strong") as strict,
    ):
        rows, strong = database["item"], strict["item"]
        plain = forecache.Cache[int, dict[str, int]](capacity=2 * HITS)
        for key in keys:
            plain[key] = rows.get(key)
            strong.get(key)
        ends = time.monotonic() + PATIENCE_SECONDS
        while any(
            each.get(1, level="strong", with_certificate=True).certificate.tier != "process" for each in (rows, strong)
        ):
            if time.monotonic() > ends:
                raise TimeoutError("no strong read became a hit; expected a sequencer that leads")
        runs = {
            "plain Cache": partial(own(each), plain.get, keys),
            "proven, bounded(1s)": partial(own(each), rows.get, keys),
            "with its certificate": partial(own(each_certified), rows.get, keys),
            "whose age is looked at": partial(own(each_age), rows.get, keys),
            "strong": partial(own(each), strong.get, keys),
            "strong, with its certificate": partial(own(each_certified), strong.get, keys),
            "strong, by its argument": partial(own(each), partial(rows.get, level="strong"), keys),
        }
        best = alternate(runs, rounds)
    return [
        [name, f"{seconds * 1e9:,.0f}", f"{(seconds - best['plain Cache']) * 1e9:+,.0f}"]
        for name, seconds in best.items()
    ]


def each(get: Callable[[int], object], keys: list[int]) -> float:
    """Seconds for one hit."""
    start = time.perf_counter()
    for key in keys:
        get(key)
    return (time.perf_counter() - start) / len(keys)


def each_certified(get: Callable[..., object], keys: list[int]) -> float:
    """The same with its certificate."""
    start = time.perf_counter()
    for key in keys:
        get(key, with_certificate=True)
    return (time.perf_counter() - start) / len(keys)


def each_age(get: Callable[..., Certified], keys: list[int]) -> float:
    """The same, looked at."""
    start = time.perf_counter()
    for key in keys:
        _ = get(key, with_certificate=True).certificate.max_age
    return (time.perf_counter() - start) / len(keys)


def main() -> None:
    """Measures and reports."""
    options, peers = parser(__doc__).parse_args(), Peers()
    for package in ("psycopg", "valkey"):
        peers.find(package)
    changes = CHANGES // (20 if options.quick else 1)
    with PostgreSQL() as postgresql, Valkey() as valkey, Valkey() as other:
        with psycopg.connect(postgresql.url, autocommit=True) as admin:
            admin.execute("CREATE TABLE item (id int PRIMARY KEY, version int NOT NULL)")
            admin.execute("INSERT INTO item SELECT n, 0 FROM generate_series(1, %s) AS n", [ROWS])
        drained = [drain(postgresql.url, valkey.url, rows, changes) for rows in (1, 10, 100)]
        hit = hits(postgresql.url, [valkey.url, other.url], 2 if options.quick else 30)
        aged = ages(postgresql.url, valkey.url, 1 if options.quick else 10)
    columns = ["rows of a transaction", "changes", "a second", "a second of a core", "largest backlog"]
    tables = [
        Table("A backlog", columns, drained),
        Table("A hit", ["", "ns", "more than plain, ns"], hit),
        Table("Certified age at rest, ms", ["reads", "p50", "p99", "largest"], [aged]),
    ]
    report("sequencer", options, tables, peers, (__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
