"""A cluster whose primary dies, or whose slots move: no old value is read, and all heals by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import valkey

from forecache._core import now
from forecache.serve.tier import Lease, Place, Unavailable, Value
from tests.contracts.tiers import until
from tests.serve.sites import Site, drop_slots, version_of
from tests.serve.tiers.asking import Tiers, fill, heals, look
from tests.servers import PostgreSQL, Valkey, free_port

SLOTS = 16_384
KEYS = [b"i%d" % number for number in range(40)]


class Cluster:
    """Two primaries with half of the slots each, and a replica of the first."""

    def __init__(self, keep: ExitStack) -> None:
        settings = {"cluster-enabled": "yes", "cluster-node-timeout": "1000", "repl-diskless-sync-delay": "0"}
        make = [Valkey(**settings, **{"cluster-port": str(free_port())}) for _ in range(3)]
        self.nodes = [keep.enter_context(node) for node in make]
        self.clients = [keep.enter_context(valkey.Valkey(port=node.port)) for node in self.nodes]
        for node in self.nodes[1:]:
            self.ask(0, "CLUSTER", "MEET", "127.0.0.1", node.port, node.settings["cluster-port"])
        self.ask(0, "CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        self.ask(1, "CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        until(lambda: all(self.knows(number) for number in range(3)))
        self.ask(2, "CLUSTER", "REPLICATE", self.ask(0, "CLUSTER", "MYID"))
        until(lambda: self.clients[2].info("replication").get("master_link_status") == "up")

    def ask(self, number: int, *command: Any) -> Any:
        return self.clients[number].execute_command(*command)

    def knows(self, number: int) -> bool:
        """Whether a node has heard of all others, and of all slots."""
        told = self.ask(number, "CLUSTER", "INFO")
        told = told if isinstance(told, dict) else dict(line.split(":") for line in told.decode().split())
        return told["cluster_state"] == "ok" and told["cluster_known_nodes"] == "3"

    def moves(self, slot: int, source: int = 0, target: int = 1) -> None:
        """A slot from one primary to another, with its keys, as an administrator moves it."""
        one, other = (self.ask(number, "CLUSTER", "MYID") for number in (source, target))
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", one)
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", other)
        for name in self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1000):
            self.ask(source, "MIGRATE", "127.0.0.1", self.nodes[target].port, name, 0, 10_000)
        for number in (target, source):
            self.ask(number, "CLUSTER", "SETSLOT", slot, "NODE", other)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ExitStack() as keep:
        yield Cluster(keep)


def answered(tier: Any, key: bytes) -> Any:
    """What is found once the cluster answers again."""
    return until(lambda: found if not isinstance(found := look(tier, key), Unavailable) else None)


def test_a_replica_takes_over(connect: Tiers, cluster: Cluster) -> None:
    tier = connect(f"{cluster.nodes[0].url}?cluster=1")
    for key in KEYS:
        fill(tier, b"old", key)
    cluster.nodes[0].kill()
    assert not tier.invalidate([Place("t", key) for key in KEYS]), "half of them cannot be told"
    cluster.ask(2, "CLUSTER", "FAILOVER", "TAKEOVER")
    for key in KEYS:
        assert isinstance(answered(tier, key), Lease)
    for number in range(100, 104):
        heals(tier, b"i%d" % number)


def test_slots_move(connect: Tiers, cluster: Cluster) -> None:
    tier = connect(f"{cluster.nodes[0].url}?cluster=1")
    for key in KEYS:
        fill(tier, b"old", key)
    slots = {cluster.ask(0, "CLUSTER", "KEYSLOT", name) for name in cluster.clients[0].keys("*")}
    for slot in slots:
        cluster.moves(slot)
    for key in KEYS:
        assert answered(tier, key)
    tier.invalidate([Place("t", key) for key in KEYS])
    for key in KEYS:
        assert not isinstance(answered(tier, key), Value), "what was invalidated after the move is gone"


def test_a_sequencer_follows_its_shards_to_another_node(cluster: Cluster, postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with ExitStack() as stack:
        site = Site(stack, url, shared=f"{cluster.nodes[0].url}?cluster=1")
        site.sequencer()
        database = site.open(proven=False)

        def is_proven_again() -> bool:
            began = now()
            return bool(until(lambda: database._watch.proven_at() >= began))

        assert is_proven_again()
        cluster.ask(2, "CLUSTER", "FAILOVER")  # and the old primary stays, as a replica
        until(lambda: cluster.ask(0, "ROLE")[0] == b"slave")
        assert is_proven_again()
        slots = {cluster.ask(2, "CLUSTER", "KEYSLOT", name) for name in cluster.clients[2].keys("*:meta")}
        for slot in sorted(slots)[:2]:
            cluster.moves(slot, 2, 1)
        assert is_proven_again()
        site.write(1, 5)
        assert until(lambda: version_of(database, 1) == 5)
    drop_slots(postgresql, url)
