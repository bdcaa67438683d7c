"""`Pending`: a position of the database's log that is not done with yet."""

from __future__ import annotations

__all__ = ["Pending"]


class Pending:
    """A position of the database's log, and what is still to happen before it is done with."""

    __slots__ = ("open", "position")

    def __init__(self, position: int, waits: int) -> None:
        """Waits for so many things."""
        self.position = position
        self.open = waits
