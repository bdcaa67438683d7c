"""`Ancestry`: the pasts that a past of a database begins with, and so what it has of theirs.

A standby that is promoted, and a backup that is restored, goes on with a timeline of its own. The history of that
timeline says where in the log it left which other one: what was logged before that is there, and what was after is not.
Source: PostgreSQL documentation, 26.3.5, "Timelines".
"""

from __future__ import annotations

from typing import NamedTuple, Self

from forecache.coherence.postgresql.past import lsn
from forecache.coherence.token import Token, past_of

__all__ = ["Ancestry"]


class Ancestry(NamedTuple):
    """Of one past."""

    past: str
    # The pasts before, the first one first, and the position up to which it has them.
    left: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, past: str, history: str) -> Self:
        r"""From the history of its timeline, as PostgreSQL writes it.

        >>> Ancestry.parse("734-3", "1\t0/3000000\tno recovery target specified\n\n2\t0/5000000\tbefore noon\n")
        Ancestry(past='734-3', left=(('734-1', 50331648), ('734-2', 83886080)))

        Raises:
            ValueError: it is none.
        """
        system = int(past.partition("-")[0])
        left = []
        for line in history.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                timeline, position, *_ = line.split(maxsplit=2)
                left.append((past_of(system, int(timeline)), lsn(position)))
        return cls(past, tuple(left))

    def heir(self, token: Token) -> Token | None:
        """What stands in this past for all that a token stands for; None if any of that may be lost.

        Transactions that this past has of another one keep their numbers, and others get higher ones.

        >>> before, after = Token("734-1", 753, 50331600), Token("734-1", 754, 50331700)
        >>> ancestry = Ancestry("734-2", (("734-1", 50331648),))
        >>> ancestry.heir(before), ancestry.heir(after)
        (Token(past='734-2', number=753, position=50331600), None)
        """
        if token.past == self.past:
            return token
        pasts = [past for past, _ in self.left]
        if token.position is None or token.past not in pasts:
            return None
        end = min(position for _, position in self.left[pasts.index(token.past) :])
        return token._replace(past=self.past) if token.position <= end else None
