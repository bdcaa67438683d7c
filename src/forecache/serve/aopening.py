"""`aopen`: opens a database in a task, also through an origin that serves tasks only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from forecache.serve.database import Database, open
from forecache.serve.opening import origin_of, tables_of
from forecache.serve.origin import Origin, Table
from forecache.units import Duration

__all__ = ["aopen"]


class Prepared:
    """An origin whose schemas were read already; in all else it is that origin."""

    def __init__(self, origin: Origin, tables: Mapping[str, Table]) -> None:
        """With the tables as they were read."""
        self._origin = origin
        self._tables = tables

    def table(self, name: str, row: type = dict) -> Table:
        """What was read of a table."""
        return self._tables[name]

    def __getattr__(self, name: str) -> Any:
        """Whatever the origin has."""
        return getattr(self._origin, name)


async def aopen(
    source: Any,
    tables: Iterable[str] | Mapping[str, type],
    *,
    timeout: Duration = "5s",  # noqa: ASYNC109 - of the database, and not of this call
    connections: int | None = None,
    **settings: Any,
) -> Database:
    """`open`, for tasks: the schemas are read without blocking the loop, and an `AsyncEngine` may be the source.

    Args:
        source: as for `open`.
        tables: as for `open`.
        timeout: as for `open`.
        connections: as for `open`.
        settings: all others of `open`.

    Raises:
        ConfigurationError: as `open` does.
        TableError: a table is not there, or has no primary key.
        OriginUnavailableError: the database cannot be reached.
    """
    origin = origin_of(source, timeout, connections)
    wanted = tables_of(tables)
    found = {name: await origin.atable(name, row) for name, row in wanted.items()}
    return open(Prepared(origin, found), wanted, **settings)
