"""What a table of hit ratios says: shares of the gap between LRU and MIN, losses, and cost beyond LRU's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from benchmarks.cells import Cell, Place
from benchmarks.harness import Table

SMALLEST_GAP = 0.005
BASE, BOUND = "lru", "min"
Ratio = Literal["hit_ratio", "byte_hit_ratio"]


@dataclass(frozen=True)
class Standing:
    """All policies in one cell; a policy with several seeds counts by its mean."""

    place: Place
    cells: Sequence[Cell]
    classical: Sequence[str]
    ratio: Ratio = "hit_ratio"

    @cached_property
    def ratios(self) -> dict[str, list[float]]:
        """Hit ratios by policy, one of each seed."""
        found: dict[str, list[float]] = defaultdict(list)
        for cell in self.cells:
            found[cell.policy].append(getattr(cell, self.ratio))
        return found

    def mean(self, policy: str) -> float:
        """The hit ratio of a policy."""
        return float(np.mean(self.ratios[policy]))

    @property
    def gap(self) -> float:
        """What MIN hits beyond LRU."""
        return self.mean(BOUND) - self.mean(BASE)

    def share(self, policy: str) -> float:
        """The share of the gap that a policy closes, at least −1."""
        return max(-1.0, (self.mean(policy) - self.mean(BASE)) / self.gap)

    def best(self, policies: Iterable[str]) -> str:
        """The best of some policies, those that are here."""
        return max((name for name in policies if name in self.ratios), key=self.mean)

    def loss(self, policy: str) -> float:
        """Points that it lacks to the best classical one."""
        return 100 * (self.mean(self.best(self.classical)) - self.mean(policy))

    def worst_loss(self, policy: str) -> float:
        """The same, with the seed that it fares worst with."""
        return 100 * (self.mean(self.best(self.classical)) - min(self.ratios[policy]))

    def cost(self, policy: str) -> tuple[float, float]:
        """Nanoseconds per request beyond LRU's, training aside; and those of training."""
        own = [cell for cell in self.cells if cell.policy == policy]
        base = np.mean([cell.nanoseconds for cell in self.cells if cell.policy == BASE])
        return float(np.mean([cell.nanoseconds for cell in own]) - base), float(np.mean([c.training for c in own]))

    @property
    def public(self) -> list[str]:
        """What is not ours: the classical policies, and those of others."""
        return [name for name in self.ratios if name in {*self.classical, "fifo"} or name.endswith("*")]


def standings(cells: Iterable[Cell], classical: Sequence[str], ratio: Ratio = "hit_ratio") -> list[Standing]:
    """One for each cell."""
    groups: dict[Place, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.place].append(cell)
    return [Standing(place, group, classical, ratio) for place, group in groups.items()]


def summary(title: str, found: Sequence[Standing]) -> Table:
    """Policies, best first; shares over the cells whose gap is above half a point, losses over all."""
    rows = []
    for policy in dict.fromkeys(name for standing in found for name in standing.ratios):
        present = [standing for standing in found if policy in standing.ratios]
        shares = [standing.share(policy) for standing in present if standing.gap > SMALLEST_GAP]
        costs = np.array([standing.cost(policy) for standing in present])
        rows.append(
            (
                policy,
                len(shares),
                f"{np.mean(shares):.3f}",
                f"{min(shares):.2f}",
                f"{max(standing.loss(policy) for standing in present):.2f}",
                f"{max(standing.worst_loss(policy) for standing in present):.2f}",
                "" if policy.endswith("*") else f"{costs[:, 0].mean():.0f}",
                f"{costs[:, 1].mean():.0f}" if costs[:, 1].any() else "",
            )
        )
    rows += [_best(found, "best classical of each cell", lambda standing: standing.classical)]
    rows += [_best(found, "best public of each cell", lambda standing: standing.public)]
    columns = (
        "policy",
        "cells",
        "mean share of the gap",
        "worst share",
        "worst loss",
        "with any seed",
        "ns",
        "ns, training",
    )
    return Table(title, columns, sorted(rows, key=lambda row: -float(row[2])))


def _best(found: Sequence[Standing], name: str, of: Callable[[Standing], Sequence[str]]) -> tuple[object, ...]:
    with_gap = [standing for standing in found if standing.gap > SMALLEST_GAP]
    shares = [standing.share(standing.best(of(standing))) for standing in with_gap]
    losses = [standing.loss(standing.best(of(standing))) for standing in found]
    return name, len(shares), f"{np.mean(shares):.3f}", f"{min(shares):.2f}", f"{max(losses):.2f}", "", "", ""


def details(title: str, found: Sequence[Standing], learned: str) -> Table:
    """Each cell: where the gap is, who is best there, and how the learned policy fares."""
    columns = ("trace", "share", "capacity", "LRU", "MIN", "best classical", "", "best public", "")
    columns += (learned, "share of the gap", "loss", "µs", "µs, training")
    rows = []
    for standing in found:
        best, public = standing.best(standing.classical), standing.best(standing.public)
        cost, training = standing.cost(learned)
        rows.append(
            (
                standing.place.trace,
                f"{100 * standing.place.share:g} %",
                f"{standing.place.capacity:,}",
                f"{standing.mean(BASE):.4f}",
                f"{standing.mean(BOUND):.4f}",
                f"{standing.mean(best):.4f}",
                best,
                f"{standing.mean(public):.4f}",
                public,
                f"{standing.mean(learned):.4f}",
                f"{standing.share(learned):.2f}" if standing.gap > SMALLEST_GAP else "",
                f"{standing.loss(learned):.2f}",
                f"{cost / 1000:.2f}",
                f"{training / 1000:.2f}",
            )
        )
    return Table(title, columns, rows)


def everything(title: str, found: Sequence[Standing]) -> Table:
    """The hit ratio of every policy in every cell."""
    policies = list(dict.fromkeys(name for standing in found for name in standing.ratios))
    rows = [
        (
            standing.place.trace,
            f"{100 * standing.place.share:g} %",
            *(f"{standing.mean(name):.4f}" if name in standing.ratios else "" for name in policies),
        )
        for standing in found
    ]
    return Table(title, ("trace", "share", *policies), rows)
