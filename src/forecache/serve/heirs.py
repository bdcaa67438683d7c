"""`Heirs`: what a token of a past of the database stands for in another, of which it may be a part.

Where a past begins is in the history of its timeline, which the database tells only to roles that may replicate. The
sequencer is one, and writes it into the shared tier with each epoch; a process whose own role is one asks by itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from forecache._core import now
from forecache.coherence.postgresql.ancestry import Ancestry
from forecache.errors import ConfigurationError, MissingExtraError, OriginError
from forecache.forks import renew_after_fork
from forecache.serve.shell import Ask, Plan

if TYPE_CHECKING:
    from forecache.coherence.token import Token
    from forecache.serve.origin import Origin
    from forecache.serve.tier import Tier

__all__ = ["Heirs"]

PATIENCE_SECONDS: Final = 3.0  # after a past was met, for a sequencer that still follows another one
PAUSE_SECONDS: Final = 0.1  # between two looks whether it does
RETRY_SECONDS: Final = 1.0  # before the database is asked again for what it did not tell


class Heirs:
    """In the pasts that one process has met; a past is asked for once."""

    def __init__(self, origin: Origin, tier: Tier | None) -> None:
        """Knows none yet."""
        self._origin: Any = origin
        self._tier: Any = tier
        self._known: dict[str, Ancestry] = {}
        self._met_at: dict[str, float] = {}
        self._refused: dict[str, tuple[float, str]] = {}  # when the database did not tell, and why
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Nobody else asks in the child."""
        self._lock = threading.Lock()

    def of(self, token: Token) -> list[Token]:
        """A token, and its heirs in all pasts that are known."""
        if not self._known or token.position is None:
            return [token]
        heirs = (ancestry.heir(token) for ancestry in list(self._known.values()) if ancestry.past != token.past)
        return [token, *filter(None, heirs)]

    def heir(self, token: Token, past: str) -> Plan[Token | None]:
        """What stands for the same in a past; None if some of it may be lost."""
        if token.past == past:
            return token
        if token.position is None or is_of_another_database(token.past, past):
            return None
        if past not in self._known:
            yield from self._learn(past)
        ancestry = self._known.get(past)
        return None if ancestry is None else ancestry.heir(token)

    def why_not(self, token: Token, past: str) -> str:
        """Why a token has no heir in a past, as a part of a sentence."""
        if is_of_another_database(token.past, past):
            return "it is another database, or was made anew"
        if token.position is None:
            return "and the token, of an older version, does not say how far the log was"
        if past in self._known:
            return "which began without all that was logged by then"
        why = self._refused.get(past, (0.0, "nobody told"))[1]
        return f"and what that has of it is not known ({why}); a sequencer, or a role that may replicate, can tell"

    def _learn(self, past: str) -> Plan[None]:
        """Asks for the history of a past; where a sequencer will soon know it, it is waited for."""
        is_over = self._met_at.setdefault(past, now()) + PATIENCE_SECONDS
        while True:
            comes = False
            told = (yield Ask(self._tier.pasts, self._tier.apasts)) if hasattr(self._tier, "pasts") else []
            for text in told:
                name, _, history = text.partition("\n")
                comes = comes or name != past
                if name == past:
                    self._keep(past, history)
            if past not in self._known and hasattr(self._origin, "history"):
                yield Ask(self._ask, self._aask, (past,))
            if past in self._known or not comes or now() >= is_over:
                return
            yield Ask(time.sleep, asyncio.sleep, (PAUSE_SECONDS,))

    def _keep(self, past: str, history: str) -> None:
        """Of a timeline that has a history: every one but the first."""
        if history or past.endswith("-1"):
            with suppress(ValueError):
                self._known[past] = Ancestry.parse(past, history)

    def _ask(self, past: str) -> None:
        """The database, for all who want to know."""
        with self._lock:
            at, _ = self._refused.get(past, (-RETRY_SECONDS, ""))
            if past in self._known or now() < at + RETRY_SECONDS:
                return
            try:
                self._keep(past, self._origin.history(past))
            except (OriginError, ConfigurationError, MissingExtraError) as error:
                self._refused[past] = now(), str(error)

    async def _aask(self, past: str) -> None:
        """The same in a task."""
        await asyncio.to_thread(self._ask, past)


def is_of_another_database(past: str, other: str) -> bool:
    """Whether two pasts have no beginning in common."""
    return past.partition("-")[0] != other.partition("-")[0]
