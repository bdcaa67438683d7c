"""A site to serve from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.serve.sites import Site, drop_slots
from tests.servers import PostgreSQL


@pytest.fixture
def site(postgresql: PostgreSQL) -> Iterator[Site]:
    url = postgresql.database()
    with ExitStack() as stack:
        yield Site(stack, url)
    drop_slots(postgresql, url)
