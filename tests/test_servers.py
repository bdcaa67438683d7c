"""The servers of the tests are real: they answer, survive a crash as they should, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import valkey as client

from forecache.show.servers import VARIABLE, ServerError
from tests.servers import PostgreSQL, Server, Valkey


def test_postgresql_gives_each_test_a_database_of_its_own(postgresql: PostgreSQL) -> None:
    one, other = postgresql.database(), postgresql.database()
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_valkey_answers(valkey: Valkey) -> None:
    with client.from_url(valkey.url) as connection:
        assert connection.ping()


@pytest.mark.parametrize("kind", [PostgreSQL, Valkey])
def test_a_server_comes_back_on_its_port_and_leaves_nothing(kind: type[Server]) -> None:
    with kind() as server:
        port, first = server.port, server.process
        server.kill()
        assert first
        assert first.returncode is not None
        server.start()
        assert server.port == port
    assert server.process
    assert server.process.returncode is not None
    assert not server.directory.exists()


def test_another_postgresql_is_taken_if_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binaries = PostgreSQL().binaries
    elsewhere = tmp_path / "bin"
    elsewhere.symlink_to(binaries)
    monkeypatch.setenv(VARIABLE, str(elsewhere))
    assert PostgreSQL().binaries == elsewhere
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ServerError, match="no program postgres"):
        PostgreSQL()
