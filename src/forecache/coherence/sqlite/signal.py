"""`Signal`: what tells that somebody committed to an SQLite file: its memory, or else the database itself."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from forecache import _core

__all__ = ["Signal", "VersionSignal"]


class Signal(Protocol):
    """Tells whether anybody committed."""

    def mark(self) -> bytes | None:
        """The state of the file; None while it is being changed."""

    def know(self, mark: bytes, seconds: float) -> None:
        """From now on a file in this state counts as unchanged."""

    def forget(self) -> None:
        """From now on it counts as changed."""

    def is_unchanged(self) -> bool:
        """Whether it is in the state that is known."""


class VersionSignal:
    """Asks the database itself, where its shared memory cannot be mapped; some 30 times slower."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Watches what other connections commit."""
        self._connection = connection
        self._known: tuple[bytes, float] | None = None

    def mark(self) -> bytes:
        """The version of the file's contents."""
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version.to_bytes(8, "big")

    def know(self, mark: bytes, seconds: float) -> None:
        """Remembers it."""
        self._known = mark, _core.now() + seconds

    def forget(self) -> None:
        """Forgets it."""
        self._known = None

    def is_unchanged(self) -> bool:
        """Whether the version is what it was."""
        known = self._known
        return known is not None and _core.now() < known[1] and self.mark() == known[0]
