"""`forecache sequencer`: tells a shared tier what a database commits."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated

import typer

from forecache.errors import ConfigurationError

if TYPE_CHECKING:
    from forecache.coherence.changes import ChangeSource
    from forecache.serve.sequencing import Sequencing

__all__ = ["attach"]

REPORT_SECONDS = 10.0
LEAST_PAUSE, MOST_PAUSE = 0.001, 60.0  # seconds between beacons
SILENCE = "400ms"
ENDINGS = (signal.SIGTERM, signal.SIGINT)


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(short_help="Tell a shared tier what a PostgreSQL database commits.")(sequencer)


def sequencer(
    *,
    origin: Annotated[str, typer.Option(metavar="URL", help="The database: postgresql://user@host/database.")],
    shared: Annotated[list[str], typer.Option(metavar="URL", help="The shared tier: valkey://host; may be repeated.")],
    table: Annotated[list[str], typer.Option(metavar="NAME", help="A table that is cached; may be repeated.")],
    namespace: Annotated[str, typer.Option(help="Of the keys in the shared tier.")] = "forecache",
    beacon: Annotated[str, typer.Option(metavar="DURATION", help="Between two proofs of freshness.")] = "20ms",
    slot: Annotated[str | None, typer.Option(help="Replication slot; by default named after the database.")] = None,
    without_slot: Annotated[
        bool, typer.Option("--without-slot", help="Changes are noted by triggers, where the log cannot be read.")
    ] = False,
    synchronous: Annotated[
        bool,
        typer.Option("--synchronous", help="Commits wait until no process answers with what was there before."),
    ] = False,
    silence: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="After which another takes over, if synchronous; by default 400ms."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but what goes wrong.")] = False,
) -> None:
    """Tell a shared tier what a PostgreSQL database commits, so that every copy can prove its age.

    Start several: one leads, and another takes over when it dies. It ends by SIGTERM or Ctrl-C. With --synchronous,
    which all of them need then, commits wait as soon as forecache doctor --synchronous on says so.
    """
    from forecache.coherence.beacons.marks import TERM_SECONDS
    from forecache.coherence.postgresql.log_source import LogSource
    from forecache.coherence.postgresql.notes_source import NotesSource
    from forecache.coherence.postgresql.synchronous import STANDBY
    from forecache.serve.origins.postgresql import PostgresqlOrigin
    from forecache.serve.sequencing import Sequencing
    from forecache.serve.tiers.valkey import ValkeyTier
    from forecache.units import parse_duration

    pause = parse_duration(beacon)
    if not LEAST_PAUSE <= pause <= MOST_PAUSE:
        raise ConfigurationError(f"--beacon is {beacon!r}; expected {LEAST_PAUSE:g} s to {MOST_PAUSE:g} s, as '20ms'")
    if silence is not None and not synchronous:
        raise ConfigurationError("--silence is for --synchronous; leave it out, or let commits wait")
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr)
    database = PostgresqlOrigin(origin)
    tables = {name: database.table(name).key for name in table}
    database.close()
    tier = ValkeyTier.connect(shared, namespace=namespace)
    if without_slot and synchronous:
        raise ConfigurationError("commits wait for whoever reads the log; leave --without-slot or --synchronous out")
    source: ChangeSource
    if without_slot:
        source = NotesSource(origin, tables)
    elif synchronous:
        source = LogSource(origin, tables, slot=slot, standby=STANDBY, silence=silence or SILENCE)
    else:
        source = LogSource(origin, tables, slot=slot)
    term = TERM_SECONDS if synchronous else 0.0
    running = Sequencing(source, tier, beacon_seconds=pause, term=term)
    stop = threading.Event()
    if not quiet:
        threading.Thread(target=report, args=(running, stop), daemon=True).start()
    until_told(running.run, stop)
    tier.close()


def until_told(run: Callable[[threading.Event], object], stop: threading.Event) -> None:
    """Runs until it ends, or the process is told to end, after which it stops; raises what that raised.

    It runs in a thread of its own, and signals are put into a queue: a handler that sets an event would wait for ever
    for the lock of that event, if it interrupted who holds it.
    """
    told = SimpleQueue[object]()
    before = {number: signal.signal(number, lambda *_: told.put(None)) for number in ENDINGS}
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="forecache-sequencer") as pool:
            ended = pool.submit(run, stop)
            ended.add_done_callback(told.put)
            told.get()
            stop.set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ended.result()


def report(running: Sequencing, stop: threading.Event) -> None:
    """Says now and then how it goes."""
    while not stop.wait(REPORT_SECONDS):
        stats = running.stats()
        if stats.leads:
            done = f"{stats.commits:,} commits, {stats.changes:,} changes, {stats.epochs} epochs"
            sys.stderr.write(f"{done}, backlog {stats.backlog}\n")
