"""The commands and their options; whatever is slow to import is imported when a command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forecache import _core
from forecache.show import advice, doctor, history, learning, planning, sequencer, studies
from forecache.show.options import Format, Json, Seed, listed
from forecache.show.output import print_json, print_tables

if TYPE_CHECKING:
    from forecache.record.trace import Trace
    from forecache.show.progress import Silence

__all__ = ["app"]

POLICIES = ", ".join((*_core.POLICIES, *_core.OFFLINE_POLICIES))
EXIT_CODES = "Exit codes: 0 done, 2 what was asked for cannot be done, 130 interrupted."

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
studies.attach(app)
advice.attach(app)
doctor.attach(app)
planning.attach(app)
sequencer.attach(app)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A trace.")]
Policies = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help=f"Some of {POLICIES}, separated by commas; by default all."),
]
Sets = Annotated[
    Literal["access", "invalidate"],
    typer.Option(help="What a set does: count and insert as a get does, or write to the database and invalidate."),
]


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


@app.command()
def demo(
    *,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Serve a recorded trace, each key a product, instead of a generated shop."),
    ] = None,
    policies: Policies = None,
    capacity: Annotated[str, typer.Option(help="Entries, or a share of the keys that are requested.")] = "2%",
    requests: Annotated[
        int | None,
        typer.Option(help="Requests to serve; by default 100,000, or all of a shorter trace."),
    ] = None,
    sets: Sets = "invalidate",
    seed: Seed = 0,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the picture goes.")] = Path("demo-output"),
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Serve a shop from a database with every policy.

    No cache, every policy, and one that knows the future serve the same requests, each on an SQLite file of its own:
    a read is answered from the cache or by a query; a write commits, and then invalidates. At the end the answers
    are compared: they must be those of the database.
    """
    from forecache.record.trace import Trace
    from forecache.show import plots
    from forecache.show.demo import run_demo
    from forecache.show.findings import cost_of_learning, finding
    from forecache.show.progress import teller
    from forecache.show.stream import prepare

    recorded = None if trace is None else Trace.read(trace, format)
    names = listed(POLICIES if policies is None else policies)
    stream = prepare(names, capacity, trace=recorded, requests=requests, sets=sets, seed=seed)
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
        raise typer.Exit(1)


def verdict(stale: Sequence[str]) -> str:
    """Whether the caches could be told from the database."""
    if stale:
        return f"STALE: the answers of {', '.join(stale)} differ from those of the database."
    return "Every answer of every policy was the same as without a cache: none was stale."


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


@traces.command()
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


def file_name(name: str) -> str:
    """A name as a file may have it."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "trace"
