"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from forecache.record.trace import Trace
from forecache.show import cli
from forecache.study.simulate import known_policies, simulate
from forecache.units import Capacity

POLICIES = ", ".join(known_policies())


@dataclass
class Ended:
    code: int
    out: str
    err: str


class Shell:
    """Runs the command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *arguments: object) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["forecache", *map(str, arguments)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        sys.stdout.flush()
        out, err = self._capfd.readouterr()
        return Ended(ended.value.code if isinstance(ended.value.code, int) else 0, out, err)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return Shell(monkeypatch, capfd)


@pytest.fixture
def sized(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    trace = Trace.from_columns(rng.zipf(1.3, 3_000) % 500, size=rng.integers(1, 2_000, 3_000), name="sized")
    trace.write(tmp_path / "sized.parquet")
    return tmp_path / "sized.parquet"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    keys = np.random.default_rng(1).zipf(1.3, 2_000) % 300
    op = np.random.default_rng(2).random(2_000) < 0.1
    Trace.from_columns(keys, op=op.astype(np.uint8), name="plain").write(tmp_path / "plain.csv")
    return tmp_path / "plain.csv"


def test_json_of_simulate_is_an_array_of_rows_and_nothing_else(run: Shell, sized: Path, plain: Path) -> None:
    specs = ["1%", "50", "100%"]
    ended = run("simulate", sized, plain, "--capacities", ",".join(specs), "--json", "--seed", 5)
    rows = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    expected = []
    for trace in (Trace.read(sized), Trace.read(plain)):
        for row in simulate(trace, known_policies(), specs, seed=5):
            capacity = Capacity.parse(row.capacity_spec).resolve(trace)
            expected.append(
                {
                    "trace": trace.name,
                    "policy": row.policy,
                    "capacity": capacity,
                    "capacity_spec": row.capacity_spec,
                    "weights": "unit",
                    "accesses": len(trace),
                    "hits": row.hits,
                    "hit_ratio": row.hits / len(trace),
                    "byte_hit_ratio": row.byte_hit_ratio,
                }
            )
    assert [list(row) for row in rows] == [[*row, "seconds"] for row in expected]
    assert [{name: row[name] for name in row if name != "seconds"} for row in rows] == expected
    assert all(row["seconds"] > 0 for row in rows)


def test_simulate_takes_sizes_policies_and_jobs(run: Shell, sized: Path) -> None:
    ended = run(
        *("simulate", sized, "--weights", "size", "--capacities", "10%, 64KiB", "--policies", "lru, min"),
        *("--jobs", 1, "--json"),
    )
    rows = json.loads(ended.out)
    trace = Trace.read(sized)
    assert [(row["policy"], row["capacity"], row["weights"]) for row in rows] == [
        (policy, capacity, "size") for capacity in (trace.unique_bytes // 10, 65_536) for policy in ("lru", "min")
    ]


def test_the_table_of_simulate_shows_every_policy_and_what_min_is(run: Shell, sized: Path, plain: Path) -> None:
    ended = run("simulate", sized, "--capacities", "10%")
    assert ended.code == 0
    assert all(f" {policy} " in ended.out for policy in known_policies())
    assert "sized: 3,000 accesses" in ended.out
    assert "Gap closed: 0 % is lru, 100 % is min." in ended.out
    assert "heuristic" not in ended.out
    by_size = run("simulate", sized, "--capacities", "10%", "--weights", "size").out
    assert "With sizes, min is a heuristic, not a bound" in by_size
    assert "heuristic" not in run("simulate", sized, "--weights", "size", "--policies", "lru,arc").out


def test_the_plot_of_simulate_is_a_png(run: Shell, sized: Path, tmp_path: Path) -> None:
    assert run("simulate", sized, "--plot", tmp_path / "new" / "curves.png").code == 0
    assert (tmp_path / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policies", "lru,best"], f"unknown policy 'best'; expected one or more of {POLICIES}"),
        (["--policies", ","], f"no policy given; expected one or more of {POLICIES}"),
        (["--capacities", ","], "no capacity given; expected one or more, such as '0.1%', '5000' or '64MiB'"),
        (["--capacities", "0"], "capacity '0' is out of range; expected more than 0, and at most 100%"),
        (["--capacities", "150%"], "capacity '150%' is out of range; expected more than 0, and at most 100%"),
        (["--capacities", "many"], "size 'many' is not understood; write it like '256MiB'"),
        (["--capacities", "64MiB"], "capacity 64MiB is in bytes while every entry weighs 1; use --weights size"),
        (["--weights", "size"], "the trace has no sizes, so entries cannot weigh their size; use --weights unit"),
        (["--format", "zip"], "plain.csv: format 'zip' is unknown; expected one of parquet, csv"),
        (["--format", "parquet"], "plain.csv: not readable as Parquet"),
        (["--plot", "/dev/null/curves.png"], "/dev/null: "),
        (["nowhere.csv"], "nowhere.csv: there is no such file; check the path"),
    ],
)
def test_what_cannot_be_simulated_is_one_line_on_stderr(
    run: Shell, plain: Path, arguments: list[str], message: str
) -> None:
    ended = run("simulate", plain, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("forecache: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate"], "Missing argument 'TRACE'"),
        (["simulate", "t.csv", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["simulate", "t.csv", "--weights", "mass"], "Invalid value for '--weights'"),
        (["simulate", "t.csv", "--seed", "-1"], "Invalid value for '--seed'"),
        (["fly"], "No such command 'fly'"),
        (["--fast"], "No such option: --fast"),
    ],
)
def test_what_is_no_command_points_to_the_help(run: Shell, arguments: list[str], message: str) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "--help' for help." in ended.err


def test_stats_of_a_trace_are_those_of_the_trace(run: Shell, sized: Path, plain: Path) -> None:
    found = json.loads(run("trace", "stats", sized, "--json").out)
    assert found == {"name": "sized", **Trace.read(sized).stats().to_dict(), "metadata": {}}
    table = run("trace", "stats", plain).out
    assert "unique keys" in table
    assert f"{Trace.read(plain).unique:,}" in table


def test_head_of_a_trace_is_its_first_accesses(run: Shell, plain: Path) -> None:
    trace = Trace.read(plain)
    rows = json.loads(run("trace", "head", plain, "--json", "-n", 40).out)
    assert [list(row.values())[:3] for row in rows] == [
        list(row)
        for row in zip(trace.time[:40].tolist(), trace.key[:40].tolist(), trace.size[:40].tolist(), strict=True)
    ]
    assert {row["op"] for row in rows} == {"get", "set"}
    assert run("trace", "head", plain, "--json", "-n", 0).out == "[]\n"
    assert len(run("trace", "head", plain, "-n", 3).out.splitlines()) >= 5


def test_convert_writes_the_same_accesses(run: Shell, sized: Path, tmp_path: Path) -> None:
    ended = run("trace", "convert", sized, tmp_path / "copy.csv.zst")
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'copy.csv.zst'}: 3,000 accesses\n")
    assert np.array_equal(Trace.read(tmp_path / "copy.csv.zst").key, Trace.read(sized).key)
    refused = run("trace", "convert", sized, tmp_path / "copy.xyz")
    assert (refused.code, refused.out) == (2, "")
    assert "no format to write has this suffix" in refused.err


def test_the_demo_ends_with_a_table_a_sentence_and_a_picture(run: Shell, tmp_path: Path) -> None:
    ended = run("demo", "--requests", 1_500, "--output", tmp_path / "out")
    assert ended.code == 0
    assert all(f"\n {policy} " in ended.out for policy in ("no cache", *known_policies()))
    assert "With room for " in ended.out
    assert "none was stale" in ended.out
    assert (tmp_path / "out" / "shop.png").read_bytes().startswith(b"\x89PNG")
    assert ended.err.splitlines()[-1].split()[2:5] == ["other", "sizes", "100%"]


def test_json_of_the_demo_is_one_object_and_nothing_else(run: Shell, plain: Path, tmp_path: Path) -> None:
    ended = run("demo", "--trace", plain, "--policies", "lru,min", "--capacity", 20, "--json", "--output", tmp_path)
    found = json.loads(ended.out)
    trace = Trace.read(plain)
    assert (found["workload"], found["requests"], found["keys"]) == ("plain", len(trace), trace.unique)
    assert (found["writes"], found["reads"]) == (int(trace.op.sum()), len(trace) - int(trace.op.sum()))
    assert (found["capacity"], found["answers_equal"]) == (20, True)
    assert [row["policy"] for row in found["rows"]] == [None, "lru", "min"]
    assert [row["gap_closed"] for row in found["rows"]] == [None, 0.0, 1.0]
    assert all(row["queries"] + row["queries_saved"] == found["reads"] for row in found["rows"])
    assert Path(found["picture"]) == tmp_path / "plain.png"
    as_reads = json.loads(run("demo", "--trace", plain, "--policies", "lru", "--sets", "access", "--json").out)
    assert (as_reads["reads"], as_reads["rows"][1]["gap_closed"]) == (len(trace), None)


def test_the_demo_says_when_it_serves_only_a_part(run: Shell, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecache.show.stream.REQUESTS", 500)
    ended = run("demo", "--trace", plain, "--policies", "lru")
    assert ended.err.startswith("plain: the first 500 of 2,000 accesses are served; --requests 2000 serves all\n")
    assert "the first" not in run("demo", "--trace", plain, "--policies", "lru", "--requests", 600).err


def test_a_stale_answer_ends_the_demo_with_1(run: Shell, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecache.show.service.Cache.delete", lambda cache, key: False, raising=False)
    ended = run("demo", "--trace", plain, "--policies", "lru", "--capacity", 50)
    assert ended.code == 1
    assert "STALE: the answers of lru differ from those of the database." in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--requests", "5"], "a shop of 5 requests and 1 products is too small; expected at least 1000 requests"),
        (["--capacity", "1MiB"], "capacity '1MiB' is in bytes; the demo counts entries: write '2%' or '500'"),
        (["--policies", "best"], "unknown policy 'best'"),
        (["--trace", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["--output", "/dev/null/out"], "/dev/null"),
    ],
)
def test_a_demo_that_cannot_be_is_one_line_on_stderr(run: Shell, arguments: list[str], message: str) -> None:
    ended = run("demo", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("forecache: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err
