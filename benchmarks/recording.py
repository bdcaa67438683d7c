"""What recording costs: nanoseconds per hit with the access log off, on, and on for one key in a hundred.

"Off" is a cache without a log. "Equal object" keys are not the objects that were stored, as in requests. Draining, that
is compressing and writing, happens in a thread of its own: its row is the processor time per access of `flush()`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks.harness import Peers, Table, alternate, own, parser, report, stay_on
from forecache import Cache
from forecache.record.log import AccessLog

ENTRIES = 10_000
LOOKUPS = 20_000
ROUNDS = 60
DRAINED = 400_000  # accesses of which the draining is measured
SAMPLES = {"off": None, "on": 1.0, "on, 1 % of keys": 0.01}
KEYS: dict[str, Callable[[int], Any]] = {
    "str": lambda number: f"product:{number}",
    "int": lambda number: number + 1_000_000,
    "tuple": lambda number: ("shop.product", number + 1_000_000),
}


def hits(cache: Any, keys: list[Any]) -> float:
    """Looks up keys that are there."""
    get = cache.get
    start = perf_counter()
    for key in keys:
        get(key)
    return perf_counter() - start


def hits_or_loads(cache: Any, keys: list[Any]) -> float:
    """The same by the method that loads what is missing."""
    get = cache.get_or_load
    start = perf_counter()
    for key in keys:
        get(key, str)
    return perf_counter() - start


def stores(cache: Any, keys: list[Any]) -> float:
    """Stores values under keys that are there."""
    store = cache.set
    start = perf_counter()
    for key in keys:
        store(key, 1)
    return perf_counter() - start


def measured(
    loop: Callable[[Any, list[Any]], float], key: Callable[[int], Any], rounds: int, root: Path
) -> list[float]:
    """Seconds of a loop over `LOOKUPS` keys, for each of `SAMPLES`."""
    runs: dict[str, Callable[[], float]] = {}
    logs = ExitStack()
    for name, sample in SAMPLES.items():
        log = None if sample is None else AccessLog(root / name, sample=sample, flush_interval="1h")
        cache: Cache[Any, Any] = logs.enter_context(Cache(ENTRIES, policy="lru", record=log))
        for number in range(ENTRIES):
            cache[key(number)] = 1
        asked = [key(number * 7919 % ENTRIES) for number in range(LOOKUPS)]
        runs[name] = partial(emptied, log, partial(own(loop), cache, asked))
    with logs:
        return list(alternate(runs, rounds).values())


def emptied(log: AccessLog | None, run: Callable[[], float]) -> float:
    """A run with room for all its accesses."""
    if log is not None:
        log._drain.recorder.drain()
    return run()


def draining(root: Path) -> tuple[float, float]:
    """Processor seconds and bytes on disk per access that is written."""
    log = AccessLog(root / "drained", buffer=2**21, flush_interval="1h")
    cache: Cache[int, int] = Cache(1000, policy="lru", record=log)
    for number in count():
        cache.get_or_load(int((number * 2654435761 % 2**32 / 2**32) ** 4 * 100_000), int)
        if number == DRAINED:
            break
    start = process_time()
    log.flush()
    seconds, stats = process_time() - start, log.stats()
    log.close()
    return seconds / stats.written, stats.bytes / stats.written


def main() -> None:
    """Measures and reports."""
    options = parser(__doc__).parse_args()
    stay_on(options.core)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for label, loop in {"get": hits, "get_or_load": hits_or_loads, "set": stores}.items():
            for kind, key in KEYS.items():
                seconds = measured(loop, key, 2 if options.quick else ROUNDS, Path(name))
                off, on, sampled = (second / LOOKUPS * 1e9 for second in seconds)
                cells = [off, on, sampled, on - off, sampled - off]
                rows.append(
                    [f"{label}, {kind}", *(f"{cell:.0f}" for cell in cells), f"{on / off:.2f}", f"{sampled / off:.2f}"]
                )
        cost, size = draining(Path(name))
    columns = ["ns per operation", "off", "on", "on, 1 %", "+ on", "+ 1 %", "ratio on", "ratio 1 %"]
    tables = [
        Table("Recording", columns, rows),
        Table(
            "Draining", ["", "of one access"], [["processor, ns", f"{cost * 1e9:.0f}"], ["disk, bytes", f"{size:.1f}"]]
        ),
    ]
    report("recording", options, tables, Peers(), notes=(__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
