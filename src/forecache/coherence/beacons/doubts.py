"""`Doubts`: transactions that run when a synchronous sequencer begins, and of which it cannot know what they wait for.

One that committed and was acknowledged by the sequencer before us is told to nobody again; it may be seen at any
moment, and nobody ends its rows then. One that looked whether it has to wait just before it had to does not wait. Both
run, as snapshots have it, when we look for the first time.
"""

from __future__ import annotations

from collections.abc import Iterable

from forecache.coherence.changes import Snapshot

__all__ = ["Doubts"]


class Doubts:
    """They are over when all of those transactions have ended."""

    def __init__(self) -> None:
        """Nobody looked yet."""
        self._told: dict[int, bool] | None = None

    @property
    def are_over(self) -> bool:
        """Whether it is known of each commit that can be seen from now on that it waited for us."""
        return self._told is not None and not self._told

    def begin(self) -> None:
        """The next snapshot tells who runs."""
        self._told = None

    def saw(self, snapshot: Snapshot) -> None:
        """A snapshot; the first one counts."""
        if self._told is None:
            self._told = dict.fromkeys(snapshot.running, False)

    def add(self, snapshot: Snapshot, parked: Iterable[int]) -> None:
        """Commits wait from now on; those that run may have decided otherwise. Of some was told that they committed."""
        known = set(parked)
        self._told = {xid: xid in known for xid in snapshot.running} | (self._told or {})

    def tell(self, xid: int) -> None:
        """A transaction was told, so it was not acknowledged before."""
        if self._told and xid in self._told:
            self._told[xid] = True

    def pass_by(self, snapshot: Snapshot) -> bool:
        """All that a snapshot sees has been told, if it ever is; whether something else ended, which may be a write."""
        told = self._told or {}
        ended = {xid: was_told for xid, was_told in told.items() if snapshot.sees(xid)}
        for xid in ended:
            del told[xid]
        return not all(ended.values())
