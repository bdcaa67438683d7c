"""Spin: writes a program that goes through all that may happen in a model; we compile, run and read it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.model.runs import Result, Run

__all__ = ["Outcome", "check", "missing", "trail"]

HERE = Path(__file__).parent
OPTIONS = ("-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=8000")  # MiB
SHUFFLED = ("-DP_RAND", "-DT_RAND")
SEARCH = ("-E", "-n", "-m1000000")  # processes may wait for ever; no report of what was not reached; steps
CUT = re.compile(r"max search depth too small|memory limit|Search not completed|out of memory", re.I)

STEP = re.compile(r"^\s*\d+:\s+proc +\d+ \((\w+):\d+\) model\.pml:(\d+) \(state \d+\)\s+\[(.*)\]$", re.M)
IDLE = re.compile(r"else|break|goto \w+|1|\w+ = 0")  # branches, and local variables that are done with


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found."""

    states: int
    seconds: float  # of the search, not of the compiler
    result: Result | None  # None: it was ended before it had seen everything
    steps: int  # of the longest path


def missing() -> str:
    """What is not there of the tools, in words; "" if nothing is."""
    absent = [name for name in ("spin", "gcc") if shutil.which(name) is None]
    return f"no {' and no '.join(absent)}: apt-get install spin gcc" if absent else ""


def check(run: Run, limit: float = 3600) -> Outcome:
    """Searches until everything was seen, an example was found, or so many seconds have passed."""
    with tempfile.TemporaryDirectory(prefix="forecache-model-") as name:
        directory = Path(name)
        return search(run, directory, limit)


def search(run: Run, directory: Path, limit: float, *options: str) -> Outcome:
    """The same in a directory of the caller, in which the example remains."""
    build(run, directory)
    seed = [] if run.seed is None else [f"-RS{run.seed}"]
    began = time.monotonic()
    try:
        ran = subprocess.run(
            [directory / "pan", *SEARCH, *seed, *options],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(0, limit, None, 0)
    return read(ran.stdout, time.monotonic() - began)


def build(run: Run, directory: Path) -> None:
    """Makes the program."""
    model = shutil.copy(HERE / f"{run.model}.pml", directory / "model.pml")
    call(directory, "spin", "-a", *run.definitions, Path(model).name)
    call(directory, "gcc", *OPTIONS, *(() if run.seed is None else SHUFFLED), "-o", "pan", "pan.c")


def call(directory: Path, *command: str) -> str:
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}:\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def read(said: str, seconds: float) -> Outcome:
    """What the program reports."""
    found = re.search(r"depth reached (\d+), errors: (\d+)\s+(\d+) states, stored", said)
    assert found, said
    steps, errors, states = map(int, found.groups())
    result: Result | None = "counter-example" if errors else None if CUT.search(said) else "holds"
    return Outcome(states, seconds, result, steps)


def trail(run: Run, limit: float = 600) -> str:
    """A counter-example, step by step: process, line and statement; made short, but not the shortest there is."""
    with tempfile.TemporaryDirectory(prefix="forecache-model-") as name:
        directory = Path(name)
        outcome = search(run, directory, limit, *(() if run.seed is not None else ("-i",)))
        if outcome.result != "counter-example":
            return f"none was found: {outcome}"
        told = call(directory, "spin", "-t", "-p", *run.definitions, "model.pml")
    steps = STEP.findall(told)
    return "\n".join(f"{process:<10} {line:>4}  {told}" for process, line, told in steps if not IDLE.fullmatch(told))
