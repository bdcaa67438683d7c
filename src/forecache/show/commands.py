"""The commands and their options; whatever is slow to import is imported when a command runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forecache.show import advice, demos, doctor, history, learning, planning, sequencer, studies
from forecache.show.options import POLICIES, Format, Json, Policies, Seed, Sets, listed
from forecache.show.output import print_json, print_tables

if TYPE_CHECKING:
    from forecache.record.trace import Trace
    from forecache.show.progress import Silence

__all__ = ["app"]

EXIT_CODES = (
    "Exit codes: 0 done, 1 the demo or the doctor found something broken, 2 what was asked for cannot be done, "
    "3 the trained model is worse than none, 130 interrupted."
)

app = typer.Typer(
    name="forecache",
    help="A cache for Python services that sit on a database: see what it would do for your traffic.",
    epilog=EXIT_CODES,
    rich_markup_mode=None,  # rich takes longer to import than --help may take
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
traces = typer.Typer(help="Look at recorded traces, and convert them.", no_args_is_help=True)
app.add_typer(traces, name="trace")
app.add_typer(history.app, name="history")
learning.attach(app)
demos.attach(app)
studies.attach(app)
advice.attach(app)
doctor.attach(app)
planning.attach(app)
sequencer.attach(app)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A trace.")]


def tell_version(is_asked: bool) -> None:
    """Prints the version, and exits, if it is asked for."""
    if is_asked:
        from importlib.metadata import version

        typer.echo(version("forecache"))
        raise typer.Exit


@app.callback()
def whole(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=tell_version, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Options of `forecache` itself."""


@app.command()
def simulate(
    files: Annotated[list[Path], typer.Argument(metavar="TRACE", help="Traces.")],
    *,
    policies: Policies = None,
    capacities: Annotated[
        str, typer.Option(metavar="SIZES", help="Shares of the keys, entries or bytes, as in '0.1%,5000,64MiB'.")
    ] = "0.1%,1%,10%",
    weights: Annotated[Literal["unit", "size"], typer.Option(help="What an entry weighs: 1, or its bytes.")] = "unit",
    objective: Annotated[
        Literal["objects", "bytes"], typer.Option(help="What learned makes large: hits, or their bytes.")
    ] = "objects",
    sets: Sets = "access",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Replays at once; by default as many as there are cores."),
    ] = None,
    as_json: Json = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the curves as a PNG.")] = None,
    format: Format = None,
    seed: Seed = 0,
) -> None:
    """Compare policies and sizes on recorded traces.

    With --json a row is {trace, policy, capacity, capacity_spec, weights, accesses, hits, hit_ratio, byte_hit_ratio,
    seconds}; capacity is in entries or, with --weights size, in bytes.
    """
    from dataclasses import asdict

    from forecache.record.trace import Trace
    from forecache.show.progress import teller
    from forecache.study.simulate import check_policies
    from forecache.study.simulate import simulate as replay

    names = check_policies(listed(POLICIES if policies is None else policies))
    if plot is not None:
        from forecache.show import plots

        plots.prepare(plot.parent)
    found, with_sizes = [], []
    with teller(lines=False) as told:
        for file in files:
            trace = Trace.read(file, format)
            rows = replay(
                trace,
                names,
                listed(capacities),
                weights=weights,
                objective=objective,
                sets=sets,
                jobs=jobs,
                seed=seed,
                on_progress=partial(report, told, trace.name),
            )
            found.append(rows)
            with_sizes.append(trace.has_sizes)
    if plot is not None:
        plots.draw_curves([row for rows in found for row in rows], plot)
    if as_json:
        print_json([asdict(row) for rows in found for row in rows])
        return
    from forecache.show.tables import simulation_table

    print_tables(*(simulation_table(rows, has_sizes=sizes) for rows, sizes in zip(found, with_sizes, strict=True)))


@traces.command()
def stats(file: File, format: Format = None, as_json: Json = False) -> None:
    """What a trace holds."""
    from forecache.record.trace import Trace

    trace = Trace.read(file, format)
    if as_json:
        print_json({"name": trace.name, **trace.stats().to_dict(), "metadata": dict(trace.metadata)})
        return
    from forecache.show.tables import stats_table

    print_tables(stats_table(trace))


@traces.command()
def head(
    file: File,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="How many accesses.")] = 10,
    format: Format = None,
    as_json: Json = False,
) -> None:
    """The first accesses of a trace."""
    from forecache.record.trace import Trace
    from forecache.show.tables import head_rows, head_table

    trace = Trace.read(file, format).head(count)
    if as_json:
        print_json(head_rows(trace))
    else:
        print_tables(head_table(trace))


@traces.command(short_help="Write a trace in another format.")
def convert(
    file: File,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="What to write; its suffix tells the format.")],
    format: Format = None,
) -> None:
    """Write a trace in another format, compressed if the name ends in .zst."""
    from forecache.record.trace import Trace

    trace: Trace = Trace.read(file, format)
    trace.write(target)
    typer.echo(f"{target}: {len(trace):,} accesses")


def report(told: Silence, name: str, done: int, total: int) -> None:
    """How a simulation goes."""
    told.step(name, done, total, f"{done:,} accesses")
