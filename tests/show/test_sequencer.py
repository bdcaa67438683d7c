"""How `forecache sequencer` ends."""

from __future__ import annotations

import os
import signal
from threading import Event

import pytest

from forecache.errors import ConfigurationError
from forecache.show.sequencer import until_told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.timeout(30)
def test_a_signal_ends_it_though_the_event_is_locked_by_whoever_runs(number: int) -> None:
    stopped = []

    def run(stop: Event) -> None:
        with stop._cond:  # type: ignore[attr-defined]  # as `Event.wait` does
            os.kill(os.getpid(), number)
        stopped.append(stop.wait(20))

    before = signal.getsignal(number)
    until_told(run, Event())
    assert stopped == [True]
    assert signal.getsignal(number) == before


def test_what_goes_wrong_is_raised() -> None:
    def run(_stop: Event) -> None:
        raise ConfigurationError("no such table")

    with pytest.raises(ConfigurationError, match="no such table"):
        until_told(run, Event())
