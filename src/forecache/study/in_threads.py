"""`in_threads`: pieces of work, some at once; whatever interrupts, no thread is left behind and no future locked."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import Final, TypeVar

__all__ = ["STEPS", "in_threads", "replayed"]

TICK_SECONDS: Final = 0.1
STEPS: Final = 50_000  # accesses between two looks at whether to stop: some 10 ms

Result = TypeVar("Result")


def in_threads(
    work: Callable[[int, Event], Result], count: int, *, jobs: int, on_tick: Callable[[int], object]
) -> list[Result]:
    """What each piece of work returns.

    Args:
        work: is given the number of a piece, below `count`, and an event after which it should end.
        count: of pieces.
        jobs: threads.
        on_tick: told how many pieces are done, about ten times a second and at the end, from the calling thread.

    Raises:
        Exception: what the first piece that failed raised, or `on_tick`; the others end.
    """
    stop, ended = Event(), SimpleQueue[Future[Result]]()
    with ThreadPoolExecutor(jobs, thread_name_prefix="forecache-study") as pool:
        try:
            futures = [pool.submit(work, number, stop) for number in range(count)]
            for future in futures:
                future.add_done_callback(ended.put)
            running = count
            while running:
                on_tick(count - running)
                running -= _ended_within_a_tick(ended, running)
            on_tick(count)
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def replayed(run: Callable[[int], Result], steps: int, stop: Event) -> Result:
    """What `run` tells after so many accesses, a slice at a time; after fewer where a stop is asked for."""
    result = run(min(STEPS, steps))
    for start in range(STEPS, steps, STEPS):
        if stop.is_set():
            break
        result = run(min(STEPS, steps - start))
    return result


def _ended_within_a_tick(ended: SimpleQueue[Future[Result]], running: int) -> int:
    """How many of those that were running end; raises what the first failure raised.

    A queue, since `concurrent.futures.wait` locks every future: an interrupt there leaves some locked for ever.
    """
    until, count = time.monotonic() + TICK_SECONDS, 0
    with suppress(Empty):
        while count < running:
            ended.get(timeout=max(0.0, until - time.monotonic())).result()
            count += 1
    return count
