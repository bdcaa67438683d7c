"""`parameters_of_driver`: how a driver's connection was made, for one more that differs in one thing."""

from __future__ import annotations

from typing import Any

__all__ = ["parameters_of_driver"]


def parameters_of_driver(connection: Any) -> dict[str, Any] | None:
    """The parameters of libpq that a connection of psycopg, 3 or 2, was made with: all of them, encryption too.

    None for a driver that does not tell: what an engine was given may be less than what it connects with.
    """
    info: Any = getattr(connection, "info", None)
    if hasattr(info, "get_parameters"):
        found = dict(info.get_parameters())
    elif hasattr(info, "dsn_parameters"):
        found = dict(info.dsn_parameters)
    else:
        return None
    return found | ({"password": info.password} if info.password else {})
