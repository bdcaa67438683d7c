"""Which past a server of PostgreSQL tells of, in SQL, and how far its log is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from forecache.coherence.token import Token, past_of
from forecache.errors import OriginUnavailableError

__all__ = ["PAST", "POSITION", "TOKEN", "lsn", "of_primary", "token_of"]

# The number of the database system, and its timeline: 0 at a standby, which may go over to another at any moment.
PAST: Final = """
(SELECT system_identifier FROM pg_control_system()), CASE WHEN pg_is_in_recovery() THEN 0
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
"""

# Where the log ends, looked up after the snapshot of the statement was taken: a transaction is seen only when its
# commit is logged, though maybe not yet on a disk. Null at a standby.
POSITION: Final = "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END"

TOKEN: Final = f"SELECT {PAST}, pg_snapshot_xmax(pg_current_snapshot())::text::bigint, {POSITION}"


def token_of(row: Sequence[Any]) -> Token:
    """The token of all that has committed, from the row that `TOKEN` returns; its past is "" at a standby."""
    system, timeline, number, position = row
    past = past_of(system, timeline) if timeline else ""
    return Token(past, number, None if position is None else lsn(position))


def of_primary(token: Token, name: str) -> Token:
    """The token, for a session.

    Raises:
        OriginUnavailableError: the database of this name is a standby.
    """
    if not token.past:
        raise OriginUnavailableError(f"{name} is a standby, whose past may change; tokens come from the primary")
    return token


def lsn(text: str) -> int:
    """A position in the log, as PostgreSQL writes it.

    >>> lsn("1/10")
    4294967312
    """
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
