"""The servers of the demo, for tests.

`postgresql` and `valkey` are shared by all tests of a session: take a database or keys of your own, and leave the
server as it is. A test that kills, pauses or fills a server starts one for itself: `with Valkey() as server`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forecache.show.servers import PostgreSQL, Server, Valkey, free_port

__all__ = ["PostgreSQL", "Server", "Valkey", "free_port", "postgresql", "valkey"]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL for the session; `postgresql.database()` is the URL of a new database."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Valkey for the session, at `valkey.url`."""
    with Valkey() as server:
        yield server
