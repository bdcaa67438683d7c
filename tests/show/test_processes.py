"""The command line in a process of its own: what it imports, and how it ends when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from forecache.record.trace import Trace

CHILD = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def child(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """A second interpreter."""
    program = ["-c", code] if code else ["-m", "forecache"]
    return subprocess.run(
        [sys.executable, *program, *arguments], env=CHILD, capture_output=True, text=True, check=False
    )


def test_help_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys; from forecache.show.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'polars', 'matplotlib', 'rich', 'sqlite3'} & set(sys.modules)))"
    )
    for arguments in (["--help"], ["simulate", "--help"], ["demo", "--help"], ["trace", "--help"]):
        ended = child(*arguments, code=code)
        assert ended.stdout.splitlines()[-1] == "[]", arguments
        assert "Usage: " in ended.stdout


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("typer", "cli", ["--help"]),
        ("numpy", "cli", ["trace", "stats", "t.csv"]),
        ("rich", "cli", ["simulate", "t.csv"]),
        ("matplotlib", "plot", ["demo"]),
    ],
)
def test_a_missing_package_is_one_line_with_the_command_that_installs_it(
    package: str, extra: str, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("1\n2\n")
    program = f"""
import os, sys
class Missing:
    def find_spec(self, name, *rest):
        if name == {package!r}:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Missing())
os.chdir({str(tmp_path)!r})
from forecache.show.cli import main
main()
"""
    ended = child(*arguments, code=program)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"forecache: package {package!r} is not installed; it comes with an extra: pip install 'forecache[{extra}]'\n"
    )


def test_the_module_runs_as_the_command_does(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1\n2\n")
    ended = child("trace", "head", str(tmp_path / "t.csv"), "--json", "-n", "1")
    assert (ended.returncode, len(json.loads(ended.stdout)), ended.stderr) == (0, 1, "")


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_simulation_ends_with_130(tmp_path: Path) -> None:
    Trace.from_columns(np.random.default_rng(0).integers(0, 2**40, 2_000_000)).write(tmp_path / "long.parquet")
    capacities = ",".join(f"{percent}%" for percent in range(1, 100))
    command = [sys.executable, "-m", "forecache", "simulate", "long.parquet", "--capacities", capacities]
    with subprocess.Popen(command, cwd=tmp_path, env=CHILD, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        time.sleep(3)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, b"", b"")


def test_output_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    Trace.from_columns(range(200_000)).write(tmp_path / "long.parquet")
    command = [sys.executable, "-m", "forecache", "trace", "head", "long.parquet", "-n", "200000", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=CHILD, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"[\n"
        running.stdout.close()
        assert running.stderr is not None
        assert running.stderr.read() == b""
    assert running.returncode == 1
