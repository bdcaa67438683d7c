"""What a lookup says in place of a value."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["DUE", "MISSING", "Signal"]


class Signal(enum.Enum):
    """Never stored, so that it cannot be mistaken for a value."""

    MISSING = enum.auto()
    DUE = enum.auto()  # a value may be served, but must be refreshed


MISSING: Final = Signal.MISSING
DUE: Final = Signal.DUE
