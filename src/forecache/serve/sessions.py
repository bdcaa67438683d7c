"""Reads that contain what a token stands for: as any other where copies surely do, else from the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, cast

from forecache.coherence.level import Level
from forecache.coherence.token import Token
from forecache.errors import LevelError, SessionLostError
from forecache.serve.shell import Plan

if TYPE_CHECKING:
    from forecache.serve.copies import Found
    from forecache.serve.origin import Key, Origin
    from forecache.serve.plan import ReadPath

__all__ = ["read_after", "teller_of"]


class Teller(Protocol):
    """An origin whose database numbers its transactions."""

    def token(self) -> Token:
        """For all that has committed."""

    async def atoken(self) -> Token:
        """The same in a task."""


def teller_of(origin: Origin) -> Teller:
    """Who makes tokens.

    Raises:
        LevelError: nobody does for this database.
    """
    if not getattr(origin, "has_tokens", hasattr(origin, "token")):
        raise LevelError(
            f"{origin.name} has no tokens for sessions; expected PostgreSQL, by its URL or an engine. "
            "'strong' needs none, as it sees all that was committed; of a file of SQLite by its path it costs no more"
        )
    return cast("Teller", origin)


def read_after(
    path: ReadPath, name: str, keys: Iterable[Key], *, level: Level, token: Token, began: float
) -> Plan[dict[Key, Found]]:
    """Rows that contain what a token stands for.

    Copies do as long as a beacon of the token's past, or of one that has all of it, has passed it, and they are asked
    about that before and after: what they are of another past meanwhile was dropped in between. Rows of the database
    say of which past they are.

    Raises:
        SessionLostError: the database has a past that may lack what the token stands for.
    """
    keys = list(keys)
    if is_contained(path, token) or level.kind == "snapshot":
        found = yield from path.read(name, keys, level, began)
    else:
        found = yield from path.fresh(name, keys)
    unsure = [key for key, row in found.items() if row.tier != "database"]
    if unsure and not is_contained(path, token):
        found |= yield from path.fresh(name, unsure)
    for past in {row.past for row in found.values() if row.tier == "database"}:
        if (yield from path.heirs.heir(token, past)) is None:
            raise lost(path, past, token)
    return found


def is_contained(path: ReadPath, token: Token) -> bool:
    """Whether all copies surely contain what a token stands for, as far as is known without asking."""
    return any(path.watch.contains(each) for each in path.heirs.of(token))


def lost(path: ReadPath, past: str, token: Token) -> LevelError | SessionLostError:
    """Why rows cannot be shown to contain a token."""
    name = path.origin.name
    if not past:
        return LevelError(
            f"{name} does not say which past it has: it is a standby, or this role may not execute pg_control_system; "
            "read from the primary, and grant it"
        )
    return SessionLostError(
        f"the session's token is of past {token.past} of a database, but {name} has past {past}, "
        f"{path.heirs.why_not(token, past)}: what the session saw or wrote may be lost. "
        "Read without the token, see what is there, and begin a session with a new one"
    )
