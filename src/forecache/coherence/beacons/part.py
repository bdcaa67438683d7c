"""`Part`: what a sequencer knows of one shard, and `Pending`: what it has not brought there yet."""

from __future__ import annotations

from collections import deque

from forecache.coherence.beacons.effects import Effect
from forecache.coherence.changes import Change

__all__ = ["Part", "Pending"]


class Pending:
    """A position of the database's log, and what is still to happen before it is done with."""

    __slots__ = ("open", "position")

    def __init__(self, position: int, waits: int) -> None:
        """Waits for so many things."""
        self.position = position
        self.open = waits


class Part:
    """What is known of a shard."""

    def __init__(self, number: int) -> None:
        """Not connected."""
        self.number = number
        self.epoch = ""  # "" while there is no connection
        self.last = 0  # entry
        self.sent: deque[tuple[Effect, tuple[Pending, ...]]] = deque()  # not answered yet
        self.begins = False  # a beacon was sent, and not answered
        self.begun = 0  # number of a beacon that began, and was not sampled; 0 for none
        self.sampled = 0  # number of one that was sampled, and did not end; 0 for none
        self.began_at = float("-inf")
        self.changes: dict[Change, None] = {}  # to apply next
        self.waiting: dict[Pending, None] = {}  # for that

    def rest(self) -> None:
        """Forgets its beacon."""
        self.begins, self.begun, self.sampled, self.began_at = False, 0, 0, float("-inf")

    def forsake(self) -> None:
        """What was to be applied to this epoch is as good as applied: nothing of it counts any more."""
        for pending in (*(pending for _, pending in self.sent), tuple(self.waiting)):
            for each in pending:
                each.open -= 1
        self.sent = deque((effect, ()) for effect, _ in self.sent)  # which will still be answered
        self.changes, self.waiting = {}, {}
        self.epoch, self.last = "", 0
        self.rest()

    def lose(self) -> None:
        """Its connection is gone, and with it the answers."""
        self.forsake()
        self.sent.clear()
