"""Progress: bars on a terminal, lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from typing import Final, Self

from forecache.extras import extra

with extra("cli"):
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Bars", "Lines", "Silence", "teller"]

LINES: Final = 10  # about a step
WIDTH: Final = 9  # of a column


class Silence:
    """No word."""

    def step(self, name: str, done: int, total: int, note: str = "") -> None:
        """Nothing."""

    def standing(self, policy: str, hit_ratio: float, queries: int) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Nothing."""


class Bars(Silence):
    """A bar for each step and, growing with the hit ratio, one for each policy."""

    def __init__(self) -> None:
        """Draws nothing yet."""
        name, note = "{task.description:<12}", "{task.fields[note]}"
        columns = TextColumn(name), BarColumn(bar_width=40), TextColumn(note), TimeElapsedColumn()
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, done: int, total: int, note: str = "") -> None:
        """Moves the bar of a step."""
        self._move(name, done, total, note)

    def standing(self, policy: str, hit_ratio: float, queries: int) -> None:
        """Sets the bar of a policy to its hit ratio."""
        self._move(policy, hit_ratio, 1, f"{hit_ratio:7.2%} hits {queries:9,} queries")

    def _move(self, name: str, done: float, total: float, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, note=note)
        self._progress.update(self._tasks[name], completed=done, note=note)

    def __enter__(self) -> Self:
        """Starts to draw."""
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        """Leaves the bars as they are."""
        self._progress.stop()


class Lines(Silence):
    """Lines for files and logs: at each tenth of a step where all policies stand, and when it is over."""

    def __init__(self) -> None:
        """Says nothing yet."""
        self._began = time.perf_counter()
        self._standings: dict[str, float] = {}
        self._told: dict[str, int] = {}

    def step(self, name: str, done: int, total: int, note: str = "") -> None:
        """Writes a line if there is news."""
        told, tenth = self._told.get(name, 0), done * LINES // total
        if tenth > told and (self._standings or done >= total):
            if self._standings and told == 0:
                self._write("hit ratio", "".join(f"{policy:>{WIDTH}}" for policy in self._standings))
            shares = "".join(f"{ratio:>{WIDTH}.2%}" for ratio in self._standings.values())
            self._write(f"{name} {done / total:4.0%}", shares or note)
            self._told[name] = tenth
        if done >= total:
            self._standings = {}

    def standing(self, policy: str, hit_ratio: float, queries: int) -> None:
        """Remembers it for the next line."""
        self._standings[policy] = hit_ratio

    def _write(self, name: str, text: str) -> None:
        sys.stderr.write(f"{time.perf_counter() - self._began:6.1f} s  {name:<16} {text}\n")
        sys.stderr.flush()


def teller(*, lines: bool) -> Silence:
    """Bars on a terminal; elsewhere lines, or nothing."""
    if sys.stderr.isatty():
        return Bars()
    return Lines() if lines else Silence()
