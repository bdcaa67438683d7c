"""`Failing`: says that a server of the shared tier fails, and that it answers again, at most once a minute each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from forecache._core import now

__all__ = ["Failing"]

PAUSE_SECONDS: Final = 60.0  # between two messages that one server fails
logger = logging.getLogger("forecache")


class Failing:
    """Of one tier, as one of those sees it who talk with its servers."""

    def __init__(self, name: Callable[[int], str], meaning: str) -> None:
        """Names servers, and knows what it means if one fails, as in 'nothing is proven there'."""
        self._name, self._meaning = name, meaning
        self._told: set[int] = set()  # servers that fail, as was said
        self._told_at: dict[int, float] = {}

    def fails(self, server: int, reason: object) -> None:
        """Says so, unless it was said since the server answered last, or a moment ago."""
        if server not in self._told and now() >= self._told_at.get(server, -PAUSE_SECONDS) + PAUSE_SECONDS:
            self._told.add(server)
            self._told_at[server] = now()
            logger.warning(
                "the shared tier at %s fails, and %s until it answers: %s", self._name(server), self._meaning, reason
            )

    def answers(self, server: int) -> None:
        """Says so, if it was said that it fails."""
        if server in self._told:
            self._told.discard(server)
            logger.warning("the shared tier at %s answers again", self._name(server))
