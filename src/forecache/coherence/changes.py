"""Changes: what a database tells of its commits, and `ChangeSource`, whoever tells it.

A commit may be told before others can see what it wrote, so whoever drops copies waits until a snapshot sees it. A
message is the other way round: whatever its sample could see was told before it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, NamedTuple, Protocol, Self

__all__ = ["EVERY", "Change", "ChangeSource", "Commit", "Every", "Identity", "Key", "Message", "Snapshot"]

Key = Hashable  # the value of the primary key as the database returns it; a tuple where it has several columns


class Every(Enum):
    """The type of `EVERY`."""

    EVERY = "every key"


EVERY: Final = Every.EVERY  # in place of a key: any row of the table may have changed


class Change(NamedTuple):
    """A row that was written or deleted."""

    table: str
    key: Key | Literal[Every.EVERY]


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction that committed, and what it wrote of the tables that are followed; never empty."""

    xid: int  # of 64 bits
    position: int  # of its end: what to acknowledge
    changes: tuple[Change, ...]  # each once; of a row whose key changed, the old and the new one


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody said by `sample`."""

    position: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions a statement saw. Source: PostgreSQL documentation, 9.28, `pg_snapshot`."""

    xmin: int  # all below it had ended
    xmax: int  # none from it on had
    running: frozenset[int]  # those between that had not
    waits: bool = False  # whether every commit waited for whoever asked for this snapshot, and does until it stops

    @classmethod
    def parse(cls, text: str) -> Self:
        """A snapshot as PostgreSQL writes it.

        >>> Snapshot.parse("10:14:10,12")
        Snapshot(xmin=10, xmax=14, running=frozenset({10, 12}), waits=False)

        Raises:
            ValueError: it is none.
        """
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, filter(None, running.split(",")))))

    def sees(self, xid: int) -> bool:
        """Whether a transaction that committed is visible in it."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which past a source tells of. If any of it is another than before, commits may have been lost or missed."""

    system: int  # number that a database got when it was made
    timeline: int  # grows when a standby is promoted, or the database is restored
    started: str  # another whenever the server started, or recovered from a crash
    log: str  # another unless the source goes on where this object stopped, as when the slot was made anew
    history: str = field(default="", compare=False)  # of its timeline, as PostgreSQL has it; "" if that was not told


class ChangeSource(Protocol):
    """Tells what is committed, whoever commits; of one consumer at a time, and of one thread.

    After any error, or `close`, the source is closed. `open` then begins where it was acknowledged last, so that what
    was not acknowledged is told again.
    """

    def open(self) -> Identity:
        """Begins to follow.

        Raises:
            SourceBusyError: somebody else does; stand by, and try again.
            ConfigurationError: the database is not set up for it; `forecache doctor` says what to do.
            TableError: a table cannot be followed.
            OriginUnavailableError: the database cannot be reached.
        """

    def poll(self, seconds: float) -> list[Commit | Message]:
        """What came, in the order of the log; waits at most so long if nothing did. To be called twice a second.

        Raises:
            OriginUnavailableError: the database is gone, or was silent for too long.
        """

    def snapshot(self) -> Snapshot:
        """What can be seen now."""

    def sample(self, message: bytes) -> Snapshot:
        """What can be seen now; all of it is told before this message is."""

    def acknowledge(self, position: int) -> None:
        """Everything that was told, up to a position, is done with, and need not be told again.

        If the source is a synchronous standby, transactions up to there become visible now, and not before.
        """

    def close(self) -> None:
        """Stops, and lets others follow; a second call does nothing."""
