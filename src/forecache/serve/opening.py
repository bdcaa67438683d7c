"""What `open` is given, as what a database is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, cast

from forecache.coherence.changelog import STAMP
from forecache.coherence.sqlite import SqliteWatch, Unlogged
from forecache.coherence.watch import Ageing, Holder, Watch
from forecache.errors import ConfigurationError
from forecache.serve.origin import Origin, Table
from forecache.serve.origins import open_origin
from forecache.serve.tier import Tier
from forecache.units import Duration

__all__ = ["origin_of", "tier_of", "watch_of"]


def origin_of(source: str | os.PathLike[str] | Origin, timeout: Duration, connections: int | None) -> Origin:
    """The database of record."""
    settings: dict[str, Any] = {"timeout": timeout}
    if connections is not None:
        settings["connections"] = connections
    if isinstance(source, os.PathLike) or (isinstance(source, str) and "://" not in source):
        source = f"sqlite:///{os.fspath(source)}"
    if not isinstance(source, str):
        return source
    if source.startswith("sqlite:"):
        settings["stamp"] = STAMP
    return open_origin(source, **settings)


def watch_of(origin: Origin, tables: Iterable[Table], holder: Holder, unlogged: Unlogged) -> Watch:
    """How changes of a database are learned, if they can be.

    Raises:
        ConfigurationError: `unlogged` is none of its values.
    """
    if unlogged not in {"flush", "ignore"}:
        raise ConfigurationError(f"unlogged is {unlogged!r}; expected 'flush' or 'ignore'")
    path = getattr(origin, "path", None)
    if path is not None:
        return SqliteWatch(path, {table.name: table.key for table in tables}, holder, unlogged)
    return Ageing(("eventual", "bounded", "session", "strong"), "")


def tier_of(shared: str | Iterable[str] | Tier | None) -> Tier | None:
    """The shared tier."""
    if shared is None or hasattr(shared, "invalidate"):
        return cast("Tier | None", shared)
    from forecache.serve.tiers.valkey import ValkeyTier

    return ValkeyTier.connect(shared)
