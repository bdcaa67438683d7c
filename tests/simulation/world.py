"""A world that follows from a seed: a database, shards, candidates, processes; and what befalls them."""

from __future__ import annotations

from collections import Counter
from functools import partial

from forecache.coherence.beacons.shard import Reading
from forecache.serve.tiers.layout import Layout, reading_of
from tests.simulation.database import Database
from tests.simulation.loop import Loop
from tests.simulation.network import Site
from tests.simulation.process import Process
from tests.simulation.sequencing import Candidate

__all__ = ["TABLES", "World", "run"]

SECONDS = 0.1  # of one schedule; where commits wait, LONGER
TERM = 0.04  # in which processes may answer strongly, where commits wait
LONGER = 0.25
LONG_LOGS = 0.15  # this share of those has long logs, and so many rows that some are written while others wait;
LONGEST = 0.5  # they are of so many seconds, with two more faults
EVER = float("inf")
TABLES = ("t", "u|,*")  # as odd a name as any


class World:
    """All of it, with names that tell nodes apart."""

    def __init__(self, seed: int, *, is_synchronous: bool = False, is_traced: bool = False) -> None:
        """Before anything happens."""
        self.seed = seed
        self.term, self.seconds = (TERM, LONGER) if is_synchronous else (0.0, SECONDS)
        self.loop = Loop(seed, is_traced=is_traced)
        chance = self.loop.chance
        self.counts = Counter[str]()
        self.keys = chance.choice([1, 2, 4])
        self.bounds = chance.choice([(EVER,), (0.01, 0.05), (0.03, EVER)])
        self.slowest_answer = chance.choice([0.002, 0.002, 0.03])
        self.gaps = chance.choice([0.0005, 0.003, 0.03])
        self.pause = chance.choice([0.002, 0.01])
        self.most = chance.choice([1000, 1000, 1])  # entries of one answer
        self.epochs = 0
        kept = chance.choice([1000, 1000, 1, 3])
        has_long_logs = is_synchronous and self.loop.happens(LONG_LOGS)
        if has_long_logs:
            self.seconds, self.keys, self.pause = LONGEST, 16, 0.002
        is_heard = not is_synchronous or chance.choice([True, True, False])
        self.sites = [Site(self.loop, kept, is_heard=is_heard) for _ in range(chance.choice([1, 1, 2]))]
        self.layouts = [Layout("n", shard) for shard in range(len(self.sites))]
        self.database = Database(self.loop, self.keys, self.table, is_synchronous=is_synchronous)
        self.candidates = [Candidate(self, name) for name in ("one", "other")]
        self.processes = [Process(self, name) for name in ("left", "right")]
        self.loop.after(0.0, self.write)
        befalls = (*FAULTS, *OF_SYNCHRONOUS) if is_synchronous else FAULTS
        for _ in range(chance.choice([0, 1, 2, 4]) + 2 * has_long_logs):
            self.loop.after(self.loop.some(0.01, 0.8 * self.seconds), chance.choice(befalls), self)

    def shard(self, key: int) -> int:
        """Where a row is."""
        return key % len(self.sites)

    def table(self, key: int) -> str:
        """The table of a row: of one half of all rows it is the one, of the others the other, in each shard."""
        return TABLES[key * len(TABLES) // self.keys]

    def new_epoch(self) -> str:
        """Random, as far as anybody in here can tell."""
        self.epochs += 1
        return f"{self.epochs:032x}"

    def reading(self, history: bytes, meta: bytes) -> Reading:
        return reading_of(history, meta)

    def write(self) -> None:
        """Somebody writes some rows."""
        keys = self.loop.chance.sample(range(self.keys), 1 if self.keys == 1 or self.loop.happens(0.8) else 2)
        self.database.commit(keys, self.loop.some(0.0, self.gaps))
        self.loop.after(self.loop.some(0.2, 2.0) * self.pause, self.write)

    def count(self, where: str, as_of: float, now: float) -> None:
        """An answer."""
        self.counts["answers"] += 1
        self.counts[f"{where}"] += 1
        if as_of > -EVER:
            self.counts["proven"] += 1

    def run(self) -> Counter[str]:
        """Until the end; raises when a law is violated."""
        self.loop.run(self.seconds)
        self.counts["commits"] = self.database.version
        return self.counts

    # what befalls it
    def some_site(self) -> Site:
        return self.loop.chance.choice(self.sites)

    def some_node(self) -> object:
        return self.loop.chance.choice([*self.candidates, *self.processes])

    def restart_empty(self) -> None:
        self.some_site().restart(None, self.loop.some(0.0, 0.03))

    def roll_back(self) -> None:
        site = self.some_site()
        site.restart(site.saved, self.loop.some(0.0, 0.03))

    def save(self) -> None:
        self.some_site().save()
        self.loop.after(self.loop.some(0.005, 0.06), self.roll_back)

    def fail_over(self) -> None:
        """Some notice, and some stay with the old server."""
        self.some_site().fail_over()
        for process in self.processes:
            for connection in process.connections():
                if self.loop.happens(0.5):
                    connection.close()

    def cut(self) -> None:
        """One way, or both."""
        site, node = self.some_site(), self.some_node()
        for way in self.loop.chance.choice([("there",), ("back",), ("there", "back")]):
            site.cut.add((node, way))
            self.loop.after(self.loop.some(0.01, 0.08), site.cut.discard, (node, way))
        self.loop.note("a way is cut")

    def reset(self) -> None:
        """All connections of a process fail."""
        process = self.loop.chance.choice(self.processes)
        for connection in process.connections():
            connection.close()
        self.loop.note("connections of", process.name, "fail")

    def pause_sequencer(self) -> None:
        seconds = self.loop.some(0.01, 0.08)
        for candidate in self.candidates:
            candidate.pause(seconds)

    def stall_sequencer(self) -> None:
        """It stands still, and nobody takes its place."""
        seconds = self.loop.some(0.5, 1.5) * self.term
        for candidate in self.candidates:
            candidate.stall(seconds)

    def kill_sequencer(self) -> None:
        for candidate in self.candidates:
            candidate.kill()

    def crash(self) -> None:
        self.database.crash(self.term + self.loop.some(0.005, 0.04))

    def promote(self) -> None:
        """Synchronous copies are still believed for a term after the last beacon."""
        if self.database.is_up and self.term:
            self.database.is_up, self.database.holder = False, 0
            self.loop.after(self.term, self.database.promote, self.loop.chance.randrange(6))
        elif self.database.is_up or not self.term:
            self.database.promote(self.loop.chance.randrange(6))

    def switch_off(self) -> None:
        """An operator lets commits wait no more: first samples say so, and when the term is over they do not wait."""
        if not self.database.is_waited_for:
            return  # another operator is at it
        self.database.is_waited_for = False
        self.loop.after(self.term, partial(self.database.switch, is_waiting=False))
        self.loop.after(self.term + self.loop.some(0.001, 0.03), partial(self.database.switch, is_waiting=True))

    def distrust(self) -> None:
        """Somebody fences a shard."""
        site = self.some_site()
        for layout in self.layouts:
            site.server.delete(layout.meta())


FAULTS = (
    World.restart_empty,
    World.save,
    World.fail_over,
    World.fail_over,
    World.cut,
    World.cut,
    World.reset,
    World.pause_sequencer,
    World.kill_sequencer,
    World.crash,
    World.promote,
    World.distrust,
)
OF_SYNCHRONOUS = (
    World.switch_off,
    World.stall_sequencer,
    World.kill_sequencer,
    World.pause_sequencer,
    World.cut,
    World.cut,
)


def run(seed: int, *, is_synchronous: bool = False) -> Counter[str]:
    """The schedule of a seed."""
    return World(seed, is_synchronous=is_synchronous).run()
