"""What a storm reports: a line, a table with a row for each fault, and a picture of true against certified ages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from tests.storm.records import PROOF, TIERS, loaded
from tests.storm.verdict import Verdict

__all__ = ["Happened", "Report"]

LAWS = {
    "certificates": "violated certificates",
    "levels": "answers beyond their level",
    "lost writes": "lost writes",
    "sessions": "session anomalies",
    "torn snapshots": "torn snapshots",
    "order of answers without age": "answers without age that went back",
    "history": "gaps in the history",
}
COLUMNS = [
    "fault",
    "times",
    "lasted, s",
    "reads meanwhile",
    "certified age p50, ms",
    "p99",
    "largest",
    "true age, largest",
    "proven again after, ms: p50",
    "p99",
    "largest ",
]


@dataclass(frozen=True)
class Happened:
    """A fault; moments of `now()`."""

    name: str
    began: float
    struck: float
    healed: float
    proven: float  # again, as somebody at the tier sees it
    first_proof: float | None  # seconds from the fault to the first proof of a later moment, while it lasted

    def __str__(self) -> str:
        told = f"{self.name}, {self.healed - self.began:.1f} s; proven again {self.proven - self.healed:.2f} s after"
        return told + ("" if self.first_proof is None else f", or {self.first_proof:.2f} s from when it struck")


@dataclass
class Report:
    """A storm."""

    seconds: float
    seed: int
    happened: list[Happened]
    verdict: Verdict
    problems: list[str]

    @property
    def violations(self) -> list[str]:
        """All, in words."""
        told = [f"{law}: {what}" for law, found in self.verdict.broken.items() for what in found]
        return told + self.problems

    @property
    def takeovers(self) -> list[float]:
        """Seconds from the death of the sequencer that led to the first proof of its successor."""
        return [each.first_proof for each in self.happened if each.name == "sequencer killed" and each.first_proof]

    def __str__(self) -> str:
        verdict = self.verdict
        laws = ", ".join(f"{len(verdict.broken.get(law, []))} {name}" for law, name in LAWS.items())
        shares = ", ".join(f"{count:,} from the {tier}" for tier, count in verdict.tiers.items())
        levels = ", ".join(f"{count:,} at {level}" for level, count in verdict.levels.items())
        took = ", ".join(f"{each:.2f}" for each in self.takeovers) or "none"
        kinds = len({each.name for each in self.happened})
        done = [
            f"{verdict.reads:,} certified reads in {self.seconds:.0f} s ({shares}; {levels})",
            f"{verdict.strong_copies:,} strong answers from copies",
            f"{verdict.snapshots:,} snapshots",
            f"{verdict.contended:,} reads within 50 ms of a write of their row",
            f"{verdict.overlapped:,} fills overlapped by one",
            f"{verdict.writes:,} writes, {verdict.deletions:,} of them deletions",
            f"{verdict.unknown:,} more whose answer was lost",
            f"{verdict.lost_by_failover:,} that a failover of the database itself lost",
            f"{len(self.happened)} faults of {kinds} kinds",
        ]
        lines = [
            "storm: " + "; ".join(done),
            f"takeovers of a killed sequencer, seconds to the first proof: {took}",
            f"{laws}: {len(self.violations)} violations, seed {self.seed}",
        ]
        return "\n".join([*lines, *self.violations[:8]])

    def rows(self, into: Path) -> list[list[str]]:
        """A row for each fault, and one for all reads."""
        proofs = [loaded(into, "proofs", PROOF, int(file.name.split("-")[1])) for file in sorted(into.glob("proofs-*"))]
        seen = self.verdict.seen.sorted()
        rows = []
        for name in dict.fromkeys(each.name for each in self.happened):
            mine = [each for each in self.happened if each.name == name]
            parts = [within(seen[0], each.began, each.healed) for each in mine]
            lasted = f"{np.mean([each.healed - each.began for each in mine]):.1f}"
            rows.append([name, str(len(mine)), lasted, *ages(seen, parts), *back(proofs, mine)])
        everything = [within(seen[0], -np.inf, np.inf)]
        rows.append(
            [
                "all",
                str(len(self.happened)),
                f"{self.seconds:.0f}",
                *ages(seen, everything),
                *back(proofs, self.happened),
            ]
        )
        return rows

    def keep(self, into: Path, name: str = "storm") -> None:
        """Writes the table and the picture where results of benchmarks are."""
        command = "python -m tests.storm" + (" --synchronous" if "synchronous" in name else "") + " --results"
        options = argparse.Namespace(json=False, quick=False, traces=None, command=command)
        peers = harness.Peers()
        for package in ("psycopg", "valkey"):
            peers.find(package)
        tables = [
            harness.Table("Faults", COLUMNS, self.rows(into)),
            harness.Table("Ages", ["certified age, ms", "reads", "true age 0", "largest true age, ms"], self.bands()),
        ]
        picture = harness.RESULTS / f"{name}.png"
        draw(self.verdict, picture)
        notes = NOTES + "\n\n```\n" + str(self) + f"\n```\n\n![True age against certified age]({name}.png)"
        harness.report(name, options, tables, peers, notes)

    def bands(self) -> list[list[str]]:
        """True ages by certified ages."""
        _, certified, true, _ = self.verdict.seen.sorted()
        least = 1e-6
        edges = [0, 1e-9, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, np.inf]
        rows = []
        for low, high in pairwise(edges):
            part = true[(certified >= low) & (certified < high)]
            name = f"{low * 1e3:.0f} to {high * 1e3:.0f}" if np.isfinite(high) else "above 1000, or none"
            rows.append(
                [
                    "0" if high < least else name,
                    f"{len(part):,}",
                    f"{int((part == 0).sum()):,}",
                    milliseconds(part.max(initial=0)),
                ]
            )
        return rows


NOTES = """`make stress` runs it. Three processes read and write through forecache, each with two threads at the default
level `bounded(1s)` and one at all others; one writer uses psycopg, one psql; two sequencers, PostgreSQL with a standby,
Valkey with a replica, and a network of its own before each process.

