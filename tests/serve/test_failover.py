"""The database fails over, or is slow: errors in time, no row older than its certificate, and all heals by itself."""

from __future__ import annotations

import psycopg
import pytest

import forecache
from forecache import Database
from forecache.errors import OriginError, OriginUnavailableError
from tests.contracts.tiers import until
from tests.proxy import Proxy
from tests.serve.standby import Standby
from tests.servers import PostgreSQL

TABLE = "CREATE TABLE product (id INT PRIMARY KEY, n INT)"


def strongly(shop: Database, key: int) -> object:
    """The row now; None while nobody can tell."""
    try:
        return shop["product"].get(key, level="strong")
    except OriginUnavailableError:
        return None


def test_after_a_failover_all_that_was_acknowledged_is_there_and_writes_go_on() -> None:
    with PostgreSQL() as primary:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute(TABLE)
        with Standby(primary) as standby:
            with psycopg.connect(primary.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
                connection.execute("SELECT pg_reload_conf()")
                asked = "SELECT sync_state FROM pg_stat_replication"
                until(lambda: connection.execute(asked).fetchone() == ("sync",))
            hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write&connect_timeout=2"
            with forecache.open(url, ["product"], timeout="2s") as shop:
                for n in range(20):
                    shop["product"].put({"id": n, "n": n})
                assert shop["product"].get(7, level="bounded(1h)") == {"id": 7, "n": 7}
                primary.kill()
                with pytest.raises(OriginError):
                    shop["product"].update(7, {"n": 0})
                assert shop["product"].get(7, level="bounded(1h)") == {"id": 7, "n": 7}, (
                    "the copy is still good for that"
                )
                standby.promote()
                assert until(lambda: strongly(shop, 7)) == {"id": 7, "n": 7}
                assert shop["product"].update(7, {"n": 8})
                found = shop["product"].get_many(range(20), level="strong")
                assert found == {n: {"id": n, "n": 8 if n == 7 else n} for n in range(20)}


def test_a_database_that_is_slow_costs_each_request_one_timeout_at_most_and_soon_none(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute("INSERT INTO product VALUES (1, 1), (2, 2)")
    with Proxy(postgresql.port) as proxy:
        near = url.replace(str(postgresql.port), str(proxy.port)) + "?sslmode=disable&gssencmode=disable"
        with forecache.open(near, ["product"], timeout="300ms") as shop:
            assert until(lambda: strongly(shop, 1)) == {"id": 1, "n": 1}
            proxy.delay = 60.0
            messages = []
            for _ in range(6):
                with pytest.raises(OriginUnavailableError) as caught:
                    shop["product"].get(1, level="strong")
                messages.append(str(caught.value))
            assert "left alone" in messages[-1], messages
            assert shop["product"].get(1, level="eventual") == {"id": 1, "n": 1}
            proxy.delay = 0.0
            proxy.reset()
            assert until(lambda: strongly(shop, 2)) == {"id": 2, "n": 2}
