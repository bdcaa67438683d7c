"""No old value is read from a server that may have missed an invalidation, or that one could not be delivered to."""

from __future__ import annotations

import pytest
import valkey

from forecache.serve.tier import Fill, Lease, Place, Unavailable, Value
from tests.contracts.tiers import Sentinel, until
from tests.proxy import Proxy
from tests.serve.tiers.asking import HOUR, KEY, SHORT, Tiers, fill, heals, is_lease, look
from tests.servers import Valkey

AT_ONCE = {"repl-diskless-sync-delay": "0"}  # replicas need not wait for others to come


def test_a_server_that_has_its_values_back_may_have_lost_an_invalidation(connect: Tiers) -> None:
    with Valkey(appendonly="yes", appendfsync="always") as server:
        tier = connect(server.url)
        fill(tier)
        lease = look(tier, b"i3")
        server.kill()
        server.start()
        with valkey.Valkey(port=server.port) as admin:
            assert admin.keys("*:k:t:i1"), "the value is there again"
        assert until(lambda: is_lease(look(tier)))
        tier.fill([Fill(lease, b"late", HOUR)])
        assert until(lambda: is_lease(look(tier, b"i3")))


def replicate(port: int, replica: Valkey) -> None:
    with valkey.Valkey(port=replica.port) as admin:
        admin.replicaof("127.0.0.1", port)
        until(lambda: admin.info("replication")["master_link_status"] == "up")


def caught_up(primary: Valkey, replica: Valkey) -> None:
    with valkey.Valkey(port=primary.port) as one, valkey.Valkey(port=replica.port) as other:
        until(lambda: one.dbsize() == other.dbsize() and one.keys("*") == other.keys("*"))


def test_a_replica_that_missed_an_invalidation_serves_no_old_value_when_promoted(connect: Tiers) -> None:
    with Valkey(**AT_ONCE) as primary, Valkey() as replica, Proxy(primary.port) as between:
        replicate(between.port, replica)
        tier, later = connect(primary.url), connect(replica.url)
        fill(tier, b"old")
        caught_up(primary, replica)
        assert look(later) == Unavailable("ReadOnlyError"), "a replica may be late"
        between.goes_dark()
        assert tier.invalidate([Place("t", KEY)])
        primary.kill()
        with valkey.Valkey(port=replica.port) as admin:
            admin.replicaof("NO", "ONE")
            assert b"old" in admin.get(admin.keys("*:k:t:i1")[0]), "it still has the old value"
        assert until(lambda: is_lease(look(later)))


def test_sentinels_promote_a_replica(connect: Tiers) -> None:
    with Valkey(**AT_ONCE) as primary, Valkey() as replica:
        replicate(primary.port, replica)
        with Sentinel(primary) as sentinel:
            tier = connect(sentinel.url)
            fill(tier, b"old")
            caught_up(primary, replica)
            with valkey.Valkey(port=sentinel.port) as admin:
                until(lambda: admin.sentinel_slaves("main"))
            primary.kill()
            found = until(lambda: found if not isinstance(found := look(tier), Unavailable) else None)
            assert isinstance(found, Lease)
            heals(tier)


@pytest.mark.parametrize("whole_table", [False, True], ids=["places", "table"])
def test_an_invalidation_that_could_not_be_delivered_comes_before_the_next_read(
    connect: Tiers, proxy: Proxy, whole_table: bool
) -> None:
    tier = connect(proxy.url, timeout=SHORT)
    fill(tier, b"old")
    proxy.goes_dark()
    places, tables = ([], ["t"]) if whole_table else ([Place("t", KEY)], [])
    assert tier.invalidate(places, tables=tables) is False
    assert isinstance(look(tier), Unavailable)
    proxy.goes_dark(False)
    assert is_lease(until(lambda: found if not isinstance(found := look(tier), Unavailable) else None))
    assert tier.stats().postponed == 1


def test_an_invalidation_that_could_not_be_delivered_is_delivered_without_being_asked(
    connect: Tiers, server: Valkey, proxy: Proxy
) -> None:
    tier, other = connect(proxy.url, timeout=SHORT), connect(server.url)
    fill(tier, b"old")
    proxy.goes_dark()
    assert tier.invalidate([Place("t", KEY)]) is False
    assert isinstance(look(other), Value), "the contract says so"
    proxy.goes_dark(False)
    assert until(lambda: is_lease(look(other)))


def test_more_invalidations_than_are_remembered_end_their_tables(connect: Tiers, proxy: Proxy) -> None:
    tier = connect(proxy.url, timeout=SHORT)
    fill(tier, b"old")
    fill(tier, b"old", b"i2")
    proxy.goes_dark()
    tier.invalidate([Place("t", KEY)])
    tier.invalidate([Place("u", b"i%d" % number) for number in range(10_001)])
    proxy.goes_dark(False)
    for key in (KEY, b"i2"):
        assert is_lease(until(lambda key=key: found if not isinstance(found := look(tier, key), Unavailable) else None))
