"""`Patience`: how long a sequencer may say nothing before the database gives it up, and lets another lead.

A short time makes takeovers short. On a machine with many times more work than cores it is too short for those who are
alive as well, and candidates would take over from each other without end. So one that lost the source
soon after it took it, and had not got round for about as long as it might be silent, and that not for the first time,
asks for twice the time when it leads again; and for half of it, by letting go of the source once, when for a minute it
never needed a quarter of that. Time for which it was stopped is no reason: the other was not slower for it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CALM_SECONDS", "MOST_SECONDS", "QUICK_SECONDS", "Patience"]

MOST_SECONDS: Final = 4.0  # beyond what was asked for it does not grow
QUICK_SECONDS: Final = 20.0  # a source that was lost in less than that was lost soon
CALM_SECONDS: Final = 60.0  # after which it may shrink


class Patience:
    """Of one candidate; all moments are of one clock."""

    def __init__(self, least: float) -> None:
        """As long as was asked for, in seconds."""
        self.seconds = self._least = least
        self._began_at = self._round_at = self._looked_at = 0.0
        self._longest = 0.0  # between two rounds, since it was looked at
        self._leads = False
        self._times = 0  # that it lost it soon, one after the other

    def began(self, now: float) -> None:
        """The source is ours."""
        self._began_at = self._round_at = self._looked_at = now
        self._longest, self._leads = 0.0, True

    def is_over(self, now: float) -> bool:
        """A round of one that leads; whether it should begin anew, since half the time would be enough."""
        self._note(now)
        if now - self._looked_at < CALM_SECONDS:
            return False
        is_calm = self._longest < self.seconds / 8  # a quarter of the half
        self._looked_at, self._longest = now, 0.0
        if not is_calm or self.seconds <= self._least:
            return False
        self.seconds = max(self._least, self.seconds / 2)
        return True

    def lost(self, now: float, stopped: float = 0.0) -> None:
        """The source was taken from us, or failed; since it was ours, we were stopped for so many seconds."""
        if not self._leads:
            return
        self._note(now)
        self._leads = False
        is_soon = now - self._began_at < QUICK_SECONDS and self._longest - stopped > self.seconds / 2
        self._times = self._times + 1 if is_soon else 0
        if self._times > 1:
            self.seconds = max(self._least, min(2 * self.seconds, MOST_SECONDS))

    def _note(self, now: float) -> None:
        self._longest = max(self._longest, now - self._round_at)
        self._round_at = now
