"""`forecache doctor`: whether a database is set up to be followed, and what to do about it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forecache.errors import ConfigurationError
from forecache.show.options import Json
from forecache.show.output import print_json, print_tables

if TYPE_CHECKING:
    from rich.table import Table

    from forecache.coherence.postgresql.finding import Finding
    from forecache.coherence.postgresql.patient import Patient

__all__ = ["attach"]

WRONG = 1  # exit code
LONGEST = 100  # letters of a statement that are shown
COLOURS = {"ok": "", "warning": "yellow", "error": "bold red"}


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(short_help="Examine a PostgreSQL database that is to be followed.")(doctor)


def doctor(
    *,
    origin: Annotated[str, typer.Option(metavar="URL", help="The database: postgresql://user@host/database.")],
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A table that is cached; may be repeated. By default those published."),
    ] = None,
    slot: Annotated[str | None, typer.Option(help="Replication slot; by default named after the database.")] = None,
    publication: Annotated[str, typer.Option(help="Publication that has the tables.")] = "forecache",
    without_slot: Annotated[
        bool, typer.Option("--without-slot", help="Changes are noted by triggers, where the log cannot be read.")
    ] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Create and set what is missing, as far as the role may.")] = False,
    synchronous: Annotated[
        Literal["on", "off"] | None,
        typer.Option(help="Let every commit of the server wait until caches know of it, or no more."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Examine a PostgreSQL database, and say what keeps caches from following its changes.

    Exit code 1 if anything is an error. With --json a row is {what, state, found, advice, cure}.
    """
    from forecache.coherence.postgresql.examination import examine
    from forecache.coherence.postgresql.patient import Patient, treat

    if not origin.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("the doctor examines PostgreSQL; expected --origin postgresql://user@host/database")
    patient = Patient(origin, tuple(table or ()), slot, publication, with_slot=not without_slot)
    if synchronous is not None:
        switch(patient, synchronous)
    findings, refused = examine(patient), []
    if fix:
        refused = treat(patient, findings, lambda statement: sys.stderr.write(f"ran {shortened(statement)}\n"))
        findings = examine(patient)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_tables(table_of(findings))
    for said in refused:
        sys.stderr.write(f"refused: {said}\n")
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(WRONG)


def shortened(statement: str) -> str:
    """A statement in one line."""
    line = " ".join(statement.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def switch(patient: Patient, to: Literal["on", "off"]) -> None:
    """Switches synchronous mode, so that no strong answer is wrong meanwhile.

    While we hold a lock, no sample lets copies answer strongly; when a term has passed, none does any more. And only
    when all processes of the server have read the setting may they answer again.
    """
    from forecache.coherence.beacons.marks import TERM_SECONDS
    from forecache.coherence.postgresql.synchronous import RELOAD_SECONDS, STANDBY, SWITCH, switch_off, switch_on

    asking = patient.connect()
    try:
        names = asking.ask("SHOW synchronous_standby_names")[0][0]
        followers = asking.ask("SELECT count(*) FROM pg_stat_replication WHERE application_name = %s", [STANDBY])[0][0]
        statements = switch_on(names, followers) if to == "on" else switch_off(names)
        if not statements:
            return
        asking.ask("SELECT pg_advisory_lock(%s)", [SWITCH])
        time.sleep(2 * TERM_SECONDS)
        for statement in statements:
            asking.ask(statement)
        time.sleep(RELOAD_SECONDS)
    finally:
        asking.close()


def table_of(findings: Sequence[Finding]) -> Table:
    """A line for each finding."""
    from rich.markup import escape

    from forecache.show.tables import new_table

    counts = [f"{sum(finding.state == state for finding in findings)} {state}" for state in COLOURS]
    table = new_table(", ".join(counts), ["", "", "found"])
    table.columns[2].no_wrap = False
    table.add_column("what to do", overflow="fold")
    for finding in findings:
        colour = COLOURS[finding.state]
        table.add_row(*map(escape, (finding.what, finding.state, finding.found, finding.advice)), style=colour)
    return table
