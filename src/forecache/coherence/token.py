"""`Token`: what stands for all that a database had committed at a moment, for another process that shall see it.

Transactions are numbered within one past of a database. After a standby was promoted that lacked some, their numbers
are given out again, to others; so a token, and whoever says that he contains it, name the past that they mean. A token
also says how far the log was, from which follows what it is in a past that begins with that log: its `heir`.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final, NamedTuple, Self

from forecache.errors import LevelError

__all__ = ["Token", "differs", "mark_of", "past_of"]

FORM: Final = re.compile(r"([0-9]{1,20}-[0-9]{1,10})-([0-9]{1,20})(?:-([0-9]{1,20}))?", re.ASCII)
MARK_LETTERS: Final = 12


class Token(NamedTuple):
    """As `Database.token` makes it; `str` gives what is passed on."""

    past: str  # in which its transactions are numbered
    number: int  # above those of all transactions that it stands for
    position: int | None = None  # in the log, behind their commits; None in tokens of before, which did not say

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its text.

        >>> Token.parse("7345839460128456789-1-753-50331648")
        Token(past='7345839460128456789-1', number=753, position=50331648)

        Raises:
            LevelError: it is none.
        """
        found = FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise LevelError(f"after is {text!r}; expected a token, as Database.token of this version makes it")
        return cls(found[1], int(found[2]), None if found[3] is None else int(found[3]))

    def __str__(self) -> str:
        """Its text."""
        return f"{self.past}-{self.number}" if self.position is None else f"{self.past}-{self.number}-{self.position}"


def past_of(system: int, timeline: int) -> str:
    """What a past is called: the number that a database got when it was made, and how often a standby took over."""
    return f"{system}-{timeline}"


@lru_cache(maxsize=64)
def mark_of(past: str) -> str:
    """What epochs begin with that a sequencer of this past opens: 12 hexadecimal digits."""
    return hashlib.sha256(past.encode()).hexdigest()[:MARK_LETTERS]


def differs(epoch: str, past: str) -> bool:
    """Whether an epoch is of another past; not, if there is none, or the past is not known.

    >>> differs(mark_of("734583-1") + 20 * "0", "734583-1"), differs(32 * "0", "734583-1"), differs(32 * "0", "")
    (False, True, False)
    """
    return bool(epoch and past) and not epoch.startswith(mark_of(past))
