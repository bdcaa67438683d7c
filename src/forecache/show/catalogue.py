"""The catalogue of the demo on servers: its table, the requests of each process, and what must be there at the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Final

from forecache.extras import extra
from forecache.record.trace import Op, Trace

__all__ = ["create", "divided", "lost", "versions"]

CREATE: Final = "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, description TEXT, price BIGINT NOT NULL)"
INSERT_SQLITE: Final = "INSERT INTO product VALUES (?, 'product ' || ?1, ?, 0)"
INSERT_POSTGRESQL: Final = b"INSERT INTO product SELECT n, 'product ' || n, %s, 0 FROM generate_series(1, %s::int) AS n"
SELECT: Final = "SELECT id, price FROM product"
DESCRIPTION: Final = "it lasts, and comes in a box with all that is needed to use it for years; " * 4
SQLITE: Final = "sqlite:///"


def create(source: str, products: int) -> None:
    """Makes the table, with products 1 to `products`; their prices are versions, and begin with 0."""
    if source.startswith(SQLITE):
        with closing(sqlite3.connect(source.removeprefix(SQLITE))) as connection, connection:
            connection.execute(CREATE)
            connection.executemany(INSERT_SQLITE, ((number, DESCRIPTION) for number in range(1, products + 1)))
        return
    with extra("postgresql"):
        import psycopg
    with psycopg.connect(source) as server:
        server.execute(CREATE.encode())
        server.execute(INSERT_POSTGRESQL, (DESCRIPTION, products))


def versions(source: str) -> dict[int, int]:
    """What is in the table: versions by product."""
    if source.startswith(SQLITE):
        with closing(sqlite3.connect(source.removeprefix(SQLITE))) as connection:
            return dict(connection.execute(SELECT).fetchall())
    import psycopg

    with psycopg.connect(source) as server:
        return dict(server.execute(SELECT.encode()).fetchall())


def divided(trace: Trace, processes: int) -> list[list[str]]:
    """Requests of each process: reads in turn, and writes of a product always by the same one, as growing versions."""
    mine: list[list[str]] = [[] for _ in range(processes)]
    written: dict[int, int] = {}
    for at, (product, op) in enumerate(zip(trace.key.tolist(), trace.op.tolist(), strict=True)):
        if op == Op.GET:
            mine[at % processes].append(f"GET /product/{product}")
        else:
            written[product] = written.get(product, 0) + 1
            mine[product % processes].append(f"PUT /product/{product} price={written[product]}")
    return mine


def lost(promised: Iterable[tuple[Mapping[int, int], Mapping[int, list[int]]]], found: Mapping[int, int]) -> int:
    """Acknowledged writes in place of which there is something else.

    Args:
        promised: by each process, versions that were acknowledged, and those of which that is not known.
        found: versions that are there.
    """
    count = 0
    for acknowledged, unknown in promised:
        for product, version in acknowledged.items():
            fine = {version, *(later for later in unknown.get(product, ()) if later > version)}
            count += found.get(product) not in fine
    return count
