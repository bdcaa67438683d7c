"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Format", "Json", "Seed", "listed"]

Format = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="Format of the trace; by default the file tells."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Seed = Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Seed of every random choice.")]


def listed(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
