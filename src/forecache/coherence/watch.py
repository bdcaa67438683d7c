"""`Watch`: how a process learns what happened to a database since it copied from it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal, Protocol

from forecache import _core
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.level import Kind, Level
from forecache.coherence.token import Token
from forecache.errors import LevelError

__all__ = ["Ageing", "Holder", "Unlogged", "Unsequenced", "Watch"]

Unlogged = Literal["flush", "ignore"]  # what to do after a commit that noted nothing


class Holder(Protocol):
    """Who keeps copies; told of changes in the order of commits."""

    def forget(self, table: str, key: Hashable) -> None:
        """The row of a key was written."""

    def forget_table(self, table: str) -> None:
        """Any row of a table may have been written."""

    def forget_all(self) -> None:
        """Anything may have happened."""


class Watch(Protocol):
    """What is known of the database's present."""

    @property
    def epoch(self) -> str:
        """Of the database as it is now; of the first part of a shared tier that has several."""

    @property
    def header(self) -> _core.WalHeader | None:
        """What tells natively that nothing changed, if there is such a thing."""

    @property
    def proof(self) -> _core.Proof | None:
        """What tells natively as of when all copies are current, if there is such a thing."""

    @property
    def standing(self) -> _core.Standing:
        """What certificates name: of each part of the shared tier the epoch, and what all its copies contain."""

    @property
    def tells(self) -> bool:
        """Whether asking it makes copies current at once; if not, they are as old as is proven, or as they are."""

    def shard_of(self, table: str, key: Hashable) -> int:
        """The part of the shared tier that a row is in; 0 where there are no parts."""

    def contains(self, token: Token) -> bool:
        """Whether all copies surely contain what a token stands for."""

    def refuses(self, table: str, key: Hashable, past: str) -> bool:
        """Whether no copy may be made of a row as a database of this past has it, "" if that is not known."""

    def grant(self, table: str) -> _core.Proof | None:
        """What tells natively until when copies of a table are what the database shows, if there is such a thing."""

    def vouches(self, table: str, at: float) -> bool:
        """Whether copies of a table that are looked up after this call are what the database shows at that time."""

    def holds(self, table: str, key: Hashable) -> bool:
        """Whether no copy of a row may be made now."""

    def proven_at(self) -> float:
        """The latest moment of `now()` at which all copies were surely current; minus infinity if unknown."""

    def catch_up(self, since: float) -> None:
        """Makes all copies current as of `since` or later.

        Raises:
            OriginUnavailableError: the database cannot be asked.
        """

    def check(self, level: Level) -> None:
        """Whether a level can be kept.

        Raises:
            LevelError: it cannot; the message says why.
        """

    def close(self) -> None:
        """Stops watching; the next question begins anew."""


class Unsequenced:
    """What a watch answers where no sequencer speaks: there are no parts, no tokens, and nobody vouches or holds."""

    epoch = ""

    def shard_of(self, table: str, key: Hashable) -> int:
        """There are no parts."""
        return 0

    def contains(self, token: Token) -> bool:
        """There are no tokens."""
        return False

    def refuses(self, table: str, key: Hashable, past: str) -> bool:
        """Copies are not told apart by the past of their database."""
        return False

    def grant(self, table: str) -> None:
        """There is none."""

    def vouches(self, table: str, at: float) -> bool:
        """Nobody does."""
        return False

    def holds(self, table: str, key: Hashable) -> bool:
        """Never: what is committed can be seen."""
        return False


class Ageing(Unsequenced):
    """No watch: the database does not tell what changes, so copies age."""

    header = None
    proof = None
    tells = False

    def __init__(self, kinds: tuple[Kind, ...], reason: str) -> None:
        """For a database that can keep levels of these kinds, and no other for a reason."""
        self._kinds = kinds
        self._reason = reason
        self.standing = _core.Standing(self.epoch, None)

    def proven_at(self) -> float:
        """Unknown."""
        return UNKNOWN

    def catch_up(self, since: float) -> None:
        """Nothing can be learned."""

    def check(self, level: Level) -> None:
        """Whether age, or the database itself, is enough for a level."""
        if level.kind not in self._kinds:
            known = ", ".join(self._kinds)
            raise LevelError(f"level is {str(level)!r}, but {self._reason}; expected one of {known}")

    def close(self) -> None:
        """Nothing is open."""
