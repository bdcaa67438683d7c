"""The demo, on one database with every policy, or on servers with several processes; `attach` adds it to the others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from forecache.errors import ConfigurationError
from forecache.show.options import POLICIES, Format, Json, Policies, Seed, Sets, listed
from forecache.show.output import print_json, print_tables

if TYPE_CHECKING:
    from forecache.record.trace import Trace

__all__ = ["attach"]

ON_SERVERS: Final = 40_000  # requests: 20 seconds
BROKEN: Final = 1  # exit code
OF_ALL: Final = {"what", "seed", "as_json"}  # options
OF: Final = {
    "demo": OF_ALL | {"trace", "policies", "capacity", "requests", "sets", "output", "format"},
    "demo --origin": OF_ALL
    | {"origin", "shared", "requests", "capacity", "processes", "rate", "level", "stale_on_error", "outage"},
    "demo coherence": OF_ALL | {"seconds"},
}

Origin = Annotated[
    Literal["sqlite", "postgresql"] | None,
    typer.Option(help="Serve with several processes from this database, started for the demo."),
]
Shared = Annotated[Literal["valkey"] | None, typer.Option(help="A tier that the processes share, started as well.")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="With --origin: how many.")]
Rate = Annotated[float, typer.Option(min=1, help="With --origin: requests a second, of all processes together.")]
LevelOption = Annotated[
    str | None,
    typer.Option(metavar="LEVEL", help="With --origin: what reads keep to; by default what makes use of all tiers."),
]
Stale = Annotated[
    str | None,
    typer.Option("--stale-on-error", metavar="AGE", help="With --origin: of rows served while the database is away."),
]
Outages = Annotated[
    list[str] | None,
    typer.Option(
        "--outage",
        metavar="SERVER@TIME",
        help="With --origin: kill a server, as in 'valkey@5s' or 'postgresql@5s+2s'; may be repeated.",
    ),
]


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(short_help="Serve a shop from a database, with every policy or on servers.")(demo)


def demo(
    context: typer.Context,
    what: Annotated[
        Literal["shop", "coherence"],
        typer.Argument(help="The shop, or what is proven of answers while everything is killed."),
    ] = "shop",
    *,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Serve a recorded trace, each key a product, instead of a generated shop."),
    ] = None,
    policies: Policies = None,
    capacity: Annotated[str, typer.Option(help="Entries, or a share of the keys that are requested.")] = "2%",
    requests: Annotated[
        int | None,
        typer.Option(
            help="Requests to serve; by default 100,000, or all of a shorter trace, and 40,000 with --origin."
        ),
    ] = None,
    sets: Sets = "invalidate",
    seed: Seed = 0,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the picture goes.")] = Path("demo-output"),
    format: Format = None,
    as_json: Json = False,
    origin: Origin = None,
    shared: Shared = None,
    processes: Processes = 4,
    rate: Rate = 2000,
    level: LevelOption = None,
    stale_on_error: Stale = None,
    outage: Outages = None,
    seconds: Annotated[float, typer.Option(min=8, help="With coherence: how long.")] = 30,
) -> None:
    """Serve a shop from a database with every policy, or with several processes and real servers.

    No cache, every policy, and one that knows the future serve the same requests, each on an SQLite file of its own:
    a read is answered from the cache or by a query; a write commits, and then invalidates. At the end the answers
    are compared: they must be those of the database.

    With --origin, several processes serve the requests from one database, with --shared through a tier between. Kill
    the servers meanwhile, or let --outage do it: they are started again, and at the end it is told what broke.

    With `coherence`, two processes read from PostgreSQL over Valkey, rows are written past them, and servers,
    sequencers and processes are killed; at the end the certificate of every answer is checked.
    """
    on_one, on_several, proven = OF
    check_options(context, proven if what == "coherence" else on_one if (origin or shared) is None else on_several)
    if what == "coherence":
        from forecache.show.coherence import demonstrate

        raise typer.Exit(demonstrate(seconds, seed, as_json=as_json))
    if origin is not None or shared is not None:
        on_servers(
            origin=origin or "postgresql",
            shared=shared,
            processes=processes,
            requests=ON_SERVERS if requests is None else requests,
            rate=rate,
            capacity=capacity,
            level=level,
            stale_on_error=stale_on_error,
            outages=outage or [],
            seed=seed,
            as_json=as_json,
        )
        return
    from forecache.record.trace import Trace

    recorded = None if trace is None else Trace.read(trace, format)
    on_one_database(recorded, policies, capacity, requests, output, as_json=as_json, sets=sets, seed=seed)


def check_options(context: typer.Context, kind: str) -> None:
    """Whether all options that were given are of this kind of demo.

    Raises:
        ConfigurationError: one is not, and would do nothing.
    """
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    for name in given:
        if name not in OF[kind]:
            others = " and ".join(f"forecache {other}" for other, names in OF.items() if name in names)
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{option} is for {others}, and does nothing for forecache {kind}; leave it out")


def on_servers(*, capacity: str, outages: Sequence[str], as_json: bool, **settings: Any) -> None:
    """Several processes, one database."""
    from forecache.show.fleet import Fleet, run_fleet
    from forecache.show.fleettable import Ticker, fleet_table, fleet_to_dict, verdict
    from forecache.show.outages import Outage

    fleet = Fleet.planned(capacity=capacity, outages=tuple(map(Outage.parse, outages)), **settings)
    served = run_fleet(fleet, Ticker())
    if as_json:
        print_json(fleet_to_dict(served) | {"verdict": verdict(served)})
    else:
        print_tables(fleet_table(served))
        typer.echo(f"\n{verdict(served)}")
    if not served.is_sound:
        raise typer.Exit(BROKEN)


def on_one_database(
    recorded: Trace | None,
    policies: str | None,
    capacity: str,
    requests: int | None,
    output: Path,
    *,
    as_json: bool,
    **settings: Any,
) -> None:
    """Every policy in turn."""
    from forecache.show import plots
    from forecache.show.demo import run_demo
    from forecache.show.findings import cost_of_learning, finding
    from forecache.show.progress import teller
    from forecache.show.stream import prepare

    names = listed(POLICIES if policies is None else policies)
    stream = prepare(names, capacity, trace=recorded, requests=requests, **settings)
    if requests is None and stream.recorded > len(stream.trace):
        first = f"the first {len(stream.trace):,} of {stream.recorded:,} accesses"
        sys.stderr.write(f"{stream.trace.name}: {first} are served; --requests {stream.recorded} serves all\n")
    plots.prepare(output)
    with teller(lines=True) as told:
        outcome = run_demo(stream, told)
    picture = output / f"{file_name(stream.trace.name)}.png"
    plots.draw_outcome(outcome, picture)
    if as_json:
        print_json(outcome.to_dict() | {"finding": finding(outcome), "picture": str(picture)})
    else:
        from forecache.show.tables import demo_table

        print_tables(demo_table(outcome))
        learned = [cost for run in outcome.runs if (cost := cost_of_learning(run))]
        typer.echo("\n".join(["", finding(outcome), *learned, verdict(outcome.stale), f"The picture is {picture}."]))
    if outcome.stale:
        raise typer.Exit(BROKEN)


def verdict(stale: Sequence[str]) -> str:
    """Whether the caches could be told from the database."""
    if stale:
        return f"STALE: the answers of {', '.join(stale)} differ from those of the database."
    return "Every answer of every policy was the same as without a cache: none was stale."


def file_name(name: str) -> str:
    """A name as a file may have it."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "trace"
