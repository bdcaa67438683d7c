"""`python -m tests.model`: every run of the model, as a table; fails if anything comes out otherwise than expected.

--small        those of the test suite alone
--limit S      seconds for one run; one that takes longer is told as "not finished", which is no failure if it
               was expected to hold, and no proof either
--show WORDS   a counter-example of the first run without that defence, step by step
"""

# ruff: noqa: T201 - what it is for
from __future__ import annotations

import argparse
import sys

from tests.model.checking import check, missing, trail
from tests.model.runs import RUNS, Run

FORM = "| {:<24} | {:<58} | {:<20} | {:>12} | {:>7} | {:<15} | {:<15} |"


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description="Runs the model of the beacon protocol.")
    parser.add_argument("--small", action="store_true", help="those of the test suite alone")
    parser.add_argument("--limit", type=float, default=1800, help="seconds for one run")
    parser.add_argument("--show", metavar="DEFENCE", help="a counter-example without this defence, step by step")
    given = parser.parse_args()
    if said := missing():
        print(f"The model was not run: {said}", file=sys.stderr)
        return 2
    if given.show:
        return show(given.show)
    surprises = [run for run in RUNS if (run.is_small or not given.small) and not tell(run, given.limit)]
    for run in surprises:
        print(f"Unexpected: {run}", file=sys.stderr)
    return 1 if surprises else 0


def show(defence: str) -> int:
    """Prints a counter-example."""
    known = {each for run in RUNS for each in run.without if run.expected == "counter-example"}
    if defence not in known:
        print(f"{defence!r} is no defence; expected one of {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    print(trail(next(run for run in RUNS if defence in run.without and run.expected == "counter-example")))
    return 0


def tell(run: Run, limit: float) -> bool:
    """Prints a row; whether it is as expected."""
    if run is RUNS[0]:
        print(FORM.format("run", "bounds", "without", "states", "seconds", "result", "expected"))
        print(FORM.format("-" * 24, "-" * 58, "-" * 20, "-" * 11 + ":", "-" * 6 + ":", "-" * 15, "-" * 15))
    found = check(run, limit)
    result = found.result or "not finished"
    bounds, without = " ".join(run.bounds), " ".join(run.without)
    states = f"{found.states:,}" if found.result else ""
    print(FORM.format(run.name, bounds, without, states, f"{found.seconds:.1f}", result, run.expected), flush=True)
    return found.result == run.expected or (found.result is None and run.expected == "holds")


if __name__ == "__main__":
    sys.exit(main())
