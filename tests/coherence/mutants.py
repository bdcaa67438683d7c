"""Caches that lack one defence each, to see whether the checker would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forecache import Database
from forecache._core import Copy
from forecache.coherence.level import Level
from forecache.coherence.sqlite import watch as sqlite
from forecache.serve import plan
from forecache.serve.copies import Found
from forecache.serve.tiers import layout, operations


def none(shop: Database) -> None:
    """Everything in its place."""


def lands_anyway(shop: Database) -> None:
    """What a commit overtook is kept all the same: no lease on the load."""
    copies = shop._copies

    def land(table: str, key: Any, flight: Any, found: Any) -> None:
        copies.abandon(table, key, flight)
        copies.cache.set((table, key), found.copy)
        flight.succeed(found)

    copies.land = land  # type: ignore[method-assign]


def trusts_the_header_after_the_log(shop: Database) -> None:
    """Remembers the header as it is after the log was read, and not the one before: commits between are missed."""

    def catch_up(self: Any) -> None:
        connection, signal = self._open()
        self._apply(connection)
        self._proven_at = sqlite._core.now()
        if (mark := signal.mark()) is not None:
            signal.know(mark, sqlite.PULSE_SECONDS)

    sqlite.SqliteWatch._catch_up = catch_up  # type: ignore[method-assign]


def never_looks(shop: Database) -> None:
    """Takes every copy for current."""
    shop._watch.proven_at = sqlite._core.now  # type: ignore[method-assign]


def forgets_the_last(shop: Database) -> None:
    """Loses the last change of those that were noted at once: a gap in the log."""
    tell, copies = shop._copies.forget, shop._copies
    told = [0]

    def forget(table: str, key: Any) -> None:
        told[0] += 1
        if told[0] % 50:
            tell(table, key)

    copies.forget = forget  # type: ignore[method-assign]


def dates_by_arrival(shop: Database) -> None:
    """Takes a row for as new as the moment when it came, and not the one when it was asked for."""
    path = shop._path
    ask = path._from_database

    def late(table: Any, keys: Any) -> Any:
        found = yield from ask(table, keys)
        at = plan.now()
        return {key: Found(Copy(each.copy.row, at, each.copy.stamp), each.tier, at) for key, each in found.items()}

    path._from_database = late  # type: ignore[method-assign]


def joins_what_runs(shop: Database) -> None:
    """Strong reads join a load that may have begun before them."""
    path = shop._path

    def load(table: Any, keys: Any) -> Any:
        return path._load(table, keys, Level("eventual", float("inf")), 0.0)

    path._round = load  # type: ignore[method-assign]


def keeps_what_it_wrote(shop: Database) -> None:
    """Does not end its own copies of what it wrote."""
    shop._publisher._forget = lambda changes: None  # type: ignore[method-assign]


def forgets_nothing(shop: Database) -> None:
    """Takes no notice of what the sequencer says was written."""
    shop._copies.forget = lambda table, key: None  # type: ignore[method-assign]


def fills_without_a_lease() -> None:
    """A fill does not compare what is there with its lease."""
    compared = "redis.pcall('GET', key) == ARGV[3 * i - 2]"
    operations.FILL = mutated(layout.FILL, compared, "true")  # type: ignore[misc]


def ignores_the_epoch() -> None:
    """Serves what a server has from before it was killed."""
    asked = "string.sub(written, 34) == valid and "
    layout.READ = mutated(layout.READ, asked, "")  # type: ignore[misc]


def loses_invalidations() -> None:
    """One of twenty is not sent."""
    told, places_of = [0], operations.Operations._gone_places

    def gone_places(self: Any, places: Any) -> Any:
        told[0] += 1
        return places_of(self, places) if told[0] % 20 else iter(())

    operations.Operations._gone_places = gone_places  # type: ignore[method-assign]


def mutated(script: layout.Script, old: str, new: str) -> layout.Script:
    """A script with a part replaced, known to the client."""
    assert old in script.text
    made = layout.Script(script.text.replace(old, new))
    layout.SCRIPTS[made.hash] = made
    return made


def named(*functions: Callable[..., None]) -> dict[str, Callable[..., None]]:
    """By their names."""
    return {function.__name__: function for function in functions}


OF_SQLITE = named(lands_anyway, trusts_the_header_after_the_log, never_looks, forgets_the_last)
OF_POSTGRESQL = named(dates_by_arrival, joins_what_runs, keeps_what_it_wrote)
OF_FOLLOWED = named(forgets_nothing)
OF_ALL = named(fills_without_a_lease, ignores_the_epoch, loses_invalidations)  # in writing processes too
MUTANTS: dict[str, Callable[[Database], None]] = OF_SQLITE | OF_POSTGRESQL | OF_FOLLOWED
