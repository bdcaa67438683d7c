"""`open` and `Database`: a database with copies of its rows in front of it, kept current."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from forecache.coherence.level import Level, LevelLike
from forecache.coherence.watch import Unlogged, Watch
from forecache.errors import ConfigurationError, TableError
from forecache.forks import renew_after_fork
from forecache.serve import settings
from forecache.serve.audit import Consistency
from forecache.serve.copies import Copies
from forecache.serve.counts import Counts, DatabaseStats
from forecache.serve.loader import Keep
from forecache.serve.opening import (
    audit_of,
    origin_of,
    shared_over,
    tables_of,
    tier_of,
    warmth_of,
    watch_of,
)
from forecache.serve.origin import Origin, Table
from forecache.serve.plan import ReadPath
from forecache.serve.rows import Rows
from forecache.serve.sessions import teller_of
from forecache.serve.tier import Tier, TierStats
from forecache.serve.writes import AsyncDatabaseTransaction, DatabaseTransaction, Publisher
from forecache.units import Duration, parse_duration, parse_ttl

if TYPE_CHECKING:
    from forecache.record.log import AccessLog

__all__ = ["Database", "open"]

DEFAULT_LEVEL: Final = "bounded(1s)"
DEFAULT_CAPACITY: Final = 10_000  # rows
DEFAULT_TTL: Final = "5m"


class Database:
    """Tables whose rows are kept in this process; made by `forecache.open`."""

    def __init__(
        self,
        origin: Origin,
        tables: Mapping[str, type],
        *,
        copies: Copies,
        tier: Tier | None,
        level: Level,
        ttl: float,
        stale_seconds: float | None,
        unlogged: Unlogged,
        warm: str | os.PathLike[str] | None,
        warm_rate: int,
        audit: int,
    ) -> None:
        """Reads the schemas of the tables, and begins to watch them."""
        found = {name: origin.table(name, row) for name, row in tables.items()}
        self._origin = origin
        self._copies = copies
        self._counts = Counts()
        self._watch: Watch = watch_of(origin, found.values(), copies, unlogged, tier)
        self._watch.check(level)
        self._tier = tier
        if tier is not None and self._watch.tells:
            raise ConfigurationError(
                f"shared is given, but {origin.name} is a file of this machine, and reading it is faster than asking a "
                "server; leave shared out"
            )
        shared = None if tier is None else shared_over(tier, ttl, self._counts, self._watch)
        self._path = ReadPath(
            origin, self._watch, copies, shared=shared, counts=self._counts, stale_seconds=stale_seconds
        )
        self._path.tables = {table.name: table for table in found.values()}
        self._publisher = Publisher(self._path, copies, shared, self._counts)
        self._rows = {name: self._rows_of(table, level, audit) for name, table in found.items()}
        self._audit = audit_of(self._path, origin, copies, self._counts, self._sampled) if audit else None
        self._warmth = warmth_of(warm, warm_rate, copies, self._path, level)
        renew_after_fork(self)
        if self._warmth is not None:
            self._warmth.start()

    def __getitem__(self, table: str) -> Rows:
        """The rows of a table that was declared.

        Raises:
            TableError: it was not.
        """
        rows = self._rows.get(table)
        if rows is None:
            raise TableError(f"table {table!r} was not declared; expected one of {', '.join(self._rows)}: see tables=")
        return rows

    def __iter__(self) -> Iterator[str]:
        """Names of the tables."""
        return iter(self._rows)

    def transaction(self) -> DatabaseTransaction:
        """Writes that happen together or not at all, as a `with` block.

        When the block has ended, no read at level `session` or `strong` returns what was there before; at its
        `get` a row is locked.

        Raises:
            ConfigurationError: the origin can only be read.
        """
        return DatabaseTransaction(self._origin.transaction, self._publisher, self._name_of)

    def atransaction(self) -> AsyncDatabaseTransaction:
        """`transaction`, for tasks, as an `async with` block."""
        return AsyncDatabaseTransaction(self._origin.atransaction, self._publisher, self._name_of)

    def token(self) -> str:
        """What stands for all that was committed by now, for a process that shall see it: see `after` of `Rows.get`.

        Raises:
            LevelError: the database has no such tokens; PostgreSQL has.
        """
        return str(teller_of(self._origin).token())

    async def atoken(self) -> str:
        """`token`, for tasks."""
        return str(await teller_of(self._origin).atoken())

    def stats(self) -> DatabaseStats:
        """Counts since it was opened; subtract an earlier one for those of an interval."""
        counts = self._counts.stats(sum(rows.hits for rows in self._rows.values()))
        return replace(counts, outages=self._path.outages)

    def shared_stats(self) -> TierStats | None:
        """Counts of the shared tier as this process saw it; None without one."""
        return None if self._tier is None else self._tier.stats()

    def consistency(self) -> Consistency:
        """What audits found, with 95 % confidence: copies are compared with the database; see `audit` of `open`."""
        stats = self.stats()
        return Consistency.of(stats.audits, stats.violations)

    def clear(self) -> None:
        """Drops all copies of this process."""
        self._copies.forget_all()

    def close(self) -> None:
        """Closes all connections; reading again opens new ones."""
        self._rest()
        self._origin.close()
        if self._tier is not None:
            self._tier.close()
        self._copies.cache.close()

    async def aclose(self) -> None:
        """`close`, for tasks."""
        await asyncio.to_thread(self._rest)
        await self._origin.aclose()
        if self._tier is not None:
            await self._tier.aclose()
        self._copies.cache.close()

    def _rest(self) -> None:
        """Ends what runs beside reads and writes, which may take a moment."""
        if self._warmth is not None:
            self._warmth.close()
        if self._audit is not None:
            self._audit.close()
        self._copies.forget_all()
        self._watch.close()

    def after_fork(self) -> None:
        """A child begins without copies."""
        self._copies.forget_all()
        if self._warmth is not None:
            self._path.at_first = self._warmth.start

    def __enter__(self) -> Self:
        """The database itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Closes it."""
        self.close()

    async def __aenter__(self) -> Self:
        """The database itself."""
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Closes it."""
        await self.aclose()

    def __repr__(self) -> str:
        """Its name, without a password, and its tables."""
        return f"<Database {self._origin.name}: {', '.join(self._rows)}; {len(self._copies.cache)} rows here>"

    def _sampled(self) -> list[tuple[str, Any]]:
        """Rows that hits were answered with, some of them."""
        return [row for rows in self._rows.values() for row in rows._take_sampled()]

    def _rows_of(self, table: Table, level: Level, audit: int) -> Rows:
        return Rows(
            table.name,
            self._path,
            self._copies,
            level,
            transaction=self.transaction,
            atransaction=self.atransaction,
            audit=audit,
        )

    def _name_of(self, table: str) -> str:
        return self[table].name


