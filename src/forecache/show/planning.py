"""The command that says what to change first; `attach` adds it to the others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forecache.show.options import (
    CoreMonth,
    CostPerHit,
    CostPerMiss,
    EntrySize,
    Format,
    Html,
    Json,
    Plot,
    Price,
    RequestsPerSecond,
    Seed,
    listed,
)
from forecache.show.output import print_json, print_tables
from forecache.show.studies import prepare_pictures

if TYPE_CHECKING:
    from forecache.record.trace import Trace

__all__ = ["attach"]

TRIED: Final = "lru,tinylfu,learned"  # policies
MOST_PROCESSES: Final = 10_000  # each of which has a store in the simulation


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(short_help="What to change first in a cache or a fleet of them.")(plan)


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace, a log, or a divided history.")],
    *,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Of the cache in each process today, as '64MiB'.")],
    cost_per_miss: CostPerMiss,
    price: Price,
    cost_per_hit: CostPerHit = "0.1ms",
    core_month: CoreMonth = 40.0,
    processes: Annotated[int, typer.Option(min=1, max=MOST_PROCESSES, help="That serve today.")] = 1,
    sharing: Annotated[
        int | None, typer.Option(min=1, help="Processes that the reads of one key go to; by default all.")
    ] = None,
    shared: Annotated[str, typer.Option(metavar="SIZE", help="Of the shared tier today; 0 for none.")] = "0",
    bound: Annotated[
        str | None, typer.Option(metavar="TIME", help="Age at which a copy may no longer be served, as '30s'.")
    ] = None,
    invalidation: Annotated[bool, typer.Option(help="Whether a write removes all copies at once.")] = True,
    writes: Annotated[
        float | None, typer.Option(help="Share of the accesses that are writes, where the trace holds none.")
    ] = None,
    entry_size: EntrySize = None,
    requests_per_second: RequestsPerSecond = None,
    policy: Annotated[str, typer.Option(help="Of the processes' caches today.")] = "learned",
    policies: Annotated[str, typer.Option(metavar="NAMES", help="To try in its place.")] = TRIED,
    plot: Plot = None,
    html: Html = None,
    as_json: Json = False,
    format: Format = None,
    seed: Seed = 0,
) -> None:
    """What to change first: memory, policy, a shared tier, the number of processes, or the bound on staleness.

    Every change is simulated on the same sample of the accesses, with real stores in each process and in the shared
    tier. Sets are writes; the first quarter of the accesses only fills the caches.
    """
    from forecache.show.plans import Compared, draw_plans, plans_table, write_plans
    from forecache.show.sources import Source
    from forecache.study.models.fleet import Fleet
    from forecache.study.planning import Plan, Scene, compare, with_writes
    from forecache.study.prices import Prices, parse_cost, parse_price
    from forecache.units import parse_duration, parse_size

    prepare_pictures(plot, html)
    source = Source.open(file, format)
    trace = required(source.trace, file)
    trace = trace if writes is None else with_writes(trace, writes, seed=seed)
    entry = entry_bytes(entry_size or source.mean_entry())
    fleet = Fleet(
        processes=processes,
        capacity=int(parse_size(memory) / entry),
        shared=int(parse_size(shared) / entry),
        sharing=sharing,
        bound=math.inf if bound is None else parse_duration(bound),
        invalidates=invalidation,
    )
    miss, hit = (parse_cost(cost, core_month=core_month) for cost in (cost_per_miss, cost_per_hit))
    scene = Scene.of(
        trace,
        fleet.capacity // 2,
        prices=Prices(miss, hit, parse_price(price)),
        entry_bytes=entry,
        requests_per_second=requests_per_second,
        seed=seed,
    )
    outlooks, said = compare(scene, Plan("today", fleet, policy), listed(policies))
    found = Compared(source.name, tuple(outlooks), scene.share, said)
    if plot is not None:
        draw_plans(found, plot)
    if html is not None:
        write_plans(found, html)
    if as_json:
        print_json({"trace": source.name, "advice": said, "plans": [outlook.to_dict() for outlook in outlooks]})
        return
    print_tables(plans_table(found))
    typer.echo(f"\n{said}")


def required(trace: Trace | None, file: Path) -> Trace:
    """The accesses, which saved curves do not have.

    Raises:
        ConfigurationError: there are none.
    """
    from forecache.errors import ConfigurationError

    if trace is None:
        raise ConfigurationError(f"{file} holds curves; expected accesses: a trace, a log, or a divided history")
    return trace


def entry_bytes(size: str | None) -> int:
    """Bytes of an entry.

    Raises:
        CapacityError: nobody knows.
    """
    from forecache.errors import CapacityError
    from forecache.units import parse_size

    if size is None or parse_size(size) == 0:
        raise CapacityError("the trace has no sizes; give --entry-size above 0, such as '2KiB'")
    return parse_size(size)
