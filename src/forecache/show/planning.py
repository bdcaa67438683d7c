"""The command that says what to change first; `attach` adds it to the others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forecache.show.options import Format, Json, Seed, listed
from forecache.show.output import print_json, print_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from forecache.record.trace import Trace
    from forecache.study.planning import Outlook, Plan

__all__ = ["attach"]

TRIED: Final = "lru,tinylfu,learned"  # policies
COLUMNS: Final = ("process", "tier", "database", "reads/s", "stale", "memory", "a month", "saves")
SMALL: Final = 0.0005  # below which a share of stale reads is shown as none


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(plan)


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace, a log, or a divided history.")],
    *,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Of the cache in each process today, as '64MiB'.")],
    cost_per_miss: Annotated[
        str, typer.Option(metavar="COST", help="Money, or how long a core of the database is busy, as in '2ms'.")
    ],
    price: Annotated[str, typer.Option(metavar="PRICE", help="Of memory: '3.5/GiB-month' or '0.01/GiB-hour'.")],
    cost_per_hit: Annotated[str, typer.Option(metavar="COST", help="As of a miss, in the shared tier.")] = "0.1ms",
    core_month: Annotated[float, typer.Option(help="Money that a core of the database costs a month.")] = 40.0,
    processes: Annotated[int, typer.Option(min=1, help="That serve today.")] = 1,
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
    entry_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of an entry; by default the mean size in the trace.")
    ] = None,
    requests_per_second: Annotated[
        float | None, typer.Option(help="Of the service; by default as the times of the trace say.")
    ] = None,
    policy: Annotated[str, typer.Option(help="Of the processes' caches today.")] = "learned",
    policies: Annotated[str, typer.Option(metavar="NAMES", help="To try in its place.")] = TRIED,
    as_json: Json = False,
    format: Format = None,
    seed: Seed = 0,
) -> None:
    """What to change first: memory, policy, a shared tier, the number of processes, or the bound on staleness.

    Every change is simulated on the same sample of the accesses, with real stores in each process and in the shared
    tier. Sets are writes; the first quarter of the accesses only fills the caches.
    """
    from forecache.show.sources import Source
    from forecache.study.models.fleet import Fleet
    from forecache.study.planning import Plan, Scene, compare, with_writes
    from forecache.study.prices import Prices, parse_cost, parse_price
    from forecache.units import parse_duration, parse_size

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
    if as_json:
        print_json({"trace": source.name, "advice": said, "plans": [outlook.to_dict() for outlook in outlooks]})
        return
    print_tables(plans_table(source.name, outlooks, scene.share))
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


def plans_table(name: str, outlooks: Sequence[Outlook], share: float) -> Table:
    """A line for each plan, today's first."""
    from forecache.show.tables import new_table

    now = outlooks[0]
    table = new_table(f"{name}: what if", ["plan"])
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    best = min(outlooks, key=lambda outlook: outlook.cost)
    for outlook in outlooks:
        style = "bold" if outlook is best else None
        table.add_row(outlook.plan.name, *cells(outlook, now), style=style, end_section=outlook is now)
    table.caption = (
        f"Shares of all reads that a process, the shared tier and the database answer, from {share:.2%} of the keys; "
        f"reads/s: the database's. A month's money is for the work of both, and for memory.\nToday: "
        f"{described(now.plan)}."
    )
    return table


def cells(outlook: Outlook, now: Outlook) -> list[str]:
    """A line of the table."""
    from forecache.show.tables import percent
    from forecache.study.sizing import money
    from forecache.units import format_size

    load = outlook.load
    return [
        percent(load.in_process, digits=1),
        percent(load.in_tier, digits=1) if outlook.plan.fleet.shared else "-",
        percent(load.database, digits=1),
        f"{outlook.database_reads:,.0f}",
        percent(load.stale, digits=1) if load.stale > SMALL else "-",
        format_size(round(outlook.memory)),
        money(outlook.cost),
        "" if outlook is now else money(now.cost - outlook.cost),
    ]


def described(plan: Plan) -> str:
    """A fleet in words."""
    from forecache.units import format_duration

    fleet = plan.fleet
    keys = "all keys" if fleet.readers == fleet.processes else f"keys shared by {fleet.readers}"
    tier = f", a shared tier of {fleet.shared:,}" if fleet.shared else ""
    fresh = "copies removed by writes" if fleet.invalidates else "copies not removed by writes"
    bound = "" if math.isinf(fleet.bound) else f", none older than {format_duration(fleet.bound)}"
    of = "process" if fleet.processes == 1 else "processes"
    return (
        f"{fleet.processes} {of} for {keys} with {fleet.capacity:,} entries each, {plan.policy}{tier}; {fresh}{bound}"
    )
