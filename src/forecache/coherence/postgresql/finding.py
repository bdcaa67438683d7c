"""`Finding`: one thing that an examination looked at, and what would make it right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "lasting", "look"]

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    found: str
    advice: str = ""  # what to do; empty if nothing
    cure: tuple[str, ...] = ()  # statements that do it


def look(
    what: str, holds: bool, found: str, advice: str, *, cure: Sequence[str] = (), otherwise: State = "error"
) -> Finding:
    """What must hold, and if it does."""
    return Finding(what, "ok", found) if holds else Finding(what, otherwise, found, advice, tuple(cure))


def lasting(setting: str, value: str) -> tuple[str, ...]:
    """Statements that change a setting of the server at once and for ever."""
    return (f"ALTER SYSTEM SET {setting} = '{value}'", "SELECT pg_reload_conf()")
