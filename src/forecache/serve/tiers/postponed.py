"""Postponed: invalidations that a server has not confirmed, and must before anything is read from it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from forecache.forks import renew_after_fork
from forecache.serve.tiers.link import Command

__all__ = ["Gone", "Postponed", "Taken", "deletions"]

MOST: Final = 10_000  # keys; beyond it whole tables are invalidated in their place


class Gone(NamedTuple):
    """A key of Valkey to delete: of a place, or of a table's epoch."""

    shard: int
    name: bytes
    epoch: bytes  # the key of the epoch of its table in its shard, whose end is the end of all its places


Taken = Mapping[Gone, int]


class Postponed:
    """A bounded set; what is added again while it is under way is not confirmed by that."""

    def __init__(self, most: int = MOST) -> None:
        """Empty; holds `most` keys, and in place of more the epochs of their tables."""
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[Gone, int] = {}
        self._number = 0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a child process nobody holds the lock; delivering what the parent delivers too is harmless."""
        self._lock = threading.Lock()

    def add(self, gone: Iterable[Gone]) -> None:
        """To be deleted."""
        with self._lock:
            self._number += 1
            self._waiting |= dict.fromkeys(gone, self._number)
            if len(self._waiting) > self._most:
                self._waiting = {Gone(each.shard, each.epoch, each.epoch): self._number for each in self._waiting}

    def take(self) -> Taken:
        """All that waits; it goes on waiting until it is confirmed."""
        if not self._waiting:
            return {}
        with self._lock:
            return dict(self._waiting)

    def confirm(self, taken: Taken) -> None:
        """The server deleted what was taken."""
        with self._lock:
            for gone, number in taken.items():
                if self._waiting.get(gone) == number:
                    del self._waiting[gone]

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._waiting)


def deletions(taken: Taken) -> list[Command]:
    """The commands that delete what was taken: one for each shard, whose keys are in one slot."""
    shards: dict[int, list[bytes]] = {}
    for gone in taken:
        shards.setdefault(gone.shard, []).append(gone.name)
    return [("UNLINK", *names) for names in shards.values()]
