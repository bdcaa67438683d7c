"""`forecache history`: the logs of live caches on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecache.errors import ConfigurationError, TraceFormatError
from forecache.show.output import print_json, print_tables
from forecache.show.sources import Dask, Workers, engine

if TYPE_CHECKING:
    from rich.table import Table

    from forecache.record.clean import CleanReport

__all__ = ["app"]

SETTINGS = ("node", "sample", "policy", "capacity", "unit")  # of a live cache, as its log has them

app = typer.Typer(help="Clean the logs of live caches, and look at them.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command(short_help="Merge the logs of many nodes into one history.")
def clean(
    paths: Annotated[list[Path], typer.Argument(metavar="LOG", help="Files of logs, or directories with such.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to, and nothing else is there.")],
    lateness: Annotated[
        str, typer.Option(metavar="TIME", help="What the delivery of a row may take; later ones are left out.")
    ] = "1m",
    as_json: Json = False,
) -> None:
    """Merge the logs of many nodes into one history in order of time, each access once.

    It may be run again and again on the same directories. Files that cannot be read are left out and named.
    """
    from forecache.record.clean import clean as merge

    lacking = [path for path in paths if not path.exists()]
    if lacking:
        raise ConfigurationError(f"{lacking[0]}: there is no such file or directory; check the path")
    report = merge(paths, output, lateness=lateness)
    for path, reason in (report.unreadable or {}).items():
        sys.stderr.write(f"left out {path}: {' '.join(reason.split())}\n")
    if not report.files:
        named = ", ".join(map(str, paths))
        raise TraceFormatError(
            f"{named}: no access log that can be read; expected files that a cache with record= wrote"
        )
    show(as_json, report.to_dict(), f"{output}", rows_of(report))


@app.command(short_help="Divide a history of any length by key.")
def divide(
    source: Annotated[Path, typer.Argument(metavar="HISTORY", help="Directory of cleaned logs, or a trace.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to; a new directory.")],
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Into how many; by default one for two million rows, and at least 8."),
    ] = None,
    workers: Workers = 1,
    dask: Dask = None,
    as_json: Json = False,
) -> None:
    """Divide a history of any length by a hash of the key, into Parquet files that fit in memory one at a time.

    The commands that study take it as they take a trace, and work on one partition after the other, or on several
    at once with --workers or --dask.
    """
    from forecache.record.partitions import partition

    with engine(workers, dask) as run:
        history = partition(source, output, partitions=partitions, run=run)
    found = {"partitions": history.count, "accesses": len(history), "unique": history.unique}
    largest = max(part.accesses for part in history.parts)
    rows = [(name, f"{value:,}") for name, value in {**found, "accesses of the largest": largest}.items()]
    show(as_json, {"name": history.name, **found, "largest": largest}, f"{output}", rows)


@app.command()
def stats(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="Directory of a log or of a cleaned history, or a file.")],
    *,
    as_json: Json = False,
) -> None:
    """What a log holds, and what the live cache made of it."""
    from forecache.record.trace import Trace

    trace = Trace.read(log)
    held, live = trace.stats(), trace.metadata.get("live", {})
    about = [(name, str(trace.metadata[name])) for name in SETTINGS if name in trace.metadata]
    ratio = f"{live['hits'] / live['gets']:.2%}" if live.get("gets") else "-"
    rows = [*about, *held.rows(), ("live hit ratio", ratio)]
    show(as_json, {"name": trace.name, **held.to_dict(), "metadata": dict(trace.metadata)}, trace.name, rows)


def rows_of(report: CleanReport) -> list[tuple[str, str]]:
    """Label and value of each count."""
    counts = [(name, value) for name, value in report.to_dict().items() if isinstance(value, int)]
    counts.insert(1, ("unreadable files", len(report.unreadable or {})))
    return [(name.replace("_", " "), f"{value:,}") for name, value in counts if name != "sealed_until"]


def show(as_json: bool, found: Any, title: str, rows: list[tuple[str, str]]) -> None:
    """What was found, as JSON or as a table."""
    if as_json:
        print_json(found)
    else:
        print_tables(table_of(title, rows))


def table_of(title: str, rows: list[tuple[str, str]]) -> Table:
    """Labels and values."""
    from forecache.show.tables import new_table

    table = new_table(title, ["", ""])
    table.show_header = False
    table.columns[1].justify = "right"
    for row in rows:
        table.add_row(*row)
    return table
