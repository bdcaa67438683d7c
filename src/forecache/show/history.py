"""`forecache history`: the logs of live caches on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from forecache.record.trace import Trace
from forecache.show.output import print_json, print_tables

__all__ = ["app"]

app = typer.Typer(name="history", help="Logs of live caches: clean them, and see what they hold.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def clean(
    paths: Annotated[list[Path], typer.Argument(help="Files of access logs, or directories with such.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory for the cleaned history, and nothing else.")
    ],
    lateness: Annotated[
        str, typer.Option(help="How long the delivery of a row may take; older rows are left out.")
    ] = "1m",
    as_json: AsJson = False,
) -> None:
    """Merge the logs of many nodes into one history in order of time, each access once; again and again."""
    from forecache.record.clean import clean as cleaned

    report = cleaned(paths, output, lateness=lateness)
    if as_json:
        print_json(report.to_dict())
        return
    unreadable = report.unreadable or {}
    counts = {name: value for name, value in report.to_dict().items() if isinstance(value, int)}
    counts |= {"unreadable files": len(unreadable)}
    print_table(f"cleaned into {output}", [(name.replace("_", " "), f"{value:,}") for name, value in counts.items()])
    for path, reason in unreadable.items():
        sys.stderr.write(f"left out: {path}: {reason}\n")


@app.command()
def stats(
    path: Annotated[Path, typer.Argument(help="Directory of an access log or of a cleaned history, or a file.")],
    as_json: AsJson = False,
) -> None:
    """Show what a log holds, and what the live cache made of it."""
    trace = Trace.read(path)
    held = trace.stats()
    live = trace.metadata.get("live", {})
    if as_json:
        print_json({"name": trace.name, "metadata": dict(trace.metadata), **held.to_dict()})
        return
    ratio = f"{live['hits'] / live['gets']:.2%}" if live.get("gets") else "-"
    about = [
        (name, str(trace.metadata[name])) for name in ("node", "sample", "policy", "capacity") if name in trace.metadata
    ]
    print_table(trace.name, [*about, *held.rows(), ("hit ratio of the live cache", ratio)])


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """Labels and values."""
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    print_tables(table)
