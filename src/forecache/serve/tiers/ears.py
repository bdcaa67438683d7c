"""`Ear`: a connection on which a server says that something happened; what it fails to say is noticed later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from forecache.serve.tiers.lane import Lane, LaneError

__all__ = ["Ear"]


class Ear:
    """Of one thread."""

    def __init__(self, lane: Lane, channels: Iterable[bytes]) -> None:
        """Subscribes.

        Raises:
            LaneError: that failed.
        """
        self._lane = lane
        lane.subscribe(list(channels))

    def fileno(self) -> int:
        """To wait for; -1 if the connection is over."""
        return self._lane.fileno()

    def wait(self, seconds: float) -> bool:
        """Waits until something is said, but not longer; whether something was.

        Raises:
            LaneError: the connection failed.
        """
        return self._lane.is_ready(seconds)

    def heard(self) -> Iterator[tuple[bytes, bytes]]:
        """Channels, and what was said there.

        Raises:
            LaneError: the connection failed.
        """
        while self._lane.is_ready():
            _, channel, content = self._lane.hear()
            yield channel, content

    def close(self) -> None:
        """Hears no more."""
        with suppress(LaneError):
            self._lane.close()
