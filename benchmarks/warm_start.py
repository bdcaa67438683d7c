"""What a warm start saves: queries of a shop's database after a restart of the process before it.

A process serves the first two thirds of the requests through `forecache.open` over an SQLite file; another one goes on.
"goes on" is the same process, as if there had been no restart; "cold" begins with nothing; "keys" loaded the rows of
the list that the first one left; "keys and model" goes on with what its policy had learned as well. Rows are loaded
before the first request; in service they come at 1,000 a second beside the requests.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

import forecache
from benchmarks.harness import Peers, Table, parser, report
from forecache import Database
from forecache.serve.warmfile import read_list, write_list
from forecache.study.workloads import shop

REQUESTS = 120_000
SHARE = 0.02  # capacity, of the products that are asked for
AFTER = (1_000, 5_000, 40_000)  # requests
SEEDS = range(5)


def made(path: Path, products: int) -> Path:
    """The shop's file."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, price INT)")
        connection.executemany("INSERT INTO product VALUES (?, 1)", ((number,) for number in range(products)))
    connection.close()
    return path


def opened(path: Path, capacity: int, warm: Path | None) -> Database:
    """The database, when all rows of the list are loaded."""
    database = forecache.open(path, ["product"], capacity=capacity, warm=warm, warm_rate=100_000)
    wanted = len(read_list(warm).keys) if warm and warm.exists() else 0
    while database.stats().warmed < min(wanted, capacity):
        time.sleep(0.01)
    return database


def served(database: Database, keys: list[int]) -> list[int]:
    """Queries after so many requests."""
    rows, queries, before = database["product"], [], database.stats().queries
    for start, stop in zip((0, *AFTER), AFTER, strict=False):
        for key in keys[start:stop]:
            rows.get(key)
        queries.append(database.stats().queries - before)
    return queries


def restarted(folder: Path, seed: int, requests: int) -> dict[str, list[int]]:
    """One shop, restarted in every way."""
    trace = shop(requests, seed=seed).trace
    keys, capacity = trace.key.tolist(), max(50, round(SHARE * trace.unique))
    split = len(keys) * 2 // 3
    path, left = made(folder / f"{seed}.db", max(keys) + 1), folder / f"{seed}.warm"
    bare = folder / f"{seed}.keys"
    found = {}
    with opened(path, capacity, left) as database:
        served(database, keys[:split])
        for key in keys[min(split, AFTER[-1]) : split]:
            database["product"].get(key)
        assert database._warmth  # noqa: S101 - tells the type checker
        database._warmth.save()
        found["goes on"] = served(database, keys[split:])
        write_list(bare, read_list(left)._replace(lore=b""))
        kept = read_list(left)
    write_list(left, kept)
    for name, warm in {"cold": None, "keys": bare, "keys and model": left}.items():
        with opened(path, capacity, warm) as database:
            found[name] = served(database, keys[split:])
    return found


def main() -> None:
    """Measures and reports."""
    options = parser(__doc__).parse_args()
    seeds, requests = (range(1), 15_000) if options.quick else (SEEDS, REQUESTS)
    with tempfile.TemporaryDirectory() as name:
        runs = [restarted(Path(name), seed, requests) for seed in seeds]
    means = {way: np.mean([run[way] for run in runs], axis=0) for way in runs[0]}
    rows = [[way, *(f"{count:,.0f}" for count in counts)] for way, counts in means.items()]
    table = Table("Queries after a restart", ["", *(f"in {count:,} requests" for count in AFTER)], rows)
    report("warm_start", options, [table], Peers(), notes=(__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
