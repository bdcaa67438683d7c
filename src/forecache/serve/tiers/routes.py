"""`Routes`: which connection leads to which shard: one to each server, or to each node of a cluster that has some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from forecache.serve.tiers.beacons import BEACON_SCRIPTS
from forecache.serve.tiers.failing import Failing
from forecache.serve.tiers.lane import Lane, LaneError
from forecache.serve.tiers.layout import Layout
from forecache.serve.tiers.link import Link

__all__ = ["Node", "Routes"]


class Node(NamedTuple):
    """A server, or a node of a cluster."""

    server: int
    name: str  # "" for a server


class Routes:
    """Of one shared tier; shards are numbered through all its servers."""

    def __init__(self, links: list[Link], shards: int, namespace: str, names: Sequence[str]) -> None:
        """Asks nobody yet.

        Args:
            links: to the servers, or to one cluster.
            shards: that each of them has.
            namespace: of all keys.
            names: of the servers, for logs.
        """
        self._names = names
        self._links, self._shards, self._namespace = links, shards, namespace
        self._clients: dict[int, Any] = {}
        self._failing = Failing(self.name, "copies here are not proven")

    @property
    def shards(self) -> int:
        """How many there are."""
        return len(self._links) * self._shards

    def layout(self, shard: int) -> Layout:
        """Names of the keys of a shard."""
        return Layout(self._namespace, shard % self._shards)

    def shards_of(self, server: int) -> range:
        """Those of a server or cluster."""
        return range(server * self._shards, (server + 1) * self._shards)

    def servers(self) -> Iterator[int]:
        """Numbers of the servers."""
        return iter(range(len(self._links)))

    def name(self, server: int) -> str:
        """Of a server or cluster, for logs."""
        return self._names[server]

    def node(self, shard: int) -> Node:
        """Where a shard is, as far as is known.

        Raises:
            LaneError: no node of the cluster can be asked.
        """
        server = shard // self._shards
        client = self._client(server)
        if not hasattr(client, "get_node_from_key"):
            return Node(server, "")
        try:
            found = client.get_node_from_key(self.layout(shard).meta())
        except Exception as error:
            raise LaneError.of(error) from error
        if found is None:
            raise LaneError("no node has the slot")
        return Node(server, str(found.name))

    def connect(self, node: Node) -> Lane:
        """A connection.

        Raises:
            LaneError: there is none.
        """
        client = self._client(node.server)
        try:
            if node.name:
                client = client.get_valkey_connection(client.get_node(node_name=node.name))
            connection = client.connection_pool.make_connection()
        except Exception as error:
            raise LaneError.of(error) from error
        lane = Lane(connection, BEACON_SCRIPTS)
        self._failing.answers(node.server)
        return lane

    def ask(self, shard: int, command: tuple[Any, ...]) -> Any:
        """What a shard answers to one command, on a connection of its own.

        Raises:
            LaneError: it does not.
        """
        lane = self.connect(self.node(shard))
        try:
            return lane.ask([command])
        finally:
            lane.close()

    def forget(self, server: int, error: LaneError | None = None) -> None:
        """A node failed, or does not have a shard any more: asks anew who has what.

        Args:
            server: of the node.
            error: why, if that is to be told.
        """
        if error is not None:
            self._failing.fails(server, error)
        client = self._clients.pop(server, None)
        if client is not None:
            client.close()

    def close(self) -> None:
        """Closes what asks the cluster."""
        for server in list(self._clients):
            self.forget(server)

    def _client(self, server: int) -> Any:
        if server not in self._clients:
            try:
                self._clients[server] = self._links[server].new_client()
            except Exception as error:
                raise LaneError.of(error) from error
        return self._clients[server]
