"""PostgreSQL over TLS with a password: certificate, name and password are checked, and the password is never told.

The server from PyPI knows no TLS: a proxy ends it before it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

import psycopg
import pytest

import forecache
from forecache.errors import OriginUnavailableError
from tests.proxy import Proxy
from tests.servers import PostgreSQL

PASSWORD = "a-s3cret-word"  # noqa: S105 - of this test
RULES = """
host all ada all scram-sha-256
host all postgres all trust
"""


@pytest.fixture(scope="module")
def port(certificate: tuple[str, str]) -> Iterator[int]:
    """Of a server that lets ada in with her password only."""
    key, made = certificate
    with PostgreSQL() as server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE ada LOGIN PASSWORD '{PASSWORD}'".encode())
            admin.execute("CREATE TABLE t (id INT PRIMARY KEY)")
            admin.execute("INSERT INTO t VALUES (1)")
            admin.execute("GRANT SELECT ON t TO ada")
        (server.data / "pg_hba.conf").write_text(RULES)
        server.stop()
        server.start()
        with Proxy(server.port, tls=(made, key)) as proxy:
            yield proxy.port


def url(port: int, authority: str, *, host: str = "localhost", password: str = PASSWORD) -> str:
    options = f"sslmode=verify-full&sslnegotiation=direct&sslrootcert={authority}&hostaddr=127.0.0.1"
    return f"postgresql://ada:{password}@{host}:{port}/postgres?{options}"


def test_certificate_name_and_password_open_the_database(
    port: int, certificate: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with forecache.open(url(port, certificate[1]), ["t"], timeout="20s") as shop:
        assert shop["t"].get(1) == {"id": 1}
        assert PASSWORD not in repr(shop)
        assert PASSWORD not in repr(shop._origin)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("authority", "changed", "reason"),
    [
        (None, {"host": "another.name"}, "does not match host name"),
        ("system", {}, "certificate verify failed"),
        (None, {"password": "an0ther-word"}, "password authentication failed"),
    ],
    ids=["another name", "unknown authority", "wrong password"],
)
def test_whatever_is_wrong_is_refused_and_no_password_told(
    port: int, certificate: tuple[str, str], authority: str | None, changed: dict[str, str], reason: str
) -> None:
    source = url(port, authority or certificate[1], **changed)
    with pytest.raises(OriginUnavailableError, match=reason) as caught:
        forecache.open(source, ["t"], timeout="20s")
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert changed.get("password", PASSWORD) not in told
