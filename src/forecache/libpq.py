"""libpq: what a URL of PostgreSQL means, and what the database is called in logs and errors."""

from __future__ import annotations

from typing import Any

from forecache.errors import ConfigurationError
from forecache.extras import extra

__all__ = ["name_of", "parameters_of"]


def parameters_of(url: str) -> dict[str, Any]:
    """What libpq makes of a URL.

    Raises:
        ConfigurationError: nothing; the message does not repeat the URL, which may hold a password.
    """
    with extra("postgresql"):
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.Error:
        raise ConfigurationError(
            "the URL of PostgreSQL cannot be understood; expected postgresql://user:password@host:5432/database"
        ) from None


def name_of(parameters: dict[str, Any]) -> str:
    """Where the database is; without user and password."""
    host = parameters.get("host") or parameters.get("hostaddr") or "localhost"
    port = f":{parameters['port']}" if parameters.get("port") else ""
    return f"postgresql://{host}{port}/{parameters.get('dbname') or ''}"
