"""`forecache history`: what it prints, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from forecache import Cache
from forecache.show.history import app


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    with Cache[int, int](capacity=10, policy="lru", record=tmp_path / "log") as cache:
        for key in (1, 2, 1):
            cache.get_or_load(key, int)
    return tmp_path / "log"


def test_clean_tells_what_became_of_every_row(log: Path, tmp_path: Path) -> None:
    (log / "bad.parquet").write_text("no")
    result = invoke("clean", log, "--output", tmp_path / "out", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["rows"], report["written"], report["files"]) == (0, 5, 5, 1)
    assert list(report["unreadable"]) == [str(log / "bad.parquet")]
    again = invoke("clean", log, "--output", tmp_path / "out")
    assert again.exit_code == 0
    assert "bad.parquet" in again.stderr
    assert "reopened" in again.stdout


def test_stats_show_the_trace_and_the_live_cache(log: Path) -> None:
    shown = json.loads(invoke("stats", log, "--json").stdout)
    assert (shown["requests"], shown["unique"], shown["metadata"]["live"]["hits"]) == (3, 2, 1)
    assert "33.33%" in invoke("stats", log).stdout


def test_a_failure_is_one_line_on_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forecache", "history", "stats", str(tmp_path / "absent")]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "no such file" in result.stderr
