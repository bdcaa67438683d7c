"""Are reads stale after a fault, for how long, or for ever: forecache beside clients of Valkey with near caches.

One reader reads one row every 5 ms, through a proxy that the network's faults happen in; somebody else writes it after
(or before) the fault, on real servers. Near caches keep the row in Valkey alone; forecache keeps it in PostgreSQL, with
Valkey beside it, through `forecache.open`. Each cell is a process of its own, watched until reads were fresh for a
second, or for 20 seconds.

"0.52 s stale": the oldest read began so long after a later write had been acknowledged; "> 20 s stale": reads
were stale to the end, and nobody was told. "certified": no read was older than its certificate said. "n failed":
so many reads raised. "waits": the longest read above 0.4 s. After "restart, snapshot" and "failover, lagging" the
server itself has lost an acknowledged write, and so has who keeps rows nowhere else; a cache that does not notice that
its server was another, as valkey-glide's, then has the newer row by luck.

Columns of forecache: its default level; `strong`; the default level with a sequencer, where the row is written past the
caches, by a plain client of the database; and what the shared tier by itself serves, to reads at level
`eventual` in a process that has no copy of its own. That level promises no age. Copies of a process read at
`eventual` are not here: they are as old as their `ttl` allows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from benchmarks.faults import FAULTS
from benchmarks.harness import Peers, Table, parser, report
from benchmarks.near_caches import NEAR_CACHES, NearCache
from benchmarks.rivals import Contestant, Followed, Near, Ours, World
from tests.servers import PostgreSQL

OURS = {"forecache, bounded(1s)": "bounded(1s)", "forecache, strong": "strong", "forecache, shared tier": "eventual"}
FOLLOWED = "forecache, bounded(1s), sequencer"
OURS_ALL = [*OURS, FOLLOWED]
CONTESTANTS = [*OURS_ALL, *NEAR_CACHES]
PAUSE = 0.005  # seconds between reads
CALM = 1.0  # seconds of fresh reads that end a cell
LEAST, MOST = 2.0, 20.0  # seconds that a cell is watched
CELL_SECONDS = 90.0  # until it is said to hang
WARM = 20  # reads before the fault
ROOM = {"max_replication_slots": "60", "max_wal_senders": "60", "max_connections": "150"}
SLOW = 0.4  # seconds of a read worth telling


@dataclass
class Cell:
    """What one reader saw of one fault."""

    reads: int = 0
    stale: int = 0
    oldest: float = 0.0  # seconds
    beyond: int = 0  # reads older than was promised
    promised: bool = True  # an age, for every stale read
    to_the_end: bool = False
    failed: int = 0
    longest: float = 0.0  # seconds
    problem: str = ""

    def __str__(self) -> str:
        """For a table."""
        if self.problem:
            return self.problem
        told = (
            "fresh" if not self.stale else f"> {MOST:.0f} s stale" if self.to_the_end else f"{self.oldest:.2f} s stale"
        )
        if self.stale and self.promised:
            told = f"≤ {self.oldest:.2f} s, " + (
                f"BEYOND its certificate {self.beyond} times" if self.beyond else "certified"
            )
        if self.failed:
            told += f", {self.failed} failed"
        return told + (f", waits {self.longest:.1f} s" if self.longest > SLOW else "")


@dataclass
class Read:
    """One of them."""

    began: float
    ended: float
    version: int | None  # None if it failed
    promised: float | None


class Watcher:
    """Reads all the time, in a thread."""

    def __init__(self, who: Contestant) -> None:
        """Begins at once."""
        self.who, self.reads, self.absent, self.stopped = who, list[Read](), 0, False
        self.thread = threading.Thread(target=self.walk, daemon=True)
        self.thread.start()

    def walk(self) -> None:
        """Until it is stopped."""
        while not self.stopped:
            began = time.monotonic()
            try:
                version, promised = self.who.read()
                self.reads.append(Read(began, time.monotonic(), version, promised))
            except LookupError:
                self.absent += 1
            except Exception:  # noqa: BLE001 - whatever a client raises is a failed read
                self.reads.append(Read(began, time.monotonic(), None, None))
            time.sleep(PAUSE)

    def until_calm(self, world: World) -> bool:
        """Whether reads were fresh again in time."""
        since = time.monotonic()
        while (now := time.monotonic()) < since + MOST:
            time.sleep(0.1)
            late = [read for read in list(self.reads) if read.ended > now - CALM]
            calm = any(read.version is not None for read in late) and all(age_of(read, world) == 0 for read in late)
            if calm and now > since + LEAST:
                return True
        return False


def age_of(read: Read, world: World) -> float:
    """Seconds from the acknowledgement of a later version to the beginning of a read; 0 if there is none."""
    if read.version is None:
        return 0.0
    later = (moment for version, moment in world.acknowledged if version > read.version)
    return max(0.0, read.began - min(later, default=read.began))


def judge(reads: Iterable[Read], world: World, *, calm: bool) -> Cell:
    """What they amount to."""
    cell = Cell()
    for read in reads:
        cell.reads += 1
        cell.failed += read.version is None
        cell.longest = max(cell.longest, read.ended - read.began)
        if (age := age_of(read, world)) > 0:
            cell.stale += 1
            cell.oldest = max(cell.oldest, age)
            cell.promised = cell.promised and read.promised is not None
            cell.beyond += read.promised is not None and age > read.promised
    cell.to_the_end = bool(cell.stale) and not calm
    if not calm and not cell.stale:
        cell.problem = f"reads fail for > {MOST:.0f} s" if cell.failed else "reads hang"
    return cell


def contestant(name: str, world: World, url: str) -> Contestant:
    """By its name."""
    if name == FOLLOWED:
        return Followed(world, url, "bounded(1s)")
    if name in OURS:
        return Ours(world, url, OURS[name], only_shared=OURS[name] == "eventual")

    def make(port: int) -> NearCache:
        made = NEAR_CACHES[name](Peers(), port)
        assert made is not None, "skipped before"  # noqa: S101
        return made

    return Near(world, make)


def cell_of(name: str, fault: str, url: str) -> Cell:
    """Runs one cell in this process."""
    with ExitStack() as keep:
        world = World(keep)
        who = contestant(name, world, url)
        for _ in range(WARM):
            who.read()
        watcher = Watcher(who)
        time.sleep(0.1)
        FAULTS[fault](world, who)
        calm = watcher.until_calm(world)
        watcher.stopped = True
        return judge(list(watcher.reads), world, calm=calm)


def in_a_process(name: str, fault: str, url: str) -> Cell:
    """Runs one cell in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.near_cache_faults", "--cell", name, fault, url]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CELL_SECONDS)
    except subprocess.TimeoutExpired:
        return Cell(problem="hangs")
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or ["?"]
        return Cell(problem=f"cannot be run ({lines[-1][:60]})")
    return Cell(**json.loads(ran.stdout.splitlines()[-1]))


