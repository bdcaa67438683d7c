"""A process that is killed without warning: what it acknowledged is there, what it held is free, and others go on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

import forecache
from forecache.serve.tier import Lease, Value
from forecache.serve.tiers.valkey import ValkeyTier
from tests.contracts.tiers import until
from tests.servers import PostgreSQL, Valkey

TABLE = "CREATE TABLE product (id INTEGER PRIMARY KEY, n INTEGER)"

WRITES = """
import sys, forecache
shop = forecache.open(sys.argv[1], ["product"])
for n in range(1_000_000):
    shop["product"].put({"id": n, "n": n})
    print(n, flush=True)
"""

HOLDS = """
import sys, time, forecache
shop = forecache.open(sys.argv[1], ["product"])
with shop.transaction() as transaction:
    transaction.update("product", 1, {"n": 99})
    print("written", flush=True)
    time.sleep(600)
"""

LEASES = """
import sys, time
from forecache.serve.tiers.valkey import ValkeyTier
tier = ValkeyTier.connect(sys.argv[1], namespace=sys.argv[2], lease="1s", timeout="10s")
print(type(tier.read("product", [b"i1"])[0]).__name__, flush=True)
time.sleep(600)
"""


@contextmanager
def child(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path, postgresql: PostgreSQL) -> str:
    if request.param == "sqlite":
        import sqlite3

        path = str(tmp_path / "shop.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"{TABLE}; INSERT INTO product VALUES (1, 1)")
        return f"sqlite:///{path}"
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(TABLE)
        other.execute("INSERT INTO product VALUES (1, 1)")
    return url


def test_nothing_that_was_acknowledged_is_lost(source: str) -> None:
    with forecache.open(source, ["product"]) as shop, child(WRITES, source) as process:
        for _ in range(200):
            acknowledged = int(line(process))
        process.kill()
        assert process.stdout
        acknowledged = max([acknowledged, *(int(rest) for rest in process.stdout.read().splitlines())])
        process.wait()
        rows = shop["product"].get_many(range(acknowledged + 1), level="strong")
        assert rows == {n: {"id": n, "n": n} for n in range(acknowledged + 1)}


def test_a_transaction_that_was_open_never_was_and_others_write(source: str) -> None:
    with forecache.open(source, ["product"], timeout="30s") as shop, child(HOLDS, source) as process:
        assert line(process) == "written"
        assert shop["product"].get(1, level="strong") == {"id": 1, "n": 1}
        process.kill()
        process.wait()
        assert shop["product"].update(1, {"n": 2})  # waits until the lock is free
        assert shop["product"].get(1, level="strong") == {"id": 1, "n": 2}


def test_a_lease_ends_with_its_time_and_another_loads(valkey: Valkey, tmp_path: Path) -> None:
    namespace = tmp_path.name
    with closing(ValkeyTier.connect(valkey.url, namespace=namespace, timeout="10s")) as tier:
        with child(LEASES, valkey.url, namespace) as process:
            assert line(process) == "Lease"
            process.kill()
            process.wait()
        lease = until(lambda: found if isinstance(found := tier.read("product", [b"i1"])[0], Lease) else None)
        from forecache.serve.tier import Fill

        assert tier.fill([Fill(lease, b"row", 60)]) == [True]
        assert isinstance(tier.read("product", [b"i1"])[0], Value)


def test_readers_wait_for_a_lease_of_the_dead_no_longer_than_they_would_for_the_living(
    valkey: Valkey, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    url, namespace = postgresql.database(), tmp_path.name
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute("INSERT INTO product VALUES (1, 1)")
    tier = ValkeyTier.connect(valkey.url, namespace=namespace, timeout="10s")
    with (
        forecache.open(url, ["product"], level="eventual", shared=tier) as shop,
        child(LEASES, valkey.url, namespace) as process,
    ):
        assert line(process) == "Lease"
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        assert shop["product"].get(1) == {"id": 1, "n": 1}
        assert shop.stats().queries == 1
