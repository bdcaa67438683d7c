"""A shared tier that fails, in every way it can: no request fails, nothing old is read, and all heals by itself.

Each fault is a real server's, or the network's before it; each law holds for threads and for tasks.
"""

from __future__ import annotations

import logging
import threading

import pytest
import valkey

from forecache.serve.tier import Fill, Lease, Place, Unavailable, Value
from forecache.serve.tiers.valkey import ValkeyTier
from tests.contracts.tiers import until
from tests.proxy import Proxy
from tests.serve.tiers.asking import HOUR, KEY, SHORT, Tiers, fill, gives_up, heals, is_lease, look
from tests.servers import Valkey


def test_killed_and_started_empty(connect: Tiers, server: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    tier = connect(server.url)
    fill(tier)
    lease = look(tier, b"i3")
    server.kill()
    with caplog.at_level(logging.INFO, "forecache"):
        gives_up(tier)
        assert tier.fill([Fill(lease, b"late", HOUR)]) == [False]
        tier.release([lease])
        server.start()
        heals(tier)
    assert is_lease(look(tier)), "what an empty server is asked for is not there"
    assert tier.fill([Fill(lease, b"late", HOUR)]) == [False], "leases of the old server are void"
    gone, back = (record.getMessage() for record in caplog.records)
    assert gone.startswith(f"shared tier 127.0.0.1:{server.port} failed 3 times (ConnectionError); going on without it")
    assert back.startswith(f"shared tier 127.0.0.1:{server.port} answers again after ")
    assert tier.stats().outages == 1
    assert tier.stats().lost == 1


def test_paused(connect: Tiers, server: Valkey) -> None:
    tier = connect(server.url, timeout=SHORT)
    fill(tier)
    server.pause()
    gives_up(tier)
    server.resume()
    assert until(lambda: isinstance(look(tier), Value)), "it lost nothing"


@pytest.mark.parametrize("fault", ["slow", "dark", "answers lost"])
def test_silent(connect: Tiers, proxy: Proxy, fault: str) -> None:
    tier = connect(proxy.url, timeout=SHORT)
    fill(tier)
    proxy.delay = 1.0 if fault == "slow" else 0
    proxy.loses_answers = fault != "slow"
    proxy.loses_requests = fault == "dark"
    gives_up(tier)
    proxy.delay = 0
    proxy.goes_dark(False)
    heals(tier)
    assert isinstance(look(tier), Value)


def test_reset_and_refused(connect: Tiers, proxy: Proxy) -> None:
    tier = connect(proxy.url)
    fill(tier)
    proxy.reset()
    assert until(lambda: isinstance(look(tier), Value))
    proxy.refuses = True
    proxy.reset()
    gives_up(tier)
    proxy.refuses = False
    heals(tier)


def test_connections_killed_all_the_time(connect: Tiers, server: Valkey) -> None:
    tier = connect(server.url)
    fill(tier)
    with valkey.Valkey(port=server.port) as admin:
        found = []
        for _ in range(30):
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            found.append(look(tier))
    assert all(isinstance(each, (Value, Unavailable)) for each in found)
    assert until(lambda: isinstance(look(tier), Value))


def test_full(connect: Tiers, server: Valkey) -> None:
    tier, other = connect(server.url), connect(server.url)
    fill(tier)
    lease = look(tier, b"i3")
    with valkey.Valkey(port=server.port) as admin:
        admin.config_set("maxmemory", 1)
        assert isinstance(look(other), Value), "what is there is served"
        assert look(other, b"i4") == Unavailable("OOM")
        assert tier.fill([Fill(lease, b"more", HOUR)]) == [False]
        assert tier.invalidate([Place("t", KEY)]), "what is full can be invalidated"
        assert look(other) == Unavailable("OOM")
        admin.config_set("maxmemory", 0)
        assert is_lease(look(other, b"i3")), "a refused fill holds up nobody"
        heals(other)


def test_all_that_can_leave_leaves(connect: Tiers, server: Valkey) -> None:
    tier = connect(server.url)
    with valkey.Valkey(port=server.port) as admin:
        admin.config_set("maxmemory-policy", "allkeys-random")
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 300_000)
    for number in range(300):  # leases, epochs and values are evicted as they come
        key = b"i%d" % number
        if lease := is_lease(look(tier, key)):
            tier.fill([Fill(lease, key * 1000, HOUR)])
        found = look(tier, key)
        assert not isinstance(found, Value) or found.payload == key * 1000
        tier.invalidate([Place("t", key)])
        assert not isinstance(look(tier, key), Value)


def test_flushed(connect: Tiers, server: Valkey) -> None:
    tier = connect(server.url)
    fill(tier)
    lease = look(tier, b"i3")
    with valkey.Valkey(port=server.port) as admin:
        admin.flushall()
    assert is_lease(look(tier))
    assert tier.fill([Fill(lease, b"late", HOUR)]) == [False]
    heals(tier)


def test_scripts_forgotten(connect: Tiers, server: Valkey) -> None:
    tier = connect(server.url)
    fill(tier)
    with valkey.Valkey(port=server.port) as admin:
        admin.script_flush()
        assert isinstance(look(tier), Value)
        lease = look(tier, b"i3")
        admin.script_flush()
        assert tier.fill([Fill(lease, b"value", HOUR)]) == [True]
    assert tier.stats().unavailable == 0


def test_answers_larger_than_the_server_keeps_for_a_client(connect: Tiers, server: Valkey) -> None:
    tier = connect(server.url)
    keys = [b"i%d" % number for number in range(200)]
    for key in keys:
        fill(tier, bytes(100_000), key)
    with valkey.Valkey(port=server.port) as admin:
        admin.config_set("client-output-buffer-limit", "normal 1mb 0 0")
        assert {type(found) for found in tier.read("t", keys)} == {Unavailable}
        assert until(lambda: isinstance(look(tier, keys[0]), Value))


def test_a_request_waits_for_one_outage_only(connect: Tiers, server: Valkey) -> None:
    proxies = [Proxy(server.port) for _ in range(3)]
    tier = connect([proxy.url for proxy in proxies], timeout=SHORT)
    keys = [b"i%d" % number for number in range(100)]
    assert {type(found) for found in tier.read("t", keys)} == {Lease}
    for proxy in proxies:
        proxy.goes_dark()
    reasons = {found.reason for found in tier.read("t", keys) if isinstance(found, Unavailable)}
    waited = [reason for reason in reasons if "Timeout" in reason]
    assert waited
    assert reasons <= {*waited, "no time is left"}
    if not connect.tasks:  # which ask all at once
        assert "no time is left" in reasons
    for proxy in proxies:
        proxy.close()


def test_threads_go_on_while_a_server_comes_and_goes(server: Valkey) -> None:
    tier = ValkeyTier.connect(server.url, timeout=SHORT)
    errors: list[BaseException] = []
    stop = threading.Event()

    def work(number: int) -> None:
        try:
            while not stop.is_set():
                key = b"i%d" % (number % 4)
                if lease := is_lease(look(tier, key)):
                    tier.fill([Fill(lease, key, HOUR)])
                found = look(tier, key)
                assert not isinstance(found, Value) or found.payload == key
                tier.invalidate([Place("t", key)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for act in (server.kill, server.start, server.pause, server.resume, server.kill, server.start):
        before = tier.stats()
        act()
        until(lambda before=before: tier.stats() != before)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    heals(tier, b"i9")
    tier.close()
