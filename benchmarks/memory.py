"""Resident bytes per entry beyond the key and value objects, with a million entries.

Keys and values exist before the cache is made; what the process grows by while it is filled (VmRSS) is bookkeeping.
"After evictions" is measured once as many new keys again have been stored. Each cache has a process of its own.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.harness import Peers, Table, parser, report, stay_on
from forecache import POLICIES, Cache

ENTRIES = 1_000_000
REFERENCE = "cachebox LRUCache"
MOST = 96  # bytes per entry that the lean policies may take
LEAN = ("lru", "sieve", "s3fifo", "tinylfu")


def contestants(peers: Peers) -> dict[str, Callable[[int], Any]]:
    """How each cache is made."""
    found: dict[str, Callable[[int], Any]] = {}
    if cachebox := peers.find("cachebox"):
        found |= {
            REFERENCE: cachebox.LRUCache,
            "cachebox LFUCache": cachebox.LFUCache,
            "cachebox TTLCache": lambda most: cachebox.TTLCache(most, 3600),
        }
    for policy in POLICIES:
        found[f"forecache {policy}"] = lambda most, policy=policy: Cache(most, policy=policy)
    found |= {
        "forecache lru, ttl": lambda most: Cache(most, policy="lru", ttl="1h"),
        "forecache tinylfu, ttl": lambda most: Cache(most, policy="tinylfu", ttl="1h"),
    }
    if lru := peers.find("lru-dict", "lru"):
        found["lru-dict"] = lru.LRU
    if moka := peers.find("moka-py"):
        found["moka-py"] = moka.Moka
    if cachetools := peers.find("cachetools"):
        found["cachetools LRUCache"] = cachetools.LRUCache
    if theine := peers.find("theine"):
        found["theine"] = theine.Cache
    return found


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def growth(make: Callable[[int], Any], entries: int) -> tuple[float, float]:
    """Bytes per entry by which the process grows: when a cache is full, and after as many keys again."""
    keys = [1_000_000 + number for number in range(2 * entries)]
    gc.collect()
    before = resident()
    cache = make(entries)
    store = cache.__setitem__ if hasattr(cache, "__setitem__") else cache.set
    for key in keys[:entries]:
        store(key, key)
    gc.collect()
    filled = resident() - before
    for at in range(entries, 2 * entries):
        store(keys[at], keys[at])
    gc.collect()
    return filled / entries, (resident() - before) / entries


def child(sender: Connection, name: str, entries: int) -> None:
    """Measures one cache and sends what it found."""
    sender.send(growth(contestants(Peers())[name], entries))


def measure(name: str, entries: int) -> tuple[float, float]:
    """The growth in a fresh process."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=child, args=(sender, name, entries))
    process.start()
    sender.close()
    found: tuple[float, float] = receiver.recv()
    process.join()
    return found


def main() -> None:
    """Measures and reports."""
    options = parser(__doc__).parse_args()
    stay_on(options.core)
    entries, peers = (20_000 if options.quick else ENTRIES), Peers()
    found = {name: measure(name, entries) for name in contestants(peers)}
    reference = found.get(REFERENCE, (float("nan"), float("nan")))
    rows = [
        [name, f"{filled:.0f}", f"{filled / reference[0]:.2f}", f"{turned:.0f}", f"{turned / reference[1]:.2f}"]
        for name, (filled, turned) in found.items()
    ]
    columns = ["", "full", "ratio to cachebox", "after evictions", "ratio to cachebox then"]
    heavy = [policy for policy in LEAN if max(found[f"forecache {policy}"]) > MOST]
    verdict = f"Of {', '.join(LEAN)}, above {MOST} bytes: {', '.join(heavy) or 'none'}."
    notes = (__doc__ or "").split("\n\n", 1)[1].strip() + "\n\n" + verdict
    report("memory", options, [Table(f"Bytes per entry, {entries:,} entries", columns, rows)], peers, notes)


if __name__ == "__main__":
    main()
