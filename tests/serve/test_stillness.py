"""Whether a process was stopped, or merely slow: told from what it used, and tried on processes of our own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.serve.stillness import LEAST_SECONDS, Reading, Stillness, stopped_between

SECONDS = st.floats(0.0, 10.0)
TOLD = Path("/proc/self/schedstat").is_file()
CHILD = """
import sys, time
from forecache.serve.stillness import Stillness
with Stillness() as stillness:
    print("ready", flush=True)
    sys.stdin.readline()
    print(stillness.settled(), flush=True)
"""


@given(SECONDS, SECONDS, SECONDS, st.integers(0, 2))
def test_who_wanted_a_core_or_computed_or_waited_for_a_disk_was_not_stopped(
    still: float, waited: float, computed: float, faults: int
) -> None:
    before = Reading(5.0, 1.0, 2.0, 3)
    after = Reading(5.05 + still, 1.0 + waited, 2.0 + computed, 3 + faults)
    stopped = stopped_between(before, after, 0.05)
    assert stopped in (0.0, pytest.approx(still, abs=1e-6))
    if stopped:
        assert stopped >= LEAST_SECONDS - 1e-6
        assert faults == 0
        assert waited + computed < still / 2
    elif still > LEAST_SECONDS + 1e-3 and faults == 0:
        assert waited + computed > still / 5


def test_where_the_system_does_not_tell_nobody_was_stopped() -> None:
    assert stopped_between(Reading(0.0, None), Reading(9.0, None), 0.05) == 0.0


@pytest.mark.skipif(not TOLD, reason="this system does not tell how long threads wait for a core")
def test_a_process_that_was_stopped_knows_for_how_long() -> None:
    told = [0.0]
    while told[-1] < 1.0 and len(told) < 6:  # on a busy machine it may have waited for a core as well, for long
        told.append(told_after_a_stop(1.5))
    assert 1.0 < told[-1] < 30


def told_after_a_stop(seconds: float) -> float:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        child.send_signal(signal.SIGCONT)
        return float(child.communicate("\n", 30)[0])


def test_one_that_computes_was_not_stopped() -> None:
    with Stillness() as stillness:
        until = time.thread_time() + 0.5
        while time.thread_time() < until:
            pass
        assert stillness.settled() < 0.4
