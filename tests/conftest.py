"""What all tests share: where real traces are, and real servers."""

from __future__ import annotations

import os
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
