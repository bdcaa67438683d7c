"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from forecache import _core

__all__ = ["POLICIES", "Format", "Json", "Policies", "Seed", "Sets", "listed"]

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


def listed(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
