"""Nanoseconds for a row that is in this process, at each level, beside a plain cache and beside near caches.

A shop in an SQLite file, opened with `forecache.open`, whose rows are dicts of five columns; each read returns a dict
of its own. "Plain" is a hit of `forecache.Cache` with the same rows and keys, which proves nothing and returns one dict
to all. Near caches keep answers of a Valkey server in the process, and ask for one row as bytes; those for tasks are
measured in one task that awaits each read, in a loop of its own. Before a hit, cashews does not ask whether it can
still hear of changes. All take turns. The look at shared memory is measured natively, as it is done, and as a
comparison of memoryviews in Python.
"""

from __future__ import annotations

import mmap
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import valkey

import forecache
from benchmarks.harness import Peers, Table, alternate, own, parser, report, stay_on
from benchmarks.near_caches import NEAR_CACHES, PREFIX, NearCache
from forecache import Cache, _core

ROWS = 1_000
READS = 4_000  # about a millisecond: less than the turn that a busy machine gives a process
REMOTE_READS = 40
ROUNDS = 150
SCHEMA = "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, price INT, brand TEXT, country TEXT)"
FILL = "INSERT INTO product VALUES (?, 'a name of some length', 1999, 'a brand', 'Italy')"
PLAIN = "plain Cache"
KEY = f"{PREFIX}7"
LEVELS = ("eventual", "bounded(1s)", "session", "strong")


def get_each(target: Any, keys: list[Any]) -> float:
    """Seconds for one read."""
    start = perf_counter()
    for key in keys:
        target.get(key)
    return (perf_counter() - start) / len(keys)


def call_each(function: Callable[[], Any], times: int) -> float:
    """Seconds for one call."""
    start = perf_counter()
    for _ in range(times):
        function()
    return (perf_counter() - start) / times


def shop_of(path: Path) -> None:
    """Makes the file."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(SCHEMA)
        connection.executemany(FILL, [(key,) for key in range(ROWS)])
    connection.close()


def looks() -> dict[str, Callable[[], bool]]:
    """The comparison of the header, natively and in Python."""
    memory = mmap.mmap(-1, 4096)
    header = _core.WalHeader(memoryview(memory).cast("Q"))
    mark = header.mark() or b""
    header.know(mark, 1e6)
    view, known = memoryview(memory)[:96], mark + mark

    def in_python() -> bool:
        return view == known

    return {"look, native": header.is_unchanged, "look, memoryviews": in_python}


@contextmanager
def server() -> Iterator[int]:
    """The port of a Valkey."""
    from tests.servers import Valkey

    with Valkey() as running:
        yield running.port


def near_caches(peers: Peers, port: int) -> dict[str, NearCache]:
    """Clients with a cache of their own, warm."""
    found: dict[str, NearCache] = {}
    for name, make in NEAR_CACHES.items():
        if (client := make(peers, port)) is None:
            continue
        found[f"{name} near cache"] = client
        client.get(KEY)
    return found


def runs_of(path: Path, keep: ExitStack, rounds: int) -> dict[str, Callable[[], float]]:
    """All contestants in this process, warm."""
    keys = [key % ROWS for key in range(READS // (10 if rounds == 1 else 1))]
    plain: Cache[int, Any] = Cache(ROWS, policy="lru")
    runs = {PLAIN: partial(own(get_each), plain, keys)}
    for level in LEVELS:
        shop = keep.enter_context(forecache.open(path, ["product"], level=level, capacity=ROWS, policy="lru"))
        rows = shop["product"]
        for key, row in rows.get_many(range(ROWS)).items():
            plain[key] = row
        runs[level] = partial(own(get_each), rows, keys)
    certified = partial(rows.get, 7, with_certificate=True)
    runs["strong, with certificate"] = partial(own(call_each), certified, len(keys) // 10)
    runs |= {name: partial(own(call_each), look, len(keys)) for name, look in looks().items()}
    return runs


def main() -> None:
    """Measures and reports."""
    options, peers = parser(__doc__).parse_args(), Peers()
    stay_on(options.core)
    rounds = 1 if options.quick else ROUNDS
    with ExitStack() as keep:
        path = Path(keep.enter_context(tempfile.TemporaryDirectory())) / "shop.db"
        shop_of(path)
        runs = runs_of(path, keep, rounds)
        port = keep.enter_context(server())
        with valkey.Valkey(port=port) as client:
            client.set(KEY, "7" * 100)
        for name, near in near_caches(peers, port).items():
            runs[name] = partial(near.seconds, KEY, REMOTE_READS // (10 if rounds == 1 else 1))
            keep.callback(near.close)
        best = alternate(runs, rounds)
    plain, strong = best[PLAIN], best["strong"]
    rows = [
        [name, f"{seconds * 1e9:,.0f}", f"{(seconds - plain) * 1e9:+,.0f}", f"{seconds / strong:.1f}"]
        for name, seconds in best.items()
    ]
    columns = ["", "ns", "more than plain, ns", "times a strong read"]
    notes = (__doc__ or "").split("\n\n", 1)[1].strip()
    report("coherence", options, [Table("One row that is in this process", columns, rows)], peers, notes)


if __name__ == "__main__":
    main()
