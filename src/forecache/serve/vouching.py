"""`Vouching`: until when the copies of this process may answer strongly, and how the sequencer knows that they do."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any, Final

from forecache._core import now
from forecache.coherence.beacons.reader import Reader
from forecache.serve.tiers.beacons import poll, tell
from forecache.serve.tiers.ears import Ear
from forecache.serve.tiers.lane import LaneError
from forecache.serve.tiers.routes import Node, Routes

__all__ = ["Vouching"]

RETRY_SECONDS: Final = 0.5  # after a connection failed
UNKNOWN: Final = float("-inf")


class Vouching:
    """Of one process; it begins with the first strong read, since from then on commits wait for this process."""

    def __init__(self, routes: Routes) -> None:
        """Nobody wants it."""
        self.is_wanted = False
        self._routes = routes
        self._name = secrets.token_hex(8)
        self._requests = 0
        self._of_shards = [UNKNOWN] * routes.shards
        self._until = UNKNOWN
        self._ears: dict[int, Ear] = {}
        self._retry_at: dict[int, float] = {}

    def reaches(self, at: float) -> bool:
        """Whether copies that are looked up after this call are what the database shows at a moment that is now."""
        self.is_wanted = True
        return at <= self._until

    def prove(self, shard: int, until: float) -> None:
        """The copies of one shard may answer until then."""
        self._of_shards[shard] = until
        self._until = min(self._of_shards)

    def poll(self, shard: int, reader: Reader) -> tuple[Any, ...]:
        """What to ask a shard."""
        self._requests += 1
        name = self._name if self.is_wanted else ""
        return poll(self._routes.layout(shard), reader.position, reader=name, request=self._requests)

    def tell(self, shard: int, reader: Reader) -> tuple[Any, ...]:
        """What to tell a shard, when all that it held is held here."""
        return tell(self._routes.layout(shard), reader.epoch, self._name, reader.position)

    def pause(self, server: int, node: Node | None, seconds: float) -> bool:
        """Waits until a server says that something is held, but not longer; False if it must be waited otherwise."""
        if not self.is_wanted or node is None:
            return False
        try:
            ear = self._ear(server, node)
            if ear is None:
                return False
            if ear.wait(seconds):
                for _ in ear.heard():
                    pass
        except LaneError:
            self._ears.pop(server).close()
            return False
        return True

    def close(self, server: int) -> None:
        """Listens to a server no more."""
        ear = self._ears.pop(server, None)
        if ear is not None:
            ear.close()

    def _ear(self, server: int, node: Node) -> Ear | None:
        if server not in self._ears and now() >= self._retry_at.get(server, UNKNOWN):
            self._retry_at[server] = now() + RETRY_SECONDS
            channels = {self._routes.layout(shard).log() for shard in self._routes.shards_of(server)}
            with suppress(LaneError):
                self._ears[server] = Ear(self._routes.connect(node), channels)
        return self._ears.get(server)