def present(peers: Peers) -> list[str]:
    """Contestants that are installed."""
    modules = {"valkey-glide": ("valkey-glide-sync", "glide_sync"), "redis-py": ("redis",), "valkey-py": ("valkey",)}
    return [name for name in CONTESTANTS if name in OURS_ALL or peers.find(*modules.get(name, (name,))) is not None]


def main() -> None:
    """Runs all cells, some at once."""
    arguments = parser(__doc__)
    arguments.add_argument("--cell", nargs=3, metavar=("CONTESTANT", "FAULT", "URL"), help=argparse.SUPPRESS)
    arguments.add_argument("--at-once", type=int, default=3, help="cells that run at the same time")
    arguments.add_argument("--only", default="", help="contestants and faults whose name has this")
    options = arguments.parse_args()
    if options.cell:
        print(json.dumps(asdict(cell_of(*options.cell))), flush=True)
        os._exit(0)  # a client that hangs would keep it
    peers = Peers()
    names, faults = present(peers), list(FAULTS)
    if options.quick:
        names, faults = [names[0], names[-1]], faults[:2]
    pairs = [(name, fault) for fault in faults for name in names if options.only in f"{name}/{fault}"]
    with PostgreSQL(**ROOM) as server, ThreadPoolExecutor(options.at_once) as pool:
        cells = dict(zip(pairs, pool.map(lambda pair: in_a_process(*pair, server.database()), pairs), strict=True))
    tables = [
        table_of("forecache", [name for name in names if name in OURS_ALL], faults, cells),
        table_of("Near caches", [name for name in names if name not in OURS_ALL], faults, cells),
    ]
    meanings = "\n".join(f"- **{name}**: {(FAULTS[name].__doc__ or '').strip()}" for name in faults)
    missing = "rueidis is not here: it is a client for Go. Lettuce, Redisson and others are for Java."
    notes = (__doc__ or "").split("\n\n", 1)[1].strip() + f"\n\n{meanings}\n\n{missing}"
    options.quick = options.quick or bool(options.only)  # which are not all results
    report("near_cache_faults", options, tables, peers, notes)
    if any(cell.beyond for cell in cells.values()):
        sys.exit("a read was older than its certificate")


def table_of(title: str, names: list[str], faults: list[str], cells: dict[tuple[str, str], Cell]) -> Table:
    """Faults by contestants."""
    rows = [[fault, *(str(cells.get((name, fault), "")) for name in names)] for fault in faults]
    return Table(title, ["", *names], rows)


if __name__ == "__main__":
    main()
