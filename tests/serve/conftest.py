"""A site to serve from, and a pair of databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.serve.sites import Site, drop_slots
from tests.serve.standby import Pair
from tests.servers import PostgreSQL


@pytest.fixture
def site(postgresql: PostgreSQL) -> Iterator[Site]:
    url = postgresql.database()
    with ExitStack() as stack:
        yield Site(stack, url)
    drop_slots(postgresql, url)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack)
