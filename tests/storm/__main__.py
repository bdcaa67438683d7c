"""The storm: processes read through forecache while others write, a sequencer vouches, and everything fails in turn.

    python -m tests.storm --reads 10_000_000 --most 330

Servers are real, networks go through proxies. Every fault of `faults.py` happens at least once, in an order that the
seed gives, and then again until so many reads were made. All answers are checked against their certificates, and
against each other (`verdict.py`). The exit code is 1 when anything was violated, or a fault did not happen.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from forecache._core import now
from tests.storm.clusters import FAULTS_OF, TIERS_OF
from tests.storm.faults import FAULTS, Fault
from tests.storm.mutants import CALM as CALM_SEA
from tests.storm.mutants import MUTANTS, SHOWN_BY
from tests.storm.records import READ
from tests.storm.report import LAWS, Happened, Report
from tests.storm.shop import written
from tests.storm.site import Site, wait_until
from tests.storm.verdict import judge

OF_ANY_TIER = (
    "reader killed",
    "reader stands still",
    "sequencer killed",
    "two sequencers active",
    "PostgreSQL crashes",
)
HOLD = 1.2  # seconds that a fault lasts, more or less
CALM = 0.5  # seconds after everything is proven again
HEALS = 20.0  # seconds in which it must be


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def strike(site: Site, name: str, begin: Fault, chance: random.Random) -> Happened:
    """Lets a fault happen, and heal; returns when all of it was, and when everything was proven again."""
    began = now()
    fault = begin(site, chance)
    next(fault)
    struck = now()
    ends = struck + HOLD * (0.5 + chance.random())
    first = None  # the first proof by whoever took over
    while now() < ends or (name == "sequencer killed" and first is None and now() < struck + HEALS):
        if first is None and site.is_proven(struck):
            first = now() - struck
        time.sleep(0.002)
    next(fault, None)
    healed = now()
    wait_until(lambda: site.is_proven(healed), HEALS)
    return Happened(name, began, struck, healed, now(), first)


def reads_so_far(into: Path) -> int:
    return sum(file.stat().st_size for file in into.glob("reads-*")) // READ.itemsize


def rage(
    into: Path,
    wanted: int,
    most: float,
    seed: int,
    mutant: str = "none",
    only: str = "",
    tier: str = "one",
    *,
    synchronous: bool = False,
) -> Report:
    """Runs a storm, and judges it.

    Args:
        into: directory for what processes write down.
        wanted: reads after which no fault begins, if each has happened.
        most: seconds after which none begins, whatever has happened.
        seed: of the order of faults, and of what each process does.
        mutant: a defence that all processes lack.
        only: faults whose names contain one of these, in place of all.
        tier: 'one', with a replica, or 'cluster' or 'sentinel'.
        synchronous: commits wait for the sequencers, and copies answer strongly.
    """
    chance = random.Random(seed)
    faults = FAULTS if tier == "one" else {name: FAULTS[name] for name in OF_ANY_TIER} | FAULTS_OF[tier]
    names = [name for name in faults if any(part in name for part in only.split(","))]
    with ExitStack() as stack:
        site = Site(stack, into, seed, mutant, TIERS_OF.get(tier), synchronous=synchronous)
        site.start()
        wait_until(lambda: site.is_proven(now() - 0.5))
        began, happened, waiting = now(), list[Happened](), list[str]()
        while now() < began + most and (len(happened) < len(names) or reads_so_far(into) < wanted):
            if not waiting:
                waiting = chance.sample(names, len(names))
            happened.append(strike(site, waiting[-1], faults[waiting.pop()], chance))
            say(f"{now() - began:6.1f} s  {happened[-1]}")
            time.sleep(CALM * (0.5 + chance.random()))
        seconds = now() - began
        codes = site.end()
        verdict = judge(into, written(site.postgresql.url), site.losses)
    lost = [f"process ended with exit code {code}" for code in codes if code]
    missing = [f"fault did not happen: {name}" for name in names if name not in {each.name for each in happened}]
    return Report(seconds, seed, happened, verdict, (lost + missing) if mutant == "none" else [])


def without_each(names: list[str], seconds: float, seed: int, *, synchronous: bool) -> None:
    """Storms that lack a defence each, and whether the judge noticed; a line for each."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix="forecache-storm-") as directory:
            os.chmod(directory, 0o755)  # noqa: S103 - as below
            faults = SHOWN_BY.get(name, CALM_SEA)
            report = rage(Path(directory), 1 << 40, seconds, seed, name, faults, synchronous=synchronous)
        broken = ", ".join(f"{len(found):,} {LAWS[law]}" for law, found in report.verdict.broken.items()) or "nothing"
        sys.stdout.write(f"| {name} | {report.verdict.reads:,} | {broken} |\n")
        sys.stdout.flush()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm")
    parser.add_argument("--reads", type=int, default=10_000_000)
    parser.add_argument("--most", type=float, default=330, help="seconds after which no fault begins")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--mutate", default="none", help="a defence that is left out")
    parser.add_argument("--only", default="", help="faults with one of these, divided by commas, in their names")
    parser.add_argument("--tier", choices=["one", *TIERS_OF], default="one")
    parser.add_argument("--synchronous", action="store_true", help="commits wait for the sequencers")
    parser.add_argument("--results", action="store_true", help="write the table and the picture to benchmarks/results")
    parser.add_argument("--mutants", nargs="*", help="storms without each of these defences, or of all")
    given = parser.parse_args()
    logging.getLogger("forecache").setLevel(logging.ERROR)  # outages are made on purpose
    if given.mutants is not None:
        without_each(given.mutants or MUTANTS, min(given.most, 15), given.seed, synchronous=given.synchronous)
        return
    with tempfile.TemporaryDirectory(prefix="forecache-storm-") as directory:
        os.chmod(directory, 0o755)  # noqa: S103 - PostgreSQL is another user, and reads the clock there
        which = given.mutate, given.only, given.tier
        report = rage(Path(directory), given.reads, given.most, given.seed, *which, synchronous=given.synchronous)
        sys.stdout.write(f"{report}\n")
        if given.results:
            report.keep(Path(directory), "storm_synchronous" if given.synchronous else "storm")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
