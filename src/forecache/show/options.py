"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from forecache import _core

__all__ = [
    "POLICIES",
    "CoreMonth",
    "CostPerHit",
    "CostPerMiss",
    "EntrySize",
    "Format",
    "Html",
    "Json",
    "Plot",
    "Policies",
    "Price",
    "RequestsPerSecond",
    "Seed",
    "Sets",
    "listed",
]

POLICIES: Final = ", ".join((*_core.POLICIES, *_core.OFFLINE_POLICIES))

Format = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="Format of the trace; by default the file tells."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Seed = Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Seed of every random choice.")]

Policies = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help=f"Some of {POLICIES}, separated by commas; by default all."),
]
Sets = Annotated[
    Literal["access", "invalidate"],
    typer.Option(help="What a set does: count and insert as a get does, or write to the database and invalidate."),
]

CostPerMiss = Annotated[
    str, typer.Option(metavar="COST", help="Money, or how long a core of the database is busy, as in '2ms'.")
]
CostPerHit = Annotated[str, typer.Option(metavar="COST", help="As of a miss; for a fleet, in the shared tier.")]
Price = Annotated[str, typer.Option(metavar="PRICE", help="Of memory: '3.5/GiB-month' or '0.01/GiB-hour'.")]
CoreMonth = Annotated[float, typer.Option(help="Money that a core of the database costs a month.")]
EntrySize = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Memory of an entry; by default the mean size in the trace.")
]
RequestsPerSecond = Annotated[
    float | None, typer.Option(help="Of the service; by default as the times of the trace say.")
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the answer as a PNG.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page for whoever decides.")]


def listed(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
