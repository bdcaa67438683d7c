"""Runs of the model: bounds, what is switched off, and what has to come out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["RUNS", "Result", "Run"]

Result = Literal["holds", "counter-example"]

FAILOVER = ("FAILOVERS=1", "EPOCHS=2")
SPLIT = ("SEQUENCERS=2", "EPOCHS=2", "NO_COPIES")
PROMOTION = ("PROMOTIONS=1", "EPOCHS=2", "NO_COPIES")
ROLLBACK = ("ROLLBACKS=1", "EPOCHS=2", "COMMITS=1", "BEACONS=1", "FILLS=1")


@dataclass(frozen=True, slots=True)
class Run:
    """One search of all that may happen within bounds."""

    name: str
    model: Literal["beacon", "strong", "held"]
    bounds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()  # defences
    expected: Result = "holds"
    is_small: bool = True  # part of the test suite
    seed: int | None = None  # order of the search, where the usual one takes long to find an example

    @property
    def definitions(self) -> list[str]:
        """For the preprocessor."""
        return [f"-D{each}" for each in (*self.bounds, *self.without)]


def lacking(
    run: Run, *without: str, bounds: tuple[str, ...] = (), is_small: bool = True, seed: int | None = None
) -> Run:
    """The same without defences, which has to fail."""
    return replace(
        run,
        bounds=run.bounds + bounds,
        without=without,
        expected="counter-example",
        is_small=is_small,
        seed=seed,
    )


def large(run: Run, *bounds: str) -> Run:
    """The same within larger bounds."""
    return replace(run, bounds=run.bounds + bounds, is_small=False)


BASE = Run("base", "beacon")
TRIM = Run("trim", "beacon", ("TRIMS=1",))
FAILED_OVER = Run("failover", "beacon", FAILOVER, is_small=False)
TWO_FILLERS = Run("failover, two fillers", "beacon", (*FAILOVER, "FILLERS=2", "NO_COPIES"), is_small=False)
SPLIT_BRAIN = Run("split brain", "beacon", SPLIT)
PROMOTED = Run("promotion", "beacon", PROMOTION)
SYNCHRONOUS = Run("synchronous", "strong", ("COMMITS=1", "BEACONS=1"))
ROLLED_BACK = Run("synchronous, rollback", "strong", ROLLBACK)
HELD = Run("synchronous, held by processes", "held")

RUNS = [
    BASE,
    large(BASE, "COMMITS=2"),
    large(BASE, "COMMITS=2", "BEACONS=2"),
    lacking(BASE, "NO_GATE"),
    lacking(BASE, "PASS_PARKED"),
    lacking(BASE, "NO_LEASE"),
    lacking(BASE, "SAMPLE_FIRST"),
    lacking(BASE, "NO_L1GEN", "NO_POSCHK"),
    lacking(BASE, "NO_NEGATIVE"),
    lacking(BASE, "NO_DELETE", bounds=("COMMITS=2",)),
    replace(BASE, without=("NO_L1GEN",), is_small=False),
    replace(BASE, without=("NO_POSCHK",), is_small=False),  # see docs/model.md: each does the work of the other
    replace(TRIM, is_small=False),
    Run("trim", "beacon", ("TRIMS=2", "COMMITS=2"), is_small=False),
    lacking(TRIM, "NO_GAP"),
    FAILED_OVER,
    lacking(FAILED_OVER, "NO_EPOCH"),
    lacking(FAILED_OVER, "NO_POSCHK", is_small=False),
    lacking(FAILED_OVER, "NO_CONNBIND"),
    lacking(FAILED_OVER, "KEEP_FRESH", is_small=False),
    lacking(FAILED_OVER, "NO_FILLEP", bounds=("BEACONS=2",), is_small=False, seed=1),
    large(FAILED_OVER, "NO_COPIES"),
    large(FAILED_OVER, "BY_SERVER", "NO_COPIES"),
    TWO_FILLERS,
    lacking(TWO_FILLERS, "TOK_ROLL", is_small=False, seed=1),
    SPLIT_BRAIN,
    large(SPLIT_BRAIN, "BEACONS=2"),
    lacking(SPLIT_BRAIN, "NO_FENCE"),
    lacking(SPLIT_BRAIN, "ACK_EARLY"),
    lacking(SPLIT_BRAIN, "DROP_PARKED"),
    lacking(SPLIT_BRAIN, "NO_MSGEPOCH", bounds=("BEACONS=2",)),
    PROMOTED,
    large(PROMOTED, "BEACONS=2"),
    lacking(PROMOTED, "NO_TIMELINE"),
    SYNCHRONOUS,
    replace(SYNCHRONOUS, bounds=(), is_small=False),
    lacking(SYNCHRONOUS, "ASYNC"),
    lacking(SYNCHRONOUS, "NO_PEND"),
    lacking(SYNCHRONOUS, "NO_WAITOUT"),
    replace(ROLLED_BACK, is_small=False),
    lacking(ROLLED_BACK, "NO_REPEND", is_small=False),
    lacking(ROLLED_BACK, "KEEP_FRESH", is_small=False),
    replace(HELD, bounds=("TERM=1", "EPOCHS=2", "BEACONS=1")),
    large(HELD, "TERM=1"),
    large(replace(HELD, without=("NO_WISH",)), "TERM=1", "EPOCHS=2"),
    large(replace(HELD, without=("NO_VOUCHED",)), "TERM=1", "EPOCHS=2"),  # see docs/model.md, as above
    replace(HELD, bounds=("OTHER", "TERM=1", "EPOCHS=2", "BEACONS=1"), is_small=False),
    large(HELD, "OTHER", "TERM=1", "EPOCHS=1", "BEACONS=2"),
    lacking(HELD, "KNOWN_ANY", bounds=("OTHER",)),
    lacking(HELD, "ANY_ORDER", bounds=("OTHER",)),
    lacking(HELD, "NO_WISH", "NO_VOUCHED"),
    lacking(HELD, "NO_WAIT"),
    lacking(HELD, "NO_HELD"),
    lacking(HELD, "NO_BEGUN"),
    lacking(HELD, "MARK_LATE"),
    lacking(HELD, "ANY_GRANT"),
    lacking(HELD, "NO_BEFORE", is_small=False),
    lacking(HELD, "NO_DOUBTS", is_small=False),
    lacking(HELD, "NO_RENEW", is_small=False),
]
