"""What all tests share: where real traces are, and real servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.certificates import certificate
from tests.servers import postgresql, valkey

__all__ = ["certificate", "postgresql", "real_traces", "valkey"]

REPOSITORY = Path(__file__).parents[1]

settings.register_profile("patient", deadline=None)  # a machine with other work is slow now and then
settings.load_profile("patient")


@pytest.fixture(scope="session")
def real_traces() -> Path:
    """Directory of real traces, with the README that tabulates them."""
    directory = Path(os.environ.get("FORECACHE_TRACES") or REPOSITORY.parent / "shared" / "traces")
    if not (directory / "README.md").is_file():
        pytest.skip(f"no real traces in {directory}; set FORECACHE_TRACES to their directory")
    return directory


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores interrupts, and so would its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
