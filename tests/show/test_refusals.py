"""What the command line refuses, before anything is started or written; what it says of itself."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.show.test_cli import Shell, plain, run

__all__ = ["plain", "run"]

PRICED = ("--cost-per-miss", "2ms", "--price", "3/GiB-month", "--entry-size", "1KiB", "--requests-per-second", 5)
SEQUENCER = (
    "sequencer",
    "--origin",
    "postgresql://x@127.0.0.1:1/x",
    "--shared",
    "valkey://127.0.0.1:1",
    "--table",
    "x",
)
SIZE = ("size", "plain.csv", *PRICED)


def test_the_version_is_told(run: Shell) -> None:
    ended = run("--version")
    assert (ended.code, ended.out.strip()) == (0, version("forecache"))


@pytest.mark.parametrize("group", [(), ("trace",), ("history",)])
def test_summaries_of_commands_are_whole(run: Shell, group: tuple[str, ...]) -> None:
    ended = run(*group, "--help")
    assert "..." not in ended.out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("demo", "--outage", "valkey@5s"),
            "--outage is for forecache demo --origin, and does nothing for forecache demo;",
        ),
        (("demo", "--seconds", 10), "--seconds is for forecache demo coherence"),
        (("demo", "coherence", "--origin", "sqlite"), "--origin is for forecache demo --origin"),
        (("demo", "--origin", "sqlite", "--output", "here"), "--output is for forecache demo, "),
        (("demo", "--origin", "sqlite", "--shared", "valkey"), "leave --shared out"),
        (("demo", "--origin", "postgresql", "--stale-on-error", "soon"), "duration 'soon'"),
        (("demo", "--origin", "postgresql", "--outage", "valkey@5s"), "outage of 'valkey', but what is started is"),
        (("curve", "plain.csv", "--sample", 0), "sample is 0.0; expected a share"),
        (("curve", "plain.csv", "--dask", "nonsense"), "no Dask scheduler answers at 'nonsense'"),
        (("simulate", "plain.csv", "--policies", "lru", "--plot", "."), ".: Is a directory; name a file in it"),
        (("history", "clean", "absent", "-o", "new"), "absent: there is no such file or directory"),
        (("history", "clean", ".", "-o", "new"), "no access log that can be read"),
        (("history", "divide", "plain.csv", "-o", "new", "--partitions", 10_001), "less than or equal to 10000"),
        ((*SEQUENCER, "--beacon", 0), "--beacon is '0'; expected 0.001 s to 60 s"),
        ((*SEQUENCER, "--silence", "1s"), "--silence is for --synchronous"),
        ((*SIZE, "--target-hit-ratio", 3), "target_hit_ratio is 3.0; expected a share"),
        ((*SIZE, "--most-misses", -3), "most_misses_per_second is -3.0; expected a number"),
        (("plan", "plain.csv", *PRICED, "--memory", "1MiB", "--processes", 10_001), "less than or equal to 10000"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    run: Shell, plain: Path, arguments: tuple[object, ...], expected: str
) -> None:
    assert plain.name == "plain.csv"
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert expected in ended.err
    assert not list(Path("new").glob("*"))
    assert " is up " not in ended.err
