"""Valkey or Redis as the shared tier: one server, a primary among sentinels, a cluster, or a ring of servers.

An operation costs one round trip to each server it concerns, however many places. How places look there is in
`layout.py`, what the operations are in `operations.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

from forecache.serve.budget import Budget
from forecache.serve.tier import Fill, Found, Lease, Place, TierStats
from forecache.serve.tiers.address import parse_addresses
from forecache.serve.tiers.clients import clients_for, clients_given
from forecache.serve.tiers.courier import Courier
from forecache.serve.tiers.exchange import Server, arun, new_server, run
from forecache.serve.tiers.link import Link
from forecache.serve.tiers.operations import Operations
from forecache.serve.tiers.ring import Ring
from forecache.serve.tiers.routes import Routes
from forecache.units import Duration, parse_duration, parse_ttl

__all__ = ["ValkeyTier"]

LEASE: Final = "3s"  # as long as most queries may take; whoever loads longer cannot fill
NAMESPACE: Final = "forecache"


class ValkeyTier:
    """The shared tier on Valkey or Redis; what its methods do is in `forecache.serve.tier`.

    Nothing connects before the first operation, and no outage raises.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        ring: Ring,
        *,
        namespace: str = NAMESPACE,
        lease: Duration = LEASE,
        seed: int | None = None,
    ) -> None:
        """Over servers that `connect` or `over` made."""
        self._servers, self._ring, self._namespace = servers, ring, namespace
        self._timeout = max(server.timeout for server in servers)
        self._do = Operations(servers, ring, namespace=namespace, lease=parse_ttl(lease), seed=seed)
        self._courier = Courier(self._deliver)

    @classmethod
    def connect(
        cls,
        urls: str | Iterable[str],
        *,
        namespace: str = NAMESPACE,
        lease: Duration = LEASE,
        timeout: Duration | None = None,
        seed: int | None = None,
    ) -> Self:
        """The tier at one or several URLs.

        Args:
            urls: `valkey://`, `valkeys://`, `redis://`, `rediss://` or `unix://`; their forms are in `address.py`.
            namespace: of all keys; those who share a database share it, others need one of their own.
            lease: how long a load may take and still fill.
            timeout: how long an answer may take; by default as the URL says, or 250 ms.
            seed: of the jitter of pauses; None for chance.

        Raises:
            ConfigurationError: a URL or a setting cannot be used.
            MissingExtraError: valkey-py is not installed.
        """
        addresses = parse_addresses(urls, timeout)
        servers = [new_server(address.name, Link(clients_for(address)), address.timeout, seed) for address in addresses]
        ring = Ring([server.name for server in servers], is_cluster=addresses[0].mode == "cluster")
        return cls(servers, ring, namespace=namespace, lease=lease, seed=seed)

    @classmethod
    def over(
        cls,
        client: Any = None,
        async_client: Any = None,
        *,
        name: str = "given client",
        timeout: Duration = 0.25,
        namespace: str = NAMESPACE,
        lease: Duration = LEASE,
        seed: int | None = None,
    ) -> Self:
        """The tier over clients of valkey-py or redis-py, for one server or for a cluster.

        Args:
            client: for threads; with short timeouts and without retries, or requests wait longer in an outage.
            async_client: for tasks, of one event loop.
            name: of the server, for logs.
            timeout: how long a request waits for a free connection, and a task for an answer.
            namespace: of all keys.
            lease: how long a load may take and still fill.
            seed: of the jitter of pauses; None for chance.

        Raises:
            ConfigurationError: there is no client, or one decodes what it reads.
        """
        clients, is_cluster = clients_given(client, async_client)
        server = new_server(name, Link(clients), parse_duration(timeout), seed)
        return cls([server], Ring([name], is_cluster=is_cluster), namespace=namespace, lease=lease, seed=seed)

    @property
    def name(self) -> str:
        """Names of the servers."""
        return "valkey at " + ", ".join(server.name for server in self._servers)

    def __repr__(self) -> str:
        """Names of the servers, and no password."""
        return f"<ValkeyTier {self.name}>"

    def read(self, table: str, keys: Sequence[bytes], *, since: int = 0, budget: Budget | None = None) -> list[Found]:
        """What is at each place; what is empty is leased to the caller."""
        return run(self._do.read(table, keys, since, self._within(budget)))

    async def aread(
        self, table: str, keys: Sequence[bytes], *, since: int = 0, budget: Budget | None = None
    ) -> list[Found]:
        """`read` in a task."""
        return await arun(self._do.read(table, keys, since, self._within(budget)))

    def fill(self, fills: Sequence[Fill], *, budget: Budget | None = None) -> list[bool]:
        """Stores each value if its lease is still held; whether it was stored."""
        return run(self._do.fill(fills, self._within(budget)))

    async def afill(self, fills: Sequence[Fill], *, budget: Budget | None = None) -> list[bool]:
        """`fill` in a task."""
        return await arun(self._do.fill(fills, self._within(budget)))

    def release(self, leases: Sequence[Lease], *, budget: Budget | None = None) -> None:
        """Gives leases back without a value."""
        run(self._do.release(leases, self._within(budget)))

    async def arelease(self, leases: Sequence[Lease], *, budget: Budget | None = None) -> None:
        """`release` in a task."""
        await arun(self._do.release(leases, self._within(budget)))

    def invalidate(self, places: Iterable[Place], *, tables: Iterable[str] = (), budget: Budget | None = None) -> bool:
        """Ends values and leases at these places, and everywhere in these tables."""
        return self._confirmed(run(self._do.invalidate(places, tables, self._within(budget))))

    async def ainvalidate(
        self, places: Iterable[Place], *, tables: Iterable[str] = (), budget: Budget | None = None
    ) -> bool:
        """`invalidate` in a task."""
        return self._confirmed(await arun(self._do.invalidate(places, tables, self._within(budget))))

    def pasts(self) -> list[str]:
        """What each server was told of the database's past: its name, a newline, and its history if that is known."""
        return run(self._do.pasts(self._within(None)))

    async def apasts(self) -> list[str]:
        """`pasts` in a task."""
        return await arun(self._do.pasts(self._within(None)))

    def routes(self) -> Routes:
        """Ways to its shards for a sequencer, or for whoever follows one."""
        names = [server.name for server in self._servers]
        return Routes([server.link for server in self._servers], self._ring.shards, self._namespace, names)

    def shard(self, place: Place) -> int:
        """The number, as `routes` counts, of the shard that a place is in."""
        home = self._ring.home(place)
        return home.server * self._ring.shards + home.shard

    def stats(self) -> TierStats:
        """What happened so far."""
        return self._do.counts.stats(outages=sum(server.breaker.stats().outages for server in self._servers))

    def close(self) -> None:
        """Closes all connections of threads."""
        self._courier.close()
        for server in self._servers:
            server.link.close()

    async def aclose(self) -> None:
        """Closes all connections, of this loop and of threads."""
        self._courier.close()
        for server in self._servers:
            await server.link.aclose()

    def _within(self, budget: Budget | None) -> Budget:
        return Budget(self._timeout) if budget is None else budget

    def _confirmed(self, confirmed: bool) -> bool:
        """Sends the courier with what was not."""
        if not confirmed and all(server.link.serves_threads for server in self._servers):
            self._courier.start()
        return confirmed

    def _deliver(self) -> bool:
        return run(self._do.deliver(Budget(self._timeout)))
