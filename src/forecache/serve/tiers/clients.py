"""Clients: made by valkey-py for an address, without retries, since a request waits for an outage once at most."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from forecache.errors import ConfigurationError
from forecache.extras import extra
from forecache.serve.tiers.address import Address
from forecache.serve.tiers.link import CONNECTIONS, Clients

__all__ = ["clients_for", "clients_given"]


def clients_for(address: Address) -> Clients:
    """How to make clients that connect to an address.

    Raises:
        MissingExtraError: valkey-py is not installed.
    """
    with extra("valkey"):
        import valkey
        import valkey.asyncio
        import valkey.asyncio.sentinel
        import valkey.sentinel
    return Clients(lambda: made(valkey, address), lambda: made(valkey.asyncio, address))


def made(package: ModuleType, address: Address) -> Any:
    """A client of `valkey` or of `valkey.asyncio`."""
    options = {
        "socket_timeout": address.timeout,
        "socket_connect_timeout": address.timeout,
        "socket_keepalive": True,
        "ssl_check_hostname": True,
        **address.options,
    }
    if not options.get("ssl"):
        del options["ssl_check_hostname"]
    if address.mode == "cluster":
        return cluster(package, address, options)
    options["max_connections"] = CONNECTIONS
    if address.mode == "sentinel":
        return of_sentinels(package, address, options)
    host, port = address.hosts[0]
    where = {"host": host, "port": port} if port else {"unix_socket_path": host}
    if not port:
        options.pop("socket_keepalive")
    return package.Valkey(**where, **options)


def cluster(package: ModuleType, address: Address, options: dict[str, Any]) -> Any:
    """A client that asks each node of a cluster, and follows slots that moved once in a call."""
    options = {name: value for name, value in options.items() if name != "db"}
    options["protocol"] = 2  # over 3, valkey-py 6.2 takes MOVED for an error like any other, and follows no slot
    nodes = [package.cluster.ClusterNode(host, port) for host, port in address.hosts]
    if hasattr(package, "asyncio"):
        return package.ValkeyCluster(startup_nodes=nodes, cluster_error_retry_attempts=1, **options)
    return package.ValkeyCluster(
        startup_nodes=nodes, cluster_error_retry_attempts=1, connection_error_retry_attempts=1, **options
    )


def of_sentinels(package: ModuleType, address: Address, options: dict[str, Any]) -> Any:
    """A client that asks sentinels for the primary whenever it connects."""
    sentinel_options = {"socket_timeout": address.timeout, "protocol": 2, **address.sentinel_options}
    sentinels = package.sentinel.Sentinel(list(address.hosts), sentinel_kwargs=sentinel_options, **options)
    return sentinels.master_for(address.primary)


def clients_given(client: Any = None, async_client: Any = None) -> tuple[Clients, bool]:
    """Clients of valkey-py or redis-py that somebody made, and whether they are of a cluster.

    Raises:
        ConfigurationError: there is none, or one of them decodes what it reads.
    """
    given = [each for each in (client, async_client) if each is not None]
    if not given:
        raise ConfigurationError("a shared tier was given no client; expected one of valkey-py or redis-py, or a URL")
    if any(each.get_encoder().decode_responses for each in given):
        raise ConfigurationError("the client decodes responses; expected one with decode_responses=False")
    clients = Clients(
        None if client is None else lambda: client, None if async_client is None else lambda: async_client
    )
    return clients, "Cluster" in type(given[0]).__name__
