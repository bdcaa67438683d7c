"""A process of the storm that reads, and sometimes writes, through forecache, and writes down what it got.

    python -m tests.storm.reader DATABASE TIER INTO NUMBER SEED MUTANT STRONG

It reads until it is told to end by SIGTERM. Two threads read at the level that is the default, as fast as a request
may, or one of them strongly; one at all others, takes snapshots, and writes.
"""

from __future__ import annotations

import logging
import random
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import forecache
from forecache._core import now
from forecache.errors import ForecacheError
from tests.coherence.storm import slow_down
from tests.storm.mutants import mutate
from tests.storm.records import ABSENT, LEVELS, TAGS, TIERS, Log
from tests.storm.shop import DEATHS, KEYS, MORTAL, NEXT, OFTEN, TABLE

RATE = 11_000  # reads a second of each thread; whoever was held up catches up
RATES = {"strong": 4_000}  # the same of one that reads strongly, as the database may have to answer
DEFAULT = "bounded(1s)"
BURST = 1_200  # reads without a pause, at most
PAUSE = 0.005  # seconds
KEPT = 200_000  # numbers, until they are written to the file
HOT_THREADS = 2
WAYS = {"bounded(50ms)": 30, "session": 60, "strong": 6, "eventual": 30, "snapshot": 2, "write": 3}


class Reader:
    """What its threads share."""

    def __init__(self, database: str, tier: str, into: Path, number: int, seed: int, stop: threading.Event) -> None:
        settings: dict[str, Any] = {"shared": tier, "capacity": KEYS - 4, "policy": "lru", "timeout": "2s"}
        self.shop = forecache.open(database, [TABLE], **settings)
        self.rows, self.into, self.number, self.seed = self.shop[TABLE], into, number, seed
        self.stop = stop
        self.tag, self.chance = number * TAGS, random.Random(seed)
        self.intents, self.acks = Log(into, "intents", number), Log(into, "acks", number)
        self.refused = [0, 0]  # reads that raised, writes that did

    def hot(self, part: int, level: str = DEFAULT) -> None:
        """Reads at one level, with certificates."""
        chance, log, get = (
            random.Random(self.seed * 10 + part),
            Log(self.into, "reads", self.number, part),
            self.rows.get,
        )
        number, asked, rate = list(LEVELS).index(level), None if level == DEFAULT else level, RATES.get(level, RATE)
        done, since = 0, now()
        while not self.stop.wait(PAUSE):
            due = min(BURST, int((now() - since) * rate) - done)
            done += due
            for key in chance.choices(range(KEYS), OFTEN, k=due):
                began = now()
                try:
                    answer = get(key, level=asked, with_certificate=True)
                except ForecacheError:
                    self.refused[0] += 1
                    self.stop.wait(0.01)
                    continue
                self.note(log, key, answer, began, number)
            if len(log.rows) > KEPT:
                log.flush()
        log.flush()

    def note(self, log: Log, key: int, answer: Any, began: float, level: int) -> None:
        """An answer."""
        proven = answer.certificate
        age = proven.max_age
        kind = TIERS[proven.tier] + 10 * level
        tag = ABSENT if answer.row is None else answer.row["tag"]
        log.rows.extend((key, tag, began, now(), float("inf") if age is None else age, kind))

    def cool(self, part: int) -> None:
        """Everything else, now and then."""
        chance, log = random.Random(self.seed * 10 + part), Log(self.into, "reads", self.number, part)
        balances, levels = Log(self.into, "snapshots", self.number), list(LEVELS)
        while not self.stop.wait(chance.random() * 0.004):
            key, way = chance.choices(range(KEYS), OFTEN)[0], chance.choices(list(WAYS), list(WAYS.values()))[0]
            began = now()
            try:
                if way == "write":
                    self.write(key)
                elif way == "snapshot":
                    found = self.rows.get_many(range(KEYS), level="snapshot")
                    balances.add((began, sum(row["balance"] for row in found.values())))
                else:
                    self.note(log, key, self.rows.get(key, level=way, with_certificate=True), began, levels.index(way))
            except ForecacheError:
                self.refused[way == "write"] += 1
            if len(log.rows) > KEPT // 20:
                log.flush()
        log.flush()

    def write(self, key: int) -> None:
        """A row, through forecache."""
        self.tag += 2
        tag, transaction = self.tag, self.shop.transaction()
        with transaction:
            row = transaction.get(TABLE, key)
            version = row["version"] + 1 if row else transaction.execute(NEXT.format(key=key), tables=())[0][0]
            dies = row is not None and key in MORTAL and self.chance.random() < DEATHS
            tag += dies  # then it is odd
            self.intents.add((key, tag, now()))
            if row is None:
                transaction.put(TABLE, {"id": key, "version": version, "tag": tag, "balance": 0})
            else:
                transaction.update(TABLE, key, {"version": version, "tag": tag})
            if dies:
                transaction.delete(TABLE, key)
        self.acks.add((key, tag, version, now()))

    def watch(self) -> None:
        """Writes down what is proven, so that one can tell how long proofs were missing."""
        log = Log(self.into, "proofs", self.number)
        while not self.stop.wait(0.02):
            log.add((now(), self.shop._watch.proven_at()))


def main(database: str, tier: str, into: str, number: str, seed: str, mutant: str, strong: str) -> None:
    """Until it is told to end."""
    logging.getLogger("forecache").setLevel(logging.ERROR)  # outages are made on purpose
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    reader = Reader(database, tier, Path(into), int(number), int(seed), stop)
    slow_down(reader.shop, random.Random(int(seed)))
    mutate(mutant, reader.shop)
    levels = [DEFAULT] * (HOT_THREADS - 1) + ["strong" if strong == "True" else DEFAULT]
    threads = [threading.Thread(target=reader.hot, args=given) for given in enumerate(levels)]
    threads.append(threading.Thread(target=reader.cool, args=(HOT_THREADS,)))
    threads.append(threading.Thread(target=reader.watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    log = Log(Path(into), "refused", int(number))
    log.add(reader.refused)
    with suppress(ForecacheError):
        reader.shop.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
