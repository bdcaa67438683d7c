"""The history of a server's timeline, which it tells only to who may replicate, on a connection for that.

Source: PostgreSQL documentation, 54.4, "Streaming Replication Protocol".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forecache.coherence.postgresql.asking import Asking, translated
from forecache.coherence.token import past_of
from forecache.errors import OriginUnavailableError

__all__ = ["asked", "history_of"]


def asked(ask: Callable[[str], Sequence[Sequence[Any]]], timeline: int) -> str:
    """The history of a timeline, asked for on a connection for replication; the first one has none.

    Raises:
        psycopg.Error: the server does not have it, though it has the timeline.
    """
    if timeline == 1:
        return ""
    content = ask(f"TIMELINE_HISTORY {timeline}")[0][1]
    return content.decode(errors="replace") if isinstance(content, bytes) else str(content)


def history_of(name: str, parameters: Mapping[str, Any], past: str, seconds: float) -> str:
    """The history of a past, from a server that has it.

    Args:
        name: of the database, in errors.
        parameters: of libpq.
        past: as `past_of` calls it.
        seconds: for a connection, and for each answer.

    Raises:
        OriginUnavailableError: it cannot be had: the role may not replicate, or what answers has another past.
        ConfigurationError: the same.
    """
    asking = Asking.to(name, dict(parameters) | {"replication": "database"}, seconds)
    try:
        with translated(name):
            system, timeline, *_ = asking.ask("IDENTIFY_SYSTEM")[0]
            found = past_of(int(system), int(timeline))
            if found != past:
                raise OriginUnavailableError(f"{name} has past {found} now")
            return asked(asking.ask, int(timeline))
    finally:
        asking.close()
