"""`Questions`: what one process asks shards that it follows, and tells them, so that commits need not wait for it.

It decides and sends nothing. Whoever follows says what was applied, and sends what comes out on the connection on which
it asks for the log, in this order: that something was told is known before the next answer.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.shard import Entry
from forecache.coherence.beacons.tables import meet, named, record_of
from forecache.serve.tiers.beacons import MOST_ENTRIES, Asker, poll, tell
from forecache.serve.tiers.layout import Layout

__all__ = ["Questions"]


class Questions:
    """Of one process; shards know it by its name from when strong answers are wanted."""

    def __init__(self, layout: Callable[[int], Layout], name: str) -> None:
        """Nobody wants strong answers yet."""
        self.wanted: frozenset[str] = frozenset()  # tables of which strong answers are wanted: more and more
        self._layout, self._name = layout, name
        self._lock = threading.Lock()
        self._requests = Counter[int]()  # to each shard: one that arrives late must not overwrite a later one
        self._to_tell: set[int] = set()  # shards that are to know that all they held is held here

    def want(self, table: str) -> None:
        """Strong answers are wanted of a table, as long as the process runs."""
        if table not in self.wanted:
            with self._lock:
                self.wanted |= {table}

    def applied(self, shard: int, entries: Iterable[Entry]) -> None:
        """What is held was dropped here, and is held; the shard need not know of tables that are not wanted."""
        held = frozenset(change.table for entry in entries for change in entry.held)
        if held and meet(named(self.wanted), held):
            self._to_tell.add(shard)

    def told(self, shards: Iterable[int], readers: Sequence[Reader]) -> list[tuple[Any, ...]]:
        """What lets those of the shards know that are to know something; each is told once."""
        told = self._to_tell.intersection(shards)
        self._to_tell -= told
        return [tell(self._layout(shard), readers[shard].epoch, self._name, readers[shard].position) for shard in told]

    def asked(
        self, shards: Iterable[int], readers: Sequence[Reader], most: int = MOST_ENTRIES
    ) -> tuple[list[tuple[Any, ...]], frozenset[str]]:
        """What asks for the logs of shards, for so many entries of each; and the tables that are wanted, as it says."""
        wanted, requests = self.wanted, []
        tables = named(wanted)
        for shard in shards:
            self._requests[shard] += 1
            position = readers[shard].position
            who = Asker(self._name, record_of(position, self._requests[shard], tables), readers[shard].epoch)
            requests.append(poll(self._layout(shard), position, who if wanted else None, most=most))
        return requests, wanted
