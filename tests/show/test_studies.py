"""The commands that study: rows, tables, pictures and pages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.sizing import optimal_size
from forecache.study.workloads import generate


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forecache", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "sized.parquet"
    rng = np.random.default_rng(0)
    keys = rng.zipf(1.3, 3_000) % 500
    trace = Trace.from_columns(keys, time=np.arange(3_000) * 10, size=keys * 7 + 1, metadata={"time_unit": "ms"})
    trace.write(path)
    return path


def test_rows_of_curve_have_the_columns_of_the_contract(file: Path) -> None:
    ended = run("curve", file, "--policies", "lru,min", "--capacities", "10%,7", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    trace = Trace.read(file)
    expected = [row for name in ("lru", "min") for row in miss_ratio_curve(trace, ["10%", 7], policy=name).rows()]
    assert json.loads(ended.stdout) == expected
    assert list(expected[0]) == ["trace", "policy", "capacity", "hit_ratio", "error", "sample"]


def test_curve_draws_and_tells(file: Path, tmp_path: Path) -> None:
    png, html = tmp_path / "new" / "curve.png", tmp_path / "new" / "curve.html"
    ended = run(
        "curve", file, "--policies", "lru,fifo", "--sample", 0.5, "--weights", "size", "--plot", png, "--html", html
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "fifo" in ended.stdout
    assert "KiB" in ended.stdout
    assert png.read_bytes().startswith(b"\x89PNG")
    page = html.read_text()
    assert "cdn" not in page.split("<script")[0]
    assert "<script src" not in page
    assert "capacity in bytes" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policies", "best"], "unknown policy 'best'"),
        (["--sample", "2"], "sample is 2"),
        (["--capacities", "1MiB"], "use --weights size"),
    ],
)
def test_what_cannot_be_done_is_one_line(file: Path, options: list[str], message: str) -> None:
    ended = run("curve", file, *options)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def sized(file: Path, *options: object) -> subprocess.CompletedProcess[str]:
    prices = ("--cost-per-miss", "2ms", "--price", "3.5/GiB-month")
    return run("size", file, *prices, "--policies", "lru,min", *options)


def test_size_ends_with_one_recommendation_and_shows_why(file: Path, tmp_path: Path) -> None:
    png, html = tmp_path / "size.png", tmp_path / "size.html"
    ended = sized(
        file, "--today", "1KiB", "--target-hit-ratio", 0.5, "--most-misses", 40, "--plot", png, "--html", html
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    last = ended.stdout.rstrip().splitlines()[-1]
    assert last.startswith("Give the cache ")
    assert "today's 1KiB" in last
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "Give the cache" in html.read_text()


def test_size_as_json_is_what_optimal_size_says(file: Path) -> None:
    ended = sized(file, "--policy", "fifo", "--entry-size", "1KiB", "--requests-per-second", 50, "--json")
    found = json.loads(ended.stdout)
    curve = miss_ratio_curve(Trace.read(file), policy="fifo")
    expected = optimal_size(
        curve, cost_per_miss="2ms", price_per_gib_month=3.5, entry_bytes="1KiB", requests_per_second=50
    )
    assert found["advice"] == str(expected)
    assert [row["policy"] for row in found["policies"]] == ["fifo", "lru", "min"]
    assert {row["policy"] for row in found["curve"]} == {"fifo", "lru", "min"}


def test_size_says_what_it_had_to_suppose(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    Trace.from_columns([1, 2, 1, 3]).write(path)
    guessed = sized(path)
    assert guessed.returncode == 0
    assert "100 is a guess, on which the size depends: give --requests-per-second" in guessed.stdout
    assert "1KiB is a guess: give --entry-size" in guessed.stdout
    known = sized(path, "--requests-per-second", "5", "--entry-size", "2KiB")
    assert known.returncode == 0
    assert "guess" not in known.stdout


def test_size_of_saved_curves_is_that_of_the_trace(file: Path, tmp_path: Path) -> None:
    lru, fifo = (miss_ratio_curve(Trace.read(file), policy=name) for name in ("lru", "fifo"))
    lru.save(tmp_path / "saved.json", fifo)
    found = json.loads(sized(tmp_path / "saved.json", "--entry-size", "1KiB", "--policies", "fifo", "--json").stdout)
    expected = optimal_size(lru, cost_per_miss="2ms", price_per_gib_month=3.5, entry_bytes="1KiB")
    assert found["advice"] == str(expected)
    assert [row["policy"] for row in found["policies"]] == ["lru", "fifo"]
    ended = sized(tmp_path / "saved.json", "--entry-size", "1KiB")
    assert (ended.returncode, "no curve of 'min' was saved; there are those of lru, fifo" in ended.stderr) == (2, True)


def test_a_divided_history_is_studied_like_a_trace(file: Path, tmp_path: Path) -> None:
    divided = tmp_path / "divided"
    ended = run("history", "divide", file, "-o", divided, "--partitions", 2, "--json")
    trace = Trace.read(file)
    expected = {"partitions": 2, "accesses": len(trace), "unique": trace.unique}
    assert json.loads(ended.stdout).items() >= expected.items()
    rows = json.loads(run("curve", divided, "--policies", "lru,min", "--capacities", "50%", "--json").stdout)
    whole = [miss_ratio_curve(trace, ["50%"], policy=name).hit_ratios[0] for name in ("lru", "min")]
    assert [row["hit_ratio"] for row in rows] == pytest.approx(whole, abs=0.03)
    assert sized(divided, "--workers", 2).stdout.rstrip().splitlines()[-1].startswith("Give the cache ")
    ended = run("curve", divided, "--sample", 0.5)
    assert (ended.returncode, "leave --sample away" in ended.stderr) == (2, True)


def test_plan_ends_with_what_to_change_first(file: Path) -> None:
    options = ("--memory", "16KiB", "--processes", 4, "--cost-per-miss", "2ms", "--price", "3.5/GiB-month")
    ended = run("plan", file, *options, "--writes", 0.05, "--bound", "5s")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.rstrip().splitlines()[-1].startswith("Change first: ")
    found = json.loads(run("plan", file, *options, "--policies", "fifo", "--json").stdout)
    assert found["plans"][0].items() >= {"plan": "today", "processes": 4, "bound": None, "sharing": 4}.items()
    assert "policy fifo" in [row["plan"] for row in found["plans"]]
    assert run("plan", file, *options, "--no-invalidation").returncode == 2


def test_workload_writes_the_trace_of_its_name_and_seed(tmp_path: Path) -> None:
    file = tmp_path / "school.parquet"
    ended = run("workload", "school", "--requests", 5_000, "--seed", 4, "--out", file, "--json")
    trace, expected = Trace.read(file), generate("school", 5_000, seed=4).trace
    assert (trace.key == expected.key).all()
    assert json.loads(ended.stdout)["requests"] == 5_000
    assert run("workload", "bank", "--out", file).returncode == 2
