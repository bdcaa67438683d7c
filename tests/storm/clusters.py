"""Tiers of more than one server that choose their primaries by themselves, and what befalls them under load."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import valkey

from tests.contracts.tiers import Sentinel
from tests.servers import Valkey, free_port
from tests.storm.site import Site, wait_until

__all__ = ["FAULTS_OF", "TIERS_OF"]

SLOTS = 16_384
MASTERS = 3
SETTINGS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "1000",
    "cluster-replica-validity-factor": "0",
    "repl-diskless-sync-delay": "0",
}


def told(node: Valkey, *command: Any) -> Any:
    with valkey.Valkey(port=node.port, socket_timeout=5) as client:
        return client.execute_command(*command)


def leads(node: Valkey) -> bool:
    """Whether it is up, and no replica."""
    with suppress(valkey.ValkeyError):
        return node.is_up and told(node, "ROLE")[0] == b"master"
    return False


class SixNodes:
    """A cluster of three primaries with a replica each."""

    def __init__(self, site: Site) -> None:
        made = [Valkey(**SETTINGS, **{"cluster-port": str(free_port())}) for _ in range(2 * MASTERS)]
        self.nodes = [site.stack.enter_context(site.with_clock(node)) for node in made]
        first, size = self.nodes[0], SLOTS // MASTERS
        for node in self.nodes[1:]:
            told(first, "CLUSTER", "MEET", "127.0.0.1", node.port, node.settings["cluster-port"])
        for number, node in enumerate(self.nodes[:MASTERS]):
            last = SLOTS if number == MASTERS - 1 else (number + 1) * size
            told(node, "CLUSTER", "ADDSLOTSRANGE", number * size, last - 1)
        wait_until(self.is_whole)
        for master, replica in zip(self.nodes[:MASTERS], self.nodes[MASTERS:], strict=True):
            told(replica, "CLUSTER", "REPLICATE", told(master, "CLUSTER", "MYID"))
        self.settle()
        self.url = f"valkey://127.0.0.1:{first.port}?cluster=1"

    def is_whole(self) -> bool:
        """Whether all nodes that are up know all nodes, and who has which slots."""
        for node in self.nodes:
            if node.is_up:
                info = told(node, "CLUSTER", "INFO")
                text = info.decode() if isinstance(info, bytes) else str(info)
                if "cluster_state" not in text or "fail" in text.split("cluster_slots")[0]:
                    return False
                if isinstance(info, dict) and info["cluster_known_nodes"] != str(len(self.nodes)):
                    return False
        return True

    def settle(self) -> None:
        """Until there are three primaries again, and every replica has its primary."""

        def is_settled() -> bool:
            with suppress(valkey.ValkeyError):
                roles = [told(node, "ROLE") for node in self.nodes if node.is_up]
                replicas = [role for role in roles if role[0] == b"slave"]
                return len(roles) - len(replicas) == MASTERS and all(role[3] == b"connected" for role in replicas)
            return False

        wait_until(is_settled)

    def primaries(self) -> list[Valkey]:
        return [node for node in self.nodes if leads(node)]


class Watched:
    """A primary and a replica, which sentinels watch."""

    def __init__(self, site: Site) -> None:
        self.nodes = [site.stack.enter_context(site.with_clock(Valkey())) for _ in range(2)]
        told(self.nodes[1], "REPLICAOF", "127.0.0.1", self.nodes[0].port)
        self.settle()
        self.sentinel = site.stack.enter_context(Sentinel(self.nodes[0]))
        wait_until(lambda: len(told(self.sentinel, "SENTINEL", "REPLICAS", "main")) == 1)  # type: ignore[arg-type]
        self.url = self.sentinel.url

    def settle(self) -> None:
        """Until one follows the other."""

        def is_settled() -> bool:
            with suppress(valkey.ValkeyError):
                roles = [told(node, "ROLE") for node in self.nodes]
                return sorted(role[0] for role in roles) == [b"master", b"slave"] and any(
                    role[0] == b"slave" and role[3] == b"connected" for role in roles
                )
            return False

        wait_until(is_settled)

    def primaries(self) -> list[Valkey]:
        return [node for node in self.nodes if leads(node)]


def primary_killed(site: Site, chance: random.Random) -> Iterator[None]:
    """Its replica takes over by itself."""
    tier = site.tiers
    killed = chance.choice(tier.primaries())
    before = len(tier.primaries())
    killed.kill()
    wait_until(lambda: len(tier.primaries()) == before)
    yield
    killed.start()
    tier.settle()


def primary_paused(site: Site, chance: random.Random) -> Iterator[None]:
    """It comes back when another leads in its place, and does not know."""
    tier = site.tiers
    paused = chance.choice(tier.primaries())
    paused.pause()
    others = [node for node in tier.nodes if node is not paused]
    before = sum(map(leads, others))
    wait_until(lambda: sum(map(leads, others)) > before, 10)
    paused.resume()
    yield
    tier.settle()


def failover_asked(site: Site, chance: random.Random) -> Iterator[None]:
    """A replica is told to take over, while its primary is well."""
    replicas = [node for node in site.tiers.nodes if not leads(node)]
    with suppress(valkey.ValkeyError):
        told(chance.choice(replicas), "CLUSTER", "FAILOVER", chance.choice(["FORCE", "TAKEOVER"]))
    yield
    site.tiers.settle()


def slots_move(site: Site, chance: random.Random) -> Iterator[None]:
    """Shards that are in use move from one primary to another, with their keys."""
    one, other = chance.sample(site.tiers.primaries(), 2)
    ids = [told(node, "CLUSTER", "MYID") for node in (one, other)]
    with valkey.Valkey(port=one.port) as client:
        metas = client.keys("*:meta")
    slots = {told(one, "CLUSTER", "KEYSLOT", name) for name in metas}
    for slot in chance.sample(sorted(slots), min(3, len(slots))):
        told(other, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        told(one, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        for name in told(one, "CLUSTER", "GETKEYSINSLOT", slot, 10_000):
            with suppress(valkey.ResponseError):  # it has ended meanwhile
                told(one, "MIGRATE", "127.0.0.1", other.port, name, 0, 10_000, "REPLACE")
        for node in (other, one, *site.tiers.primaries()):
            with suppress(valkey.ResponseError):
                told(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        time.sleep(0.05)
    yield


OF_BOTH = {
    "primary killed, its replica takes over": primary_killed,
    "primary stands still past its failover": primary_paused,
}
FAULTS_OF = {
    "cluster": OF_BOTH | {"failover that is asked for": failover_asked, "slots move": slots_move},
    "sentinel": OF_BOTH,
}
TIERS_OF = {"cluster": SixNodes, "sentinel": Watched}
