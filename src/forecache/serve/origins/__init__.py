"""Databases of record that there are, one file for each, and which of them a URL or an object means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from forecache.errors import ConfigurationError
from forecache.extras import extra
from forecache.serve.origin import Origin
from forecache.serve.settings import MOST_CONNECTIONS, check_whole, timeout_seconds
from forecache.units import Duration

__all__ = ["open_origin"]

CONNECTIONS: Final = 8
TIMEOUT: Final = "5s"
FORMS: Final = (
    "expected sqlite:///shop.db, postgresql://user:password@host/database, any URL or engine of SQLAlchemy, "
    "a function of a key, or an origin"
)


def open_origin(source: Any, **settings: Any) -> Origin:
    """The origin that a URL, an engine of SQLAlchemy or a function means; it connects when it is first used.

    Args:
        source: `sqlite:///relative/path`, `sqlite:////absolute/path`, `postgresql://` as libpq takes it, another URL
            as SQLAlchemy takes it, an Engine or AsyncEngine, a function from a key to a row, or an origin.
        settings: of the origin, such as `connections` and `timeout`.

    Raises:
        ConfigurationError: it means no database that is known.
        MissingExtraError: the package that it needs is not installed.
    """
    if isinstance(source, str):
        return origin_at(source, settings)
    if hasattr(source, "aread"):
        return ready(source, settings)
    if hasattr(source, "dialect"):
        from forecache.serve.origins.alchemy import AlchemyOrigin

        return AlchemyOrigin(source, **settings)
    if callable(source):
        from forecache.serve.origins.function import FunctionOrigin

        return FunctionOrigin(source, **settings)
    raise ConfigurationError(f"a {type(source).__name__} is no database; {FORMS}")


def origin_at(url: str, settings: dict[str, Any]) -> Origin:
    """The origin that a URL means; messages do not repeat it, since it may hold a password."""
    scheme, found, rest = url.partition("://")
    if not found:
        raise ConfigurationError(f"the URL of a database has no '://'; {FORMS}")
    if scheme == "sqlite":
        from forecache.serve.origins.sqlite import SqliteOrigin

        return SqliteOrigin(rest.removeprefix("/"), **settings)
    if scheme in {"postgresql", "postgres"}:
        from forecache.serve.origins.postgresql import PostgresqlOrigin

        return PostgresqlOrigin(url, **settings)
    return behind_engine(url, scheme, settings)


def behind_engine(url: str, scheme: str, settings: dict[str, Any]) -> Origin:
    """A database that SQLAlchemy knows."""
    from forecache.serve.origins.alchemy import AlchemyOrigin

    with extra("sqlalchemy"):
        from sqlalchemy import create_engine, exc, make_url
        from sqlalchemy.ext.asyncio import create_async_engine
    pool = pool_of(**settings)
    try:
        parsed = make_url(url)
        create: Callable[..., Any] = create_async_engine if parsed.get_dialect().is_async else create_engine
        return AlchemyOrigin(create(parsed, **pool))
    except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"SQLAlchemy knows no database {scheme!r} ({type(error).__name__}); install its driver, or check the URL"
        ) from None


def pool_of(connections: int = CONNECTIONS, timeout: Duration = TIMEOUT) -> dict[str, Any]:
    """Our settings as those of a pool of SQLAlchemy."""
    check_whole("connections", connections, 1, MOST_CONNECTIONS)
    seconds = timeout_seconds(timeout)
    return {"pool_size": connections, "max_overflow": 0, "pool_timeout": seconds, "pool_pre_ping": True}


def ready(origin: Origin, settings: dict[str, Any]) -> Origin:
    """An origin that was made before.

    Raises:
        ConfigurationError: settings come too late.
    """
    if settings:
        raise ConfigurationError(f"{', '.join(settings)}: settings of an origin are given where it is made")
    return origin
