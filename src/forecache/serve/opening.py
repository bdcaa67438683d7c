"""What `open` is given, as what a database is made of."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from forecache.coherence.watch import Ageing, Holder, Unlogged, Watch
from forecache.errors import ConfigurationError
from forecache.serve.origin import Origin, Table
from forecache.serve.origins import open_origin
from forecache.serve.settings import check_whole
from forecache.serve.shell import run
from forecache.serve.tier import Tier
from forecache.units import Duration

if TYPE_CHECKING:
    from forecache.coherence.level import Level
    from forecache.serve.audit import Audit
    from forecache.serve.copies import Copies
    from forecache.serve.counts import Counts
    from forecache.serve.plan import ReadPath
    from forecache.serve.shared import Shared
    from forecache.serve.tiers.valkey import ValkeyTier
    from forecache.serve.warm import Warmth

__all__ = ["audit_of", "origin_of", "shared_over", "tables_of", "tier_of", "warmth_of", "watch_of"]

PROOF_SECONDS: Final = 1.0  # until proofs come, if there is a sequencer; its first word drops all copies


def origin_of(source: Any, timeout: Duration, connections: int | None) -> Origin:
    """The database of record."""
    settings: dict[str, Any] = {"timeout": timeout}
    if connections is not None:
        settings["connections"] = connections
    if isinstance(source, os.PathLike) or (isinstance(source, str) and "://" not in source):
        source = f"sqlite:///{os.fspath(source)}"
    if not isinstance(source, str):
        return open_origin(source)
    if source.startswith("sqlite:"):
        from forecache.coherence.sqlite.changelog import STAMP

        settings["stamp"] = STAMP
    return open_origin(source, **settings)


def watch_of(
    origin: Origin, tables: Iterable[Table], holder: Holder, unlogged: Unlogged, tier: Tier | None = None
) -> Watch:
    """How changes of a database are learned, if they can be: of PostgreSQL by what a sequencer tells the shared tier.

    Raises:
        ConfigurationError: `unlogged` is none of its values.
    """
    if unlogged not in {"flush", "ignore"}:
        raise ConfigurationError(f"unlogged is {unlogged!r}; expected 'flush' or 'ignore'")
    path, tables = getattr(origin, "path", None), list(tables)
    if path is not None:
        from forecache.coherence.sqlite.watch import SqliteWatch

        return SqliteWatch(path, {table.name: table.key for table in tables}, holder, unlogged)
    if tier is not None and hasattr(tier, "routes") and can_be_followed(origin, tables):
        from forecache.serve.beacon_watch import BeaconWatch

        return BeaconWatch(cast("ValkeyTier", tier), [table.name for table in tables], holder)
    return Ageing(("eventual", "bounded", "session", "strong", "snapshot"), "")


def can_be_followed(origin: Origin, tables: Iterable[Table]) -> bool:
    """Whether a sequencer calls all rows as they are called here; drivers differ in the values of some keys."""
    is_postgresql = origin.name.startswith(("postgresql:", "postgresql+"))
    return is_postgresql and all(getattr(table.details, "has_plain_key", True) for table in tables)


def tier_of(shared: str | Iterable[str] | Tier | None) -> Tier | None:
    """The shared tier."""
    if shared is None or hasattr(shared, "invalidate"):
        return cast("Tier | None", shared)
    from forecache.serve.tiers.valkey import ValkeyTier

    return ValkeyTier.connect(shared)


def audit_of(
    path: ReadPath, origin: Origin, copies: Copies, counts: Counts, sampled: Callable[[], list[tuple[str, Any]]]
) -> Audit | None:
    """What compares copies with the database, where something vouches for them."""
    from forecache.serve.audit import Audit, Witness
    from forecache.serve.beacon_watch import BeaconWatch

    if not isinstance(path.watch, BeaconWatch) or not isinstance(origin, Witness):
        return None
    audit = Audit(origin, path.watch, copies, counts=counts, tables=path.tables, sampled=sampled)
    audit.start()
    return audit


def shared_over(tier: Tier, ttl: float, counts: Counts, watch: Watch) -> Shared:
    """The shared tier as the read path uses it."""
    from forecache.serve.beacon_watch import BeaconWatch
    from forecache.serve.shared import Shared

    return Shared(tier, ttl, counts, watch if isinstance(watch, BeaconWatch) else None)


def warmth_of(
    warm: str | os.PathLike[str] | None, rate: int, copies: Copies, path: ReadPath, level: Level
) -> Warmth | None:
    """What begins with the hottest keys of the process before, and leaves its own.

    Raises:
        ConfigurationError: it is no path of a file, or the rate is no whole number above 0.
    """
    check_whole("warm_rate", rate, 1, 1_000_000)
    if warm is None:
        return None
    file = Path(warm) if isinstance(warm, (str, os.PathLike)) else None
    if file is None or file.is_dir() or not file.absolute().parent.is_dir():
        raise ConfigurationError(f"warm is {warm!r}; expected the path of a file, in a directory that is there")
    from forecache.serve.warm import Pace, Warmth

    watch = path.watch
    pace = Pace(
        rate,
        lambda: math.inf if watch.tells or watch.proven_at() > -math.inf else level.seconds,
        0.0 if watch.proof is None else PROOF_SECONDS,
    )
    return Warmth(file, pace, copies, path.tables, lambda name, keys: run(path.warm(name, keys, level)))


def tables_of(tables: Iterable[str] | Mapping[str, type]) -> dict[str, type]:
    """What rows are, by the names of their tables.

    Raises:
        ConfigurationError: there is none, or a single str was given.
    """
    if isinstance(tables, str):
        raise ConfigurationError(f"tables is the str {tables!r}; expected several names, as in [{tables!r}]")
    found = dict(tables) if isinstance(tables, Mapping) else dict.fromkeys(tables, dict)
    if not found:
        raise ConfigurationError("tables is empty; expected the names of those to cache, as in ['product']")
    return found
