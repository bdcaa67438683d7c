"""`Questions`: what one process asks shards that it follows, and tells them, so that commits need not wait for it.

It decides and sends nothing. Whoever follows says what was applied, and sends what comes out on the connection on which
it asks for the log, in this order: that something was told is known before the next answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.shard import Entry
from forecache.serve.tiers.beacons import MOST_ENTRIES, poll, tell
from forecache.serve.tiers.layout import Layout

__all__ = ["Questions"]


class Questions:
    """Of one process; shards know it by its name from when strong answers are wanted."""

    def __init__(self, layout: Callable[[int], Layout], name: str) -> None:
        """Nobody wants strong answers yet."""
        self.is_wanted = False
        self._layout, self._name = layout, name
        self._requests = 0
        self._to_tell: set[int] = set()  # shards that are to know that all they held is held here

    def applied(self, shard: int, entries: Iterable[Entry]) -> None:
        """What is held was dropped here, and is held."""
        if self.is_wanted and any(entry.held for entry in entries):
            self._to_tell.add(shard)

    def told(self, shards: Iterable[int], readers: Sequence[Reader]) -> list[tuple[Any, ...]]:
        """What lets those of the shards know that are to know something; each is told once."""
        told = self._to_tell.intersection(shards)
        self._to_tell -= told
        return [tell(self._layout(shard), readers[shard].epoch, self._name, readers[shard].position) for shard in told]

    def asked(
        self, shards: Iterable[int], readers: Sequence[Reader], most: int = MOST_ENTRIES
    ) -> list[tuple[Any, ...]]:
        """What asks for the logs of shards, for so many entries of each."""
        name, requests = self._name if self.is_wanted else "", []
        for shard in shards:
            self._requests += 1
            position, epoch, layout = readers[shard].position, readers[shard].epoch, self._layout(shard)
            requests.append(poll(layout, position, reader=name, epoch=epoch, request=self._requests, most=most))
        return requests
