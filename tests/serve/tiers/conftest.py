"""Tiers by threads and by tasks, a server to break, and a network to break before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proxy import Proxy
from tests.serve.tiers.asking import Tiers
from tests.servers import Valkey


@pytest.fixture(params=[False, True], ids=["threads", "tasks"])
def connect(request: pytest.FixtureRequest) -> Iterator[Tiers]:
    tiers = Tiers(request.param)
    yield tiers
    for tier in tiers.made:
        tier.close()


@pytest.fixture
def server() -> Iterator[Valkey]:
    """One of its own for each test."""
    with Valkey() as started:
        yield started


@pytest.fixture
def proxy(server: Valkey) -> Iterator[Proxy]:
    with Proxy(server.port) as between:
        yield between
