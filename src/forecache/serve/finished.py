"""`finished`: what a task must bring to its end, though it may be cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["finished"]

T = TypeVar("T")


async def finished(work: asyncio.Future[T] | Coroutine[Any, Any, T]) -> T:
    """The result of what is not interrupted; a cancellation waits until then, and is raised in its place.

    Raises:
        CancelledError: this task was cancelled meanwhile; an error of the work is its cause.
    """
    future, cancelled = asyncio.ensure_future(work), None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from (None if future.cancelled() else future.exception())
    return future.result()
