"""Waiting for what runs in threads, so that an interrupt leaves no future locked."""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

__all__ = ["ended_within_a_tick"]

TICK_SECONDS: Final = 0.1  # between two reports of progress


def ended_within_a_tick(ended: SimpleQueue[Future[Any]], running: int) -> int:
    """How many of those that were running end within a tick; raises what the first failure raised.

    A queue, since `concurrent.futures.wait` locks every future: an interrupt there leaves some locked for ever.
    """
    until, count = time.monotonic() + TICK_SECONDS, 0
    with suppress(Empty):
        while count < running:
            ended.get(timeout=max(0.0, until - time.monotonic())).result()
            count += 1
    return count
