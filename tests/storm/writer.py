"""A process of the storm that knows nothing of forecache, and writes: through psycopg, or through psql.

    python -m tests.storm.writer DATABASE INTO NUMBER SEED [PSQL]

Connections that are lost are made again; what became of a statement whose answer was lost is found out at the end.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from forecache._core import now
from tests.storm.records import NOTHING, TAGS, Log
from tests.storm.shop import DEATHS, KEYS, MORTAL, OFTEN, inserted, raised, removed

BETWEEN = 0.05  # seconds, at most
TRANSFERS = 0.2  # of all writes are of two rows at once

Rows = list[tuple[int, int]]  # keys and versions


class LostError(Exception):
    """The connection is."""


@contextmanager
def through_psycopg(database: str) -> Iterator[Callable[[str], Rows]]:
    try:
        with psycopg.connect(database, autocommit=True, connect_timeout=2) as connection:
            yield lambda statement: connection.execute(statement.encode()).fetchall()
    except psycopg.Error as error:
        raise LostError from error


@contextmanager
def through_psql(database: str, psql: str) -> Iterator[Callable[[str], Rows]]:
    """As somebody at a terminal does."""
    command = [psql, "--no-psqlrc", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", f"{database}&connect_timeout=2"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]

    def execute(statement: str) -> Rows:
        rows: Rows = []
        try:
            process.stdin.write(f"{statement};\n\\echo done\n")
            process.stdin.flush()
        except OSError as error:
            raise LostError from error
        while (line := process.stdout.readline().strip()) != "done":
            if not line:
                raise LostError
            key, version = line.split("|")
            rows.append((int(key), int(version)))
        return rows

    try:
        yield execute
    finally:
        process.kill()
        process.communicate()


def attempts(chance: random.Random, tag: int) -> Iterator[tuple[str, list[int], int]]:
    """Statements of which one may do something, the keys that it is about, and its tag: one of four from `tag` on."""
    key = chance.choices(range(KEYS), OFTEN)[0]
    if key in MORTAL:
        if chance.random() < DEATHS:
            yield removed(key, tag + 1), [key], tag + 1
        yield raised([key], tag), [key], tag
        yield inserted(key, tag + 2), [key], tag + 2
        return
    others = [each for each in chance.choices(range(KEYS), OFTEN) if each != key and each not in MORTAL]
    keys = [key, *others] if chance.random() < TRANSFERS else [key]
    yield raised(keys, tag), keys, tag


def main(database: str, into: str, number: str, seed: str, psql: str = "") -> None:
    """Until it is told to end."""
    chance, tag, told = random.Random(int(seed)), int(number) * TAGS, list[int]()
    signal.signal(
        signal.SIGTERM, lambda signum, _: told.append(signum)
    )  # an event would have a lock, which we may hold
    intents, acks = (Log(Path(into), name, int(number)) for name in ("intents", "acks"))
    while not told:
        time.sleep(0.05)
        try:
            with through_psql(database, psql) if psql else through_psycopg(database) as execute:
                while not told:
                    time.sleep(chance.random() * BETWEEN)
                    for statement, keys, by in attempts(chance, tag := tag + 4):
                        for key in keys:
                            intents.add((key, by, now()))
                        rows = dict(execute(statement))
                        for key in keys:
                            acks.add((key, by, rows.get(key, NOTHING), now()))
                        if rows:
                            break
        except LostError:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