"Reads meanwhile" began while the fault lasted, in all processes; ages are those of answers from the process or
the shared tier. The true age of an answer is the time from the acknowledgement of the next write of its row to the
beginning of the read. "Proven again" counts from the end of a fault until a process knows something proven of a later
moment, over all processes."""


def within(began: NDArray[Any], low: float, high: float) -> slice:
    """Reads that began between two moments."""
    return slice(*np.searchsorted(began, [low, high]).tolist())


def ages(seen: Sequence[NDArray[Any]], parts: Sequence[slice]) -> list[str]:
    """Number of reads, certified ages of those that did not ask the database, and the largest true one."""
    certified, true, kind = (np.concatenate([column[part] for part in parts]) for column in seen[1:])
    proven = certified[(kind % 10 < TIERS["database"]) & np.isfinite(certified) & (kind < 20)]
    told = [milliseconds(np.quantile(proven, share)) if len(proven) else "" for share in (0.5, 0.99, 1)]
    return [f"{len(true):,}", *told, milliseconds(true[kind < 20].max(initial=0))]


def back(proofs: Sequence[NDArray[Any]], happened: Sequence[Happened]) -> list[str]:
    """How long until something was proven again."""
    found = []
    for each in happened:
        for log in proofs:
            at = np.searchsorted(log["at"], each.healed)
            if 0 < at < len(log):  # it was there, and went on
                again = np.flatnonzero(log["proven"][at:] >= each.healed)
                if len(again):
                    found.append(log["at"][at + again[0]] - each.healed)
    return [milliseconds(np.quantile(found, share)) if found else "" for share in (0.5, 0.99, 1)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f}"


def draw(verdict: Verdict, path: Path) -> None:
    """True against certified age; above the line would be a violation."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.colors import LogNorm

    _, certified, true, kind = verdict.seen.sorted()
    mine = np.isfinite(certified) & (kind < 20)  # levels that promise an age
    least, most = 1e-4, 2.0
    edges = np.geomspace(least, most, 121)
    x, y = (np.clip(ages[mine].astype(float), 1.001 * least, most) for ages in (certified, true))
    counts, _, _ = np.histogram2d(x, y, bins=[edges, edges])
    figure, axes = pyplot.subplots(figsize=(7.5, 6), layout="constrained")
    mesh = axes.pcolormesh(
        edges * 1e3, edges * 1e3, np.where(counts > 0, counts, np.nan).T, norm=LogNorm(), cmap="viridis"
    )
    axes.plot([least * 1e3, most * 1e3], [least * 1e3, most * 1e3], color="#D55E00", linewidth=1.5)
    told = "violated above this line" if verdict.broken.get("certificates") else "none is older than certified"
    axes.annotate(
        told,
        (0.4, 0.6),
        color="#D55E00",
        rotation=45,
        fontsize=9,
    )
    axes.set(
        xscale="log", yscale="log", xlabel="certified age, ms", ylabel="true age, ms (0 and below 0.1: bottom row)"
    )
    axes.set_title(f"{int(mine.sum()):,} reads at bounded levels, through faults")
    figure.colorbar(mesh, label="reads")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
