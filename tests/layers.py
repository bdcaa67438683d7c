"""Which layer notices which missing defence: the model, the simulation, storms, or a test of its own.

    python -m tests.layers

Prints the table of docs/model.md. What each layer notices is not written here but where that layer is tested; this
file only says which of their mutants lack the same defence.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tests.coherence.mutants import MUTANTS as OF_CACHES
from tests.coherence.mutants import OF_ALL
from tests.model.runs import RUNS
from tests.simulation.mutants import CAUGHT, CAUGHT_SYNCHRONOUS, SYNCHRONOUS
from tests.simulation.mutants import MUTANTS as OF_MACHINES
from tests.storm.mutants import CAUGHT as RAGED
from tests.storm.mutants import MUTANTS as OF_STORM

__all__ = ["DEFENCES", "Defence", "table"]

NOTICED = {*CAUGHT, *CAUGHT_SYNCHRONOUS}


@dataclass(frozen=True)
class Defence:
    """What is missing, and under which name in each layer."""

    missing: str
    model: tuple[str, ...] = ()
    simulation: str = ""
    short: str = ""  # a storm of seconds, of tests/coherence
    storm: str = ""
    test: str = ""  # one that would fail

    def noticed(self) -> list[str]:
        """What each layer says; empty where it has no such mutant."""
        shown = {switch for run in RUNS if run.expected == "counter-example" for switch in run.without}
        switches = ", ".join(f"`{switch}`" for switch in self.model if switch in shown)
        return [
            f"counter-example: {switches}" if switches else "",
            told(self.simulation, self.simulation in NOTICED),
            "noticed" if self.short else "",
            told(self.storm, bool(RAGED[self.storm]), RAGED[self.storm]) if self.storm in RAGED else "",
            f"`{self.test}`" if self.test else "",
        ]

    @property
    def is_noticed(self) -> bool:
        """By any layer."""
        return any(each and each != "not noticed" for each in self.noticed())


def told(mutant: str, is_noticed: bool, how: str = "") -> str:
    if not mutant:
        return ""
    return f"noticed{': ' if how else ''}{how}" if is_noticed else "not noticed"


DEFENCES = [
    Defence("the gate of visibility", ("NO_GATE",), "no gate", storm="no gate"),
    Defence(
        "beacons wait for what their snapshot sees",
        ("PASS_PARKED",),
        "beacons pass parked changes",
        storm="beacons pass parked changes",
    ),
    Defence("the number of a beacon before its sample", ("SAMPLE_FIRST",)),
    Defence("only beacons that began later prove", (), "same beacon", storm="same beacon"),
    Defence("leases in the shared tier", ("NO_LEASE",), "no lease", "fills_without_a_lease", "fills_without_a_lease"),
    Defence("inserts and deletes end what was absent or there", ("NO_NEGATIVE", "NO_DELETE")),
    Defence("fence of sequencers", ("NO_FENCE",), "no fence"),
    Defence("a message counts for its own sequencer only", ("NO_MSGEPOCH",)),
    Defence("epochs of shards", ("NO_EPOCH",), "no epochs", "ignores_the_epoch", "ignores_the_epoch"),
    Defence("a new epoch, or a gap, ends copies", (), "", storm="no flush"),
    Defence("tokens that never come again", ("TOK_ROLL",)),
    Defence("positions", ("NO_POSCHK",), "no positions", storm="no positions"),
    Defence("what ended meanwhile", ("NO_L1GEN",), "no generations", storm="no generations"),
    Defence("epochs of copies", ("NO_FILLEP",), "no epochs of copies", storm="no epochs of copies"),
    Defence("gaps in the log are seen", ("NO_GAP",), "no gaps", storm="no gaps"),
    Defence("proofs of one server only", ("NO_CONNBIND",), "any server", storm="any server"),
    Defence("proofs end when the log goes back", ("KEEP_FRESH",), "no end of proofs", storm="no end of proofs"),
    Defence("the whole log before a proof", (), "log unread", storm="log unread"),
    Defence("acknowledged when applied", ("ACK_EARLY",), "acknowledged early", storm="acknowledged early"),
    Defence(
        "parked changes over epochs",
        ("DROP_PARKED",),
        "parked changes are dropped",
        storm="parked changes are dropped",
    ),
    Defence("another past of the database is another epoch", ("NO_TIMELINE",)),
    Defence("proofs are dated by a clock that nobody sets", (), "", storm="wall clock"),
    Defence("invalidations end copies of a process", (), "", "forgets_nothing", "forgets_nothing"),
    Defence("invalidations reach the shared tier", (), "", "loses_invalidations", "loses_invalidations"),
    Defence("a load that was overtaken keeps nothing", (), "", "lands_anyway", "lands_anyway"),
    Defence("and leaves no copy of who saw less", storm="leaves_what_overtook_it", test="tests/serve/test_sessions.py"),
    Defence(
        "a session asks others' loads for what it saw",
        storm="sessions_join_anybody",
        test="tests/serve/test_sessions.py",
    ),
    Defence("rows are dated by their question", (), "", "dates_by_arrival", "dates_by_arrival"),
    Defence("strong reads join no load that runs", short="joins_what_runs"),
    Defence("own writes end own copies", short="keeps_what_it_wrote"),
    Defence("copies age, or are proven", short="never_looks", storm="never_looks"),
    Defence("strong: commits wait", ("ASYNC",), "nobody waits", storm="nobody waits"),
    Defence(
        "strong: no copy is made of what is held", ("NO_PEND", "NO_HELD"), "nothing is held", storm="nothing is held"
    ),
    Defence(
        "strong: readers are waited for",
        ("NO_WAITOUT", "NO_WAIT"),
        "no reader is waited for",
        storm="no reader is waited for",
    ),
    Defence("strong: grants of earlier epochs are waited for", ("NO_BEFORE",), "earlier grants are not"),
    Defence("strong: for a whole term", (), "half a term"),
    Defence("strong: what waits is marked anew in a new epoch", ("NO_REPEND",), "no marks in new epochs"),
    Defence("strong: who begins waits until all is settled that was held", ("NO_BEGUN",), "held before us"),
    Defence("strong: a successor doubts who runs when it begins", ("NO_DOUBTS", "NO_RENEW"), "no doubts"),
    Defence(
        "strong: what is held is marked before a beacon grants anything",
        ("MARK_LATE",),
        "held unmarked",
        test="tests/coherence/test_marks.py",
    ),
    Defence(
        "strong: commits wait while somebody wishes for strong answers, or was granted any",
        ("NO_WISH", "NO_VOUCHED"),
        "idle while grants last",
        test="tests/coherence/test_marks.py",
    ),
    Defence(
        "strong: what is granted is of tables that the proven request named",
        ("KNOWN_ANY",),
        "known with any table",
        test="tests/coherence/test_strong_tables.py",
    ),
    Defence(
        "strong: a commit to several tables waits if one of them is read",
        simulation="idle if one table is",
        test="tests/coherence/test_strong_tables.py",
    ),
    Defence(
        "strong: and for readers of any of them",
        simulation="readers of all its tables",
        test="tests/coherence/test_strong_tables.py",
    ),
    Defence(
        "strong: late requests take no table back",
        ("ANY_ORDER",),
        "requests in any order",
        test="tests/simulation/test_by_hand.py",
    ),
    Defence("strong: and while such grants of earlier epochs last", ("NO_BEFORE",), "idle at once"),
    Defence("strong: a beacon grants nothing if its sample did not see us waited for", ("ANY_GRANT",)),
    Defence("strong: a position is of one epoch", (), "positions of any epoch"),
    Defence(
        "strong: readers are struck only if not heard of",
        simulation="struck unheard",
        test="tests/simulation/test_by_hand.py",
    ),
    Defence("strong: what is heard is dropped, and held", simulation="heard, and not dropped"),
    Defence(
        "strong: what is heard counts if it is the next",
        simulation="heard out of turn",
        test="tests/coherence/test_strong_reader.py",
    ),
    Defence("strong: and of this epoch", simulation="heard of any epoch", test="tests/coherence/test_strong_reader.py"),
    Defence("SQLite: the header is remembered before the log is read", short="trusts_the_header_after_the_log"),
    Defence("SQLite: no change of the log is lost", short="forgets_the_last"),
]
COLUMNS = ["without", "model", "simulation", "short storms", "the storm", "a test of its own"]


def table() -> str:
    """As Markdown."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *([each.missing, *each.noticed()] for each in DEFENCES)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def unnamed() -> set[str]:
    """Mutants of layers that no defence names."""
    named = {name for each in DEFENCES for name in (*each.model, each.simulation, each.short, each.storm)}
    switches = {name for run in RUNS for name in run.without}
    return (switches | set(OF_MACHINES) | set(SYNCHRONOUS) | set(OF_CACHES) | set(OF_ALL) | set(OF_STORM)) - named


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
