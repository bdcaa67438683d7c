"""A site to serve from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from tests.serve.sites import SLOTS, Site
from tests.servers import PostgreSQL


@pytest.fixture
def site(postgresql: PostgreSQL) -> Iterator[Site]:
    url = postgresql.database()
    with ExitStack() as stack:
        yield Site(stack, url)
    with psycopg.connect(postgresql.url, autocommit=True) as admin:
        for (slot,) in admin.execute(SLOTS, [url.rpartition("/")[2]]).fetchall():
            admin.execute("SELECT pg_drop_replication_slot(%s)", [slot])