def open(
    source: Any,
    tables: Iterable[str] | Mapping[str, type],
    *,
    capacity: int | None = None,
    max_bytes: int | str | None = None,
    level: LevelLike = DEFAULT_LEVEL,
    shared: str | Iterable[str] | Tier | None = None,
    ttl: Duration = DEFAULT_TTL,
    stale_on_error: Duration | None = None,
    timeout: Duration = "5s",
    connections: int | None = None,
    unlogged: Unlogged = "flush",
    warm: str | os.PathLike[str] | None = None,
    warm_rate: int = 1000,
    audit: int = 10_000,
    policy: str = settings.DEFAULT_POLICY,
    model: str | os.PathLike[str] | None = None,
    seed: int = 0,
    record: AccessLog | str | os.PathLike[str] | None = None,
) -> Database:
    """Opens a database with a cache in front of it.

    Args:
        source: `sqlite:///shop.db`, `postgresql://user:password@host/shop` or another URL, the path of an SQLite file,
            an engine of SQLAlchemy, a function from a key to a row, or an origin.
        tables: names of those whose rows are kept, or what their rows are by name: dict, or a msgspec.Struct.
        capacity: most rows in this process, over all tables; 10,000 unless `max_bytes` is given.
        max_bytes: most bytes of rows in this process, as a number or as '256MiB', in place of `capacity`.
        level: what reads keep to unless they say otherwise: 'eventual', 'bounded(1s)', 'session', 'strong' or
            'snapshot'.
        shared: URL of a Valkey or Redis that processes share, or several, or a tier; for databases that are servers.
        ttl: how long a copy may stay where the database does not tell what changes, here and in the shared tier.
        stale_on_error: largest age of rows that are served while the database is unavailable; by default none is.
        timeout: how long a read or a write of the database may take.
        connections: most connections of this process to the database; by default as its origin says.
        unlogged: for SQLite, what to do after a commit that wrote none of the tables: 'flush' drops all copies, as
            such a commit might have evaded the triggers; 'ignore' trusts that it wrote other tables.
        warm: path of a file in which a process leaves its hottest keys, and with whose rows the next one begins.
        warm_rate: most rows a second that are loaded because of it.
        audit: one of so many hits is compared with the database, where a sequencer vouches for it; 0 for none.
        policy: which row leaves when another needs its room; one of `forecache.POLICIES`.
        model: path of a file that `forecache train` wrote.
        seed: of every random choice of the policy.
        record: an `AccessLog`, or the directory of one, to which every access to the copies is recorded.

    Raises:
        ConfigurationError: an argument cannot be used, or the database cannot keep the level.
        TableError: a table is not there, or has no primary key.
        OriginUnavailableError: the database cannot be reached.
        MissingExtraError: the driver of the database, or of the shared tier, is not installed.
    """
    kept = parse_ttl(ttl)
    settings.check_whole("audit", audit, 0, 1_000_000_000)
    origin = origin_of(source, timeout, connections)
    is_watched = hasattr(origin, "path")
    copies = Copies(
        None if is_watched else Keep(ttl=kept),
        capacity=DEFAULT_CAPACITY if capacity is None and max_bytes is None else capacity,
        max_bytes=max_bytes,
        policy=policy,
        model=model,
        seed=seed,
        record=record,
    )
    return Database(
        origin,
        tables_of(tables),
        copies=copies,
        tier=tier_of(shared),
        level=Level.parse(level),
        ttl=kept,
        stale_seconds=None if stale_on_error is None else parse_duration(stale_on_error),
        unlogged=unlogged,
        warm=warm,
        warm_rate=warm_rate,
        audit=audit,
    )
