"""Laws of connections: bounded, one pool for each loop, none shared with a child process."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import valkey

from forecache.serve.tier import Fill, Lease, Place, Unavailable, Value
from forecache.serve.tiers.address import parse_addresses
from forecache.serve.tiers.clients import clients_for
from forecache.serve.tiers.exchange import new_server
from forecache.serve.tiers.link import Link
from forecache.serve.tiers.ring import Ring
from forecache.serve.tiers.valkey import ValkeyTier
from tests.proxy import Proxy
from tests.servers import Valkey

HOUR = 3600.0


def narrow(url: str, connections: int, namespace: str) -> ValkeyTier:
    """A tier with so many connections."""
    (address,) = parse_addresses(url, "10s")
    server = new_server(address.name, Link(clients_for(address), connections), address.timeout, seed=1)
    return ValkeyTier([server], Ring([server.name]), namespace=namespace)


def filled(tier: Any, table: str) -> None:
    lease = tier.read(table, [b"i1"])[0]
    assert isinstance(lease, Lease)
    assert tier.fill([Fill(lease, b"value", HOUR)]) == [True]


def test_many_threads_share_few_connections(valkey: Valkey) -> None:
    with Proxy(valkey.port) as proxy:
        tier = narrow(proxy.url, 2, "narrow")
        filled(tier, "t")
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.extend(tier.read("t", [b"i1"]))) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [type(each) for each in found] == [Value] * 30
        assert proxy.connections <= 2
        tier.close()


def test_many_tasks_share_few_connections(valkey: Valkey) -> None:
    async def ask(tier: ValkeyTier) -> list[Any]:
        await tier.aread("t", [b"i1"])
        found = await asyncio.gather(*(tier.aread("t", [b"i1"]) for _ in range(30)))
        await tier.aclose()
        return [type(each[0]) for each in found]

    with Proxy(valkey.port) as proxy:
        tier = narrow(proxy.url, 2, "narrow tasks")
        filled(tier, "t")
        before = proxy.connections
        assert asyncio.run(ask(tier)) == [Value] * 30
        assert proxy.connections - before <= 2


def test_one_tier_serves_threads_and_loop_after_loop(valkey: Valkey) -> None:
    tier = ValkeyTier.connect(valkey.url, namespace="loops", timeout="10s")
    filled(tier, "t")

    async def ask() -> Any:
        try:
            return (await tier.aread("t", [b"i1"]))[0]
        finally:
            await tier.aclose()

    assert all(isinstance(asyncio.run(ask()), Value) for _ in range(3))
    assert isinstance(tier.read("t", [b"i1"])[0], Value)
    tier.close()
    tier.close()
    assert isinstance(tier.read("t", [b"i1"])[0], Value), "it connects again"
    tier.close()


def test_a_cancelled_request_leaves_no_answer_to_the_next(valkey: Valkey) -> None:
    async def ask() -> None:
        tier = ValkeyTier.connect(proxy.url, namespace="cancel", timeout="10s")
        lease = (await tier.aread("t", [b"i1"]))[0]
        assert isinstance(lease, Lease)
        await tier.afill([Fill(lease, b"one", HOUR)])
        proxy.loses_answers = True
        for _ in range(5):
            task = asyncio.create_task(tier.aread("t", [b"i1"]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        proxy.loses_answers = False
        assert isinstance((await tier.aread("t", [b"i2"]))[0], Lease)
        await tier.aclose()

    with Proxy(valkey.port) as proxy:
        asyncio.run(ask())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_process_has_connections_of_its_own(valkey: Valkey) -> None:
    tier = ValkeyTier.connect(valkey.url, namespace="fork", timeout="10s")
    filled(tier, "t")
    child = os.fork()
    if child == 0:
        ok = isinstance(tier.read("t", [b"i1"])[0], Value) and tier.invalidate([Place("t", b"i1")])
        os._exit(0 if ok else 1)
    read = [tier.read("t", [b"i2"])[0] for _ in range(50)]  # at the same time
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not any(isinstance(found, Unavailable) for found in read)
    assert isinstance(tier.read("t", [b"i1"])[0], Lease)
    tier.close()


def test_a_user_without_rights_is_no_outage_that_raises() -> None:
    with Valkey() as server:
        with valkey.Valkey(port=server.port) as admin:
            admin.acl_setuser("weak", enabled=True, nopass=True, categories=["-@all"], commands=["+ping", "+hello"])
        for url in (f"valkey://weak:x@127.0.0.1:{server.port}", f"valkey://nobody:secret@127.0.0.1:{server.port}"):
            tier = ValkeyTier.connect(url, timeout="10s")
            found = tier.read("t", [b"i1"])[0]
            assert isinstance(found, Unavailable)
            assert "secret" not in found.reason
            assert tier.invalidate([Place("t", b"i1")]) is False
            tier.close()


def test_the_rights_that_the_documentation_names_are_enough() -> None:
    page = (Path(__file__).parents[3] / "docs" / "shared-tier.md").read_text()
    rights = page.split("Rights of the user: `")[1].split("`")[0].split()
    with Valkey() as server:
        with valkey.Valkey(port=server.port) as admin:
            rule = ["ACL", "SETUSER", "app", "on", ">word", "-@all", *rights, "~{shop:s*"]
            admin.execute_command(*rule)
        tier = ValkeyTier.connect(f"valkey://app:word@127.0.0.1:{server.port}", namespace="shop", timeout="10s")
        filled(tier, "t")
        assert isinstance(tier.read("t", [b"i1"])[0], Value)
        assert tier.invalidate([Place("t", b"i1")], tables=["t"])
        tier.release([lease for lease in tier.read("t", [b"i1"]) if isinstance(lease, Lease)])
        assert tier.stats().unavailable == 0
        tier.close()


@pytest.mark.parametrize(
    ("host", "options", "reaches"),
    [
        ("localhost", "?ssl_ca_certs={made}", True),
        ("localhost", "", False),
        ("127.0.0.1", "?ssl_ca_certs={made}", False),
        ("127.0.0.1", "?ssl_ca_certs={made}&ssl_check_hostname=0", True),
    ],
    ids=["known", "unknown authority", "another name", "another name, not checked"],
)
def test_over_tls_certificate_and_name_are_checked(
    valkey: Valkey, certificate: tuple[str, str], host: str, options: str, reaches: bool
) -> None:
    key, made = certificate
    with Proxy(valkey.port, tls=(made, key)) as proxy:
        url = f"valkeys://{host}:{proxy.port}{options.format(made=made)}"
        tier = ValkeyTier.connect(url, namespace="tls", timeout="10s")
        found = [tier.read("t", [b"i1"])[0], asyncio.run(tasks_read(tier))]
        assert [not isinstance(each, Unavailable) for each in found] == [reaches, reaches], found
        tier.close()


async def tasks_read(tier: ValkeyTier) -> Any:
    try:
        return (await tier.aread("t", [b"i2"]))[0]
    finally:
        await tier.aclose()
