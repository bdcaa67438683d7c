"""Clients of Valkey that keep answers in their process, each behind one face.

Values are bytes. Tasks run in a loop of their own thread, so that threads may ask.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

from benchmarks.harness import Peers

SECONDS = 1.0  # that each client may take to connect, and for an answer
PREFIX = "row:"  # of all keys; what broadcasting clients ask to be told of


class NearCache:
    """What a benchmark needs of a client."""

    def get(self, key: str) -> bytes | None:
        """The value, from this process if it is there."""
        raise NotImplementedError

    def begin(self) -> None:
        """Leaves a connection inside MULTI, where there is a way."""

    def seconds(self, key: str, times: int) -> float:
        """For one `get` of a row that is here."""
        get = self.get
        start = perf_counter()
        for _ in range(times):
            get(key)
        return (perf_counter() - start) / times

    def close(self) -> None:
        """Closes what can be closed."""


class RedisPy(NearCache):
    """redis-py, and valkey-py, which was the same once: a cache for each pool of connections."""

    def __init__(self, client: Any, *takes: str) -> None:
        """Around a client whose cache is on, and whose pool takes these arguments."""
        self.client, self.takes = client, takes
        self.get = client.get

    def begin(self) -> None:
        """On a connection of the pool."""
        connection = self.client.connection_pool.get_connection(*self.takes)
        connection.send_command("MULTI")
        connection.read_response()

    def close(self) -> None:
        """Closes it."""
        self.client.close()


def redis_py(peers: Peers, port: int) -> NearCache | None:
    """redis-py's, told to accept a Valkey."""
    if (redis := peers.find("redis")) is None:
        return None
    from redis.cache import CacheConfig
    from redis.connection import CacheProxyConnection

    CacheProxyConnection.DEFAULT_SERVER_NAME, CacheProxyConnection.MIN_ALLOWED_VERSION = "valkey", "7.0.0"
    timeouts = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    return RedisPy(redis.Redis(port=port, protocol=3, cache_config=CacheConfig(), **timeouts))


def valkey_py(peers: Peers, port: int) -> NearCache | None:
    """valkey-py's."""
    if (valkey := peers.find("valkey")) is None:
        return None
    timeouts = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    return RedisPy(valkey.Valkey(port=port, protocol=3, cache_enabled=True, **timeouts), "MULTI")


class Glide(NearCache):
    """valkey-glide: one connection, on which the server broadcasts."""

    def __init__(self, client: Any) -> None:
        """Around a client."""
        self.client = client
        self.get = client.get

    def begin(self) -> None:
        """On its only connection."""
        self.client.custom_command(["MULTI"])

    def close(self) -> None:
        """Closes it."""
        self.client.close()


def valkey_glide(peers: Peers, port: int) -> NearCache | None:
    """valkey-glide's, for threads."""
    if (glide := peers.find("valkey-glide-sync", "glide_sync")) is None:
        return None
    cache = glide.ClientSideCache("benchmark", 100_000, 0, server_assisted=True)
    where = [glide.NodeAddress("127.0.0.1", port)]
    settings = glide.GlideClientConfiguration(where, client_side_cache=cache, request_timeout=int(SECONDS * 1000))
    return Glide(glide.GlideClient.create(settings))


class Tasks(NearCache):
    """A client for tasks, asked from threads."""

    def __init__(self, aget: Callable[[str], Awaitable[Any]], loop: asyncio.AbstractEventLoop) -> None:
        """Whose `aget` runs on a loop."""
        self.aget, self.loop = aget, loop
        self.ends: Callable[[], Any] = lambda: None

    def get(self, key: str) -> bytes | None:
        """Waits for the loop."""
        found: bytes | None = asyncio.run_coroutine_threadsafe(self._get(key), self.loop).result()
        return found

    async def _get(self, key: str) -> Any:
        return await self.aget(key)

    def begin(self) -> None:
        """As its kind does."""
        asyncio.run_coroutine_threadsafe(self.abegin(), self.loop).result(SECONDS)

    async def abegin(self) -> None:
        """Leaves a connection inside MULTI."""

    def seconds(self, key: str, times: int) -> float:
        """Measured in one task of its loop, without a way between threads."""

        async def each() -> float:
            aget = self.aget
            start = perf_counter()
            for _ in range(times):
                await aget(key)
            return (perf_counter() - start) / times

        return asyncio.run_coroutine_threadsafe(each(), self.loop).result()

    def close(self) -> None:
        """Lets the task end that keeps the client open."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.ends)


def opened(enter: Callable[[asyncio.Future[Tasks], asyncio.Event], Awaitable[None]]) -> Tasks:
    """What a task made, which stays until `close`, in a loop of its own thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def main() -> Tasks:
        made, end = loop.create_future(), asyncio.Event()
        keeping = loop.create_task(enter(made, end))  # type: ignore[arg-type]
        await asyncio.wait([made, keeping], return_when=asyncio.FIRST_COMPLETED)
        if not made.done():
            await keeping
        client: Tasks = made.result()
        client.ends = end.set
        return client

    return asyncio.run_coroutine_threadsafe(main(), loop).result(10)


def coredis(peers: Peers, port: int) -> NearCache | None:
    """coredis's: one connection that is told of keys that others read."""
    if (module := peers.find("coredis")) is None:
        return None
    from coredis.patterns.cache import LRUCache

    class Coredis(Tasks):
        async def abegin(self) -> None:
            pool = client.connection_pool
            self.held = pool.acquire()
            connection = await self.held.__aenter__()
            await connection.create_request(b"MULTI")

    client = module.Redis(port=port, cache=LRUCache(), stream_timeout=SECONDS, connect_timeout=SECONDS)

    async def enter(made: asyncio.Future[Tasks], end: asyncio.Event) -> None:
        async with client:
            made.set_result(Coredis(client.get, asyncio.get_running_loop()))
            await end.wait()

    return opened(enter)


def cashews(peers: Peers, port: int) -> NearCache | None:
    """cashews's: a channel on which the server broadcasts, beside redis-py's connections.

    Over protocol 2: with the protocol 3 of newer redis-py it never hears of a change.
    """
    if peers.find("cashews") is None:
        return None
    from cashews.backends.redis.client_side import BcastClientSide

    backend = BcastClientSide(
        f"redis://127.0.0.1:{port}", client_side_prefix=PREFIX, socket_timeout=SECONDS, suppress=False, protocol=2
    )

    class Cashews(Tasks):
        async def abegin(self) -> None:
            connection = await backend._client.connection_pool.get_connection()
            await connection.send_command("MULTI")
            await connection.read_response()

    async def get(key: str) -> Any:
        return await backend.get(key.removeprefix(PREFIX))

    async def enter(made: asyncio.Future[Tasks], end: asyncio.Event) -> None:
        await backend.init()
        made.set_result(Cashews(get, asyncio.get_running_loop()))
        await end.wait()

    return opened(enter)


NEAR_CACHES: dict[str, Callable[[Peers, int], NearCache | None]] = {
    "redis-py": redis_py,
    "valkey-py": valkey_py,
    "valkey-glide": valkey_glide,
    "coredis": coredis,
    "cashews": cashews,
}
