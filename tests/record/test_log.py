"""Laws of the files of a log: whole or absent, bounded, and no business of who uses the cache."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forecache import Cache
from forecache.errors import ConfigurationError, ForecacheError
from forecache.record.log import AccessLog
from tests.record.logs import environment, rows_in


def test_a_child_begins_an_empty_log_of_its_own(tmp_path: Path) -> None:
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")
import polars as pl
from forecache import Cache
cache = Cache(capacity=10, record=sys.argv[1])
pl.DataFrame({"a": range(9)}).write_parquet(sys.argv[1] + "/.warm")  # its threads do not survive the fork
for key in range(5): cache.get(key)
if os.fork() == 0:
    for key in range(3): cache.get(key)
    sys.exit()
assert os.wait()[1] == 0
cache.get(9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60, env=environment("0"))
    rows = pl.read_parquet(sorted(tmp_path.glob("*.parquet")))
    assert sorted(rows.group_by("node").len()["len"]) == [3, 6]
    assert sorted(rows["sequence"]) == [0, 0, 1, 1, 2, 2, 3, 4, 5]


def test_an_exit_writes_what_was_recorded_and_a_kill_loses_only_what_was_not_flushed(tmp_path: Path) -> None:
    code = "import os, sys; from forecache import Cache; c = Cache(capacity=9, record=sys.argv[1]); c.get(1); {}"
    for end in ("", "c._log.flush(); c.get(2); os.kill(os.getpid(), 9)"):
        subprocess.run([sys.executable, "-c", code.format(end), str(tmp_path)], check=False, env=environment("0"))
    files = sorted(tmp_path.iterdir())
    assert [path.suffix for path in files] == [".parquet", ".parquet"]
    assert rows_in(tmp_path).height == 2


def test_the_oldest_files_go_first_and_crashed_writers_leave_nothing_for_ever(tmp_path: Path) -> None:
    stale, young = tmp_path / "access-1.parquet.part", tmp_path / "access-2.parquet.part"
    for path in (stale, young):
        path.write_bytes(b"PAR1")
    os.utime(stale, (0, 0))
    moments = iter(range(1, 100))
    log = AccessLog(tmp_path, max_bytes="10KiB", clock=lambda: float(next(moments)))
    cache = Cache[int, int](capacity=10, record=log)
    for key in range(20):
        cache.get(key)
        log.flush()
    files = sorted(tmp_path.glob("*.parquet"))
    assert sum(path.stat().st_size for path in files) <= 10 * 1024
    assert rows_in(tmp_path)["sequence"].to_list() == list(range(20 - len(files), 20))
    assert (stale.exists(), young.exists()) == (False, True)


def test_a_directory_that_cannot_be_written_costs_the_log_but_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "forecache")
    directory = tmp_path / "log"
    with Cache[int, int](capacity=10, record=directory) as cache:
        log = cache._log
        assert log is not None
        directory.rmdir()
        directory.write_text("in the way")
        for key in range(3):
            assert cache.get_or_load(key, int) == key
            log.flush()
        assert (log.stats().lost, log.stats().written) == (6, 0)
        assert log.stats().error is not None
        directory.unlink()
        cache.get(7)
    assert (log.stats().lost, log.stats().written, log.stats().error) == (6, 1, None)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_full_disk_costs_the_file_but_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cache[int, int](capacity=10, record=tmp_path) as cache:
        cache.get(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert cache._log is not None
            cache._log.flush()
            assert list(tmp_path.iterdir()) == []
            assert cache._log.stats().lost == 1
        cache.get(2)
    assert rows_in(tmp_path)["sequence"].to_list() == [1]


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_closed_records_nothing_more_and_may_be_closed_again(tmp_path: Path) -> None:
    cache = Cache[int, int](capacity=10, record=tmp_path)
    cache.get(1)
    for _ in range(2):
        cache.close()
    cache[1] = 1
    assert cache.get(1) == 1
    assert rows_in(tmp_path).height == 1


def test_a_log_that_nobody_holds_is_closed(tmp_path: Path) -> None:
    cache = Cache[int, int](capacity=10, record=tmp_path)
    cache.get(1)
    del cache
    import gc

    gc.collect()
    assert rows_in(tmp_path).height == 1


def test_a_log_records_one_cache(tmp_path: Path) -> None:
    log = AccessLog(tmp_path)
    Cache[int, int](capacity=1, record=log)
    with pytest.raises(ConfigurationError, match="another cache"):
        Cache[int, int](capacity=1, record=log)


@pytest.mark.parametrize(
    "wrong",
    [{"sample": 0}, {"sample": 1.1}, {"buffer": 1}, {"rotate": 0}, {"max_bytes": "x"}, {"flush_interval": "0s"}],
)
def test_a_setting_that_cannot_be_used_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ForecacheError):
        AccessLog(tmp_path, **wrong)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="directory"):
        AccessLog(tmp_path / "file")


def test_a_missing_package_is_named_before_the_first_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ForecacheError, match=r"forecache\[cli\]"):
        AccessLog(tmp_path)


def test_importing_the_log_imports_no_optional_package() -> None:
    code = "import sys, forecache.record.log; sys.exit(bool({'numpy', 'polars', 'zstandard'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment("0")).returncode == 0
