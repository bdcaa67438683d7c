"""Databases of record that there are, one file for each, and which of them a URL means."""

from __future__ import annotations

from typing import Any, Final

from forecache.errors import ConfigurationError
from forecache.serve.origin import Origin

__all__ = ["open_origin"]

FORMS: Final = "sqlite:///shop.db, postgresql://user:password@host/database"


def open_origin(source: str, **settings: Any) -> Origin:
    """The origin that a URL means; it connects when it is first used.

    Args:
        source: `sqlite:///relative/path`, `sqlite:////absolute/path`, or `postgresql://` as libpq takes it.
        settings: of the origin, such as `connections` and `timeout`.

    Raises:
        ConfigurationError: the URL means no database that is known.
        MissingExtraError: its driver is not installed.
    """
    scheme, _, rest = source.partition("://")
    if scheme == "sqlite":
        from forecache.serve.origins.sqlite import SqliteOrigin

        return SqliteOrigin(rest.removeprefix("/"), **settings)
    if scheme in {"postgresql", "postgres"}:
        from forecache.serve.origins.postgresql import PostgresqlOrigin

        return PostgresqlOrigin(source, **settings)
    raise ConfigurationError(f"a URL that begins with {scheme[:20]!r} means no known database; expected one of {FORMS}")
