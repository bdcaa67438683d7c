"""What all benchmarks share: fair timing, Markdown tables, and results that say how they came about."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

RESULTS = Path(__file__).parent / "results"


def own(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a function with code of its own.

    The interpreter specialises code for the types it meets: contestants that share a loop would slow each other down.
    """
    assert isinstance(function, FunctionType)  # noqa: S101 - tells the type checker
    return FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def alternate(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The shortest time of each run, in seconds, when they take turns.

    Taking turns lets a disturbance of the machine hit all alike; running twice in a turn lets the caches of the
    processor warm up.
    """
    best = dict.fromkeys(runs, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, run in runs.items():
                best[name] = min(best[name], run(), run())
    finally:
        gc.enable()
    return best


@dataclass
class Peers:
    """Packages to compare with; those that are not installed are skipped by name."""

    versions: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def find(self, package: str, module: str | None = None) -> ModuleType | None:
        """The module of a package, or None."""
        try:
            found = importlib.import_module(module or package.replace("-", "_"))
        except ImportError:
            self.skipped.append(package)
            return None
        self.versions[package] = metadata.version(package)
        return found


@dataclass(frozen=True)
class Table:
    """A table of results."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [self.columns, ["---"] + ["--:"] * (len(self.columns) - 1), *self.rows]
        body = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        return f"## {self.title}\n\n{body}\n"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every benchmark takes."""
    arguments = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    arguments.add_argument("--json", action="store_true", help="print JSON, and leave the results as they are")
    arguments.add_argument("--quick", action="store_true", help="few rounds and small inputs: does it run at all?")
    arguments.add_argument("--core", type=int, default=0, help="core to run on, where the system lets us choose")
    arguments.add_argument("--traces", type=Path, help="directory of Parquet traces for the simulator")
    return arguments


def stay_on(core: int) -> None:
    """Keeps this process and its children on one core."""
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def report(name: str, options: argparse.Namespace, tables: Iterable[Table], peers: Peers, notes: str = "") -> None:
    """Prints the tables, and keeps them in `results/` unless they are JSON or quick."""
    tables = list(tables)
    circumstances = circumstances_of(name, options, peers)
    if options.json:
        rows = {table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in tables}
        print(json.dumps({"circumstances": circumstances, "tables": rows}, indent=2))
        return
    lines = [
        f"# {name.replace('_', ' ').capitalize()}",
        "",
        *(f"- {key}: {value}" for key, value in circumstances.items()),
        "",
    ]
    text = "\n".join([*lines, *([notes, ""] if notes else []), *(table.markdown() for table in tables)])
    print(text)
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(text)


def circumstances_of(name: str, options: argparse.Namespace, peers: Peers) -> dict[str, str]:
    """How a result came about."""
    traces = " --traces DIRECTORY" if options.traces else ""
    peer_list = ", ".join(f"{package} {version}" for package, version in peers.versions.items())
    skipped = f"; skipped, since not installed: {', '.join(peers.skipped)}" if peers.skipped else ""
    return {
        "command": getattr(options, "command", f"python -m benchmarks.{name}{traces}"),
        "commit": commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}; load {load()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "peers": peer_list + skipped,
    }


def commit() -> str:
    """What is checked out."""
    command = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def load() -> str:
    """Processes that wanted to run in the last minute; unknown on some systems."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
