"""A process of a herd: many threads or tasks that want one cold row; tells how often it asked the database."""

from __future__ import annotations

import asyncio
import sys
import threading

import forecache
from forecache.serve.tiers.valkey import ValkeyTier


def main() -> None:
    """`url tier kind clients`; then the key, on standard input, when all are to ask."""
    url, tier, kind, clients = sys.argv[1:]
    shop = forecache.open(
        url, ["product"], level="eventual", shared=ValkeyTier.connect(tier, timeout="10s"), timeout="60s"
    )
    shop["product"].get(0)  # connects
    for line in sys.stdin:
        before, key = shop.stats().queries, int(line)
        found = in_tasks(shop, key, int(clients)) if kind == "tasks" else in_threads(shop, key, int(clients))
        assert found == [{"id": key}] * int(clients), found
        print(shop.stats().queries - before, flush=True)  # noqa: T201 - what it is for
    shop.close()


def in_tasks(shop: forecache.Database, key: int, clients: int) -> list[object]:
    async def ask() -> list[object]:
        return list(await asyncio.gather(*(shop["product"].aget(key) for _ in range(clients))))

    return asyncio.run(ask())


def in_threads(shop: forecache.Database, key: int, clients: int) -> list[object]:
    found, gate = list[object](), threading.Barrier(clients)

    def ask() -> None:
        gate.wait()
        found.append(shop["product"].get(key))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


if __name__ == "__main__":
    main()
