"""Ring: on which server, and in which of its shards, a place is."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from forecache.extras import extra
from forecache.serve.tier import Place

__all__ = ["SHARDS", "Home", "Ring"]

SHARDS: Final = 64  # of a cluster: so many scripts at most for a batch, and so many parts to spread over its nodes


class Home(NamedTuple):
    """Where a place is."""

    server: int  # number in the list of servers
    shard: int


ONLY: Final = Home(0, 0)


class Ring:
    """Consistent hashing over independent servers: adding or removing one of n moves about 1/n of the places.

    Karger et al., "Consistent Hashing and Random Trees", STOC 1997. A cluster spreads its shards by itself.
    """

    def __init__(self, servers: Sequence[str], *, is_cluster: bool = False) -> None:
        """Over servers by their names; the order does not matter.

        Raises:
            MissingExtraError: there are several, and uhashring is not installed.
        """
        self.shards = SHARDS if is_cluster else 1
        self._server_of = ring_over(servers) if len(servers) > 1 else None

    def home(self, place: Place) -> Home:
        """Where a place is: the same in every process that knows the same servers."""
        if self._server_of is None and self.shards == 1:
            return ONLY
        name = place.table.encode("utf-8", "surrogatepass") + b":" + place.key
        server = self._server_of(name) if self._server_of else 0
        return Home(server, zlib.crc32(name) % self.shards)


def ring_over(servers: Sequence[str]) -> Callable[[bytes], int]:
    """The number of the server for a name."""
    with extra("valkey"):
        from uhashring import HashRing

    numbers = {server: number for number, server in enumerate(servers)}
    ring = HashRing(list(servers), hash_fn=hash_of)
    return lambda name: numbers[ring.get_node(name)]


def hash_of(name: str | bytes) -> int:
    """The same in every process."""
    data = name.encode() if isinstance(name, str) else name
    return int.from_bytes(blake2b(data, digest_size=8).digest())
