"""The commands that study: curves of policies over sizes, and the best size; `attach` adds them to the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from forecache.show.options import Format, Json, Seed, listed
from forecache.show.output import print_json, print_tables
from forecache.show.sources import Dask, Source, Workers, engine

__all__ = ["attach"]

Policies = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Policies, separated by commas; by default lru,tinylfu,learned,min."),
]
Sample = Annotated[
    float | None,
    typer.Option(min=0, help="Share of the keys to look at; by default all for lru, for others what makes 8,192."),
]
Capacities = Annotated[
    str | None,
    typer.Option(metavar="SIZES", help="Shares of the keys, entries or bytes, as in '1%,10%,5000'; by default 13."),
]
WeightsOption = Annotated[Literal["unit", "size"], typer.Option(help="What an entry weighs: 1, or its bytes.")]


def attach(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(short_help="Hit ratio against cache size.")(curve)
    app.command(short_help="Write a generated workload as a trace.")(workload)


def curve(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Traces, directories of logs, or divided histories.")
    ],
    *,
    policies: Policies = None,
    sample: Sample = None,
    capacities: Capacities = None,
    weights: WeightsOption = "unit",
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the curves as a PNG.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page with the curves.")] = None,
    as_json: Json = False,
    format: Format = None,
    seed: Seed = 0,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """Hit ratio against cache size, for LRU exactly or from a sample, for other policies by simulation in miniature.

    With --json a row is {trace, policy, capacity, hit_ratio, error, sample}: the error is a standard error, null if
    unknown, and sample the share of the keys that was looked at. Capacities are in entries or, with --weights size,
    in bytes.
    """
    from forecache.show.progress import teller
    from forecache.study.curves import CURVE_POLICIES
    from forecache.study.simulate import check_policies

    prepare_pictures(plot, html)
    sizes = None if capacities is None else listed(capacities)
    names = check_policies(CURVE_POLICIES if policies is None else listed(policies))
    with teller(lines=False) as told, engine(workers, dask) as run:
        found = [
            Source.open(file, format, run).curves(names, sample, told, sizes=sizes, weights=weights, seed=seed)
            for file in files
        ]
    every = [one for curves in found for one in curves]
    if plot is not None:
        from forecache.show.curves import draw_curve

        draw_curve(every, plot)
    if html is not None:
        from forecache.show.page import write_curves

        write_curves(every, html)
    if as_json:
        print_json([row for one in every for row in one.rows()])
        return
    from forecache.show.curves import curves_table

    print_tables(*(curves_table(curves) for curves in found))


def workload(
    name: Annotated[str, typer.Argument(metavar="NAME", help="shop, school or social.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to; its suffix tells the format.")],
    requests: Annotated[int, typer.Option(min=1, help="Accesses.")] = 100_000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write a generated workload as a trace: the same for the same seed.

    shop: a drifting catalogue, launches, flash sales, carts, crawlers. school: weekly units, deadlines, learners'
    state, videos in segments. social: profiles, posts that spread, timelines that are written to.
    """
    from forecache.study.workloads import generate

    made = generate(name, requests, seed=seed)
    made.trace.write(out)
    events = [{"name": event.name, "start": event.start, "stop": event.stop} for event in made.events]
    if as_json:
        print_json({"file": str(out), "requests": len(made.trace), "unique": made.trace.unique, "events": events})
        return
    typer.echo(f"{out}: {len(made.trace):,} accesses to {made.trace.unique:,} keys, {len(events)} events")


def prepare_pictures(plot: Path | None, html: Path | None) -> None:
    """Makes sure, before any long work, that what will be drawn can be drawn and has a place."""
    if plot is not None:
        from forecache.show.plots import prepare

        prepare(plot.parent)
    if html is not None:
        from forecache.show.page import prepare as prepare_page

        prepare_page(html.parent)
