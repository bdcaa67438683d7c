"""`asked_in`: what a thread asks of the tasks of another thread's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from forecache.errors import ConfigurationError, OriginUnavailableError
from forecache.serve.flight import running_loop

__all__ = ["asked_in"]

T = TypeVar("T")


def asked_in(
    loop: asyncio.AbstractEventLoop | None, work: Callable[[], Coroutine[Any, Any, T]], name: str, seconds: float
) -> T:
    """What work brings as a task of a loop that runs in another thread; it is cancelled when its time is over.

    Args:
        loop: where to do it; None if no task was seen yet.
        work: begins it.
        name: of who is asked, in errors.
        seconds: to wait for it.

    Raises:
        ConfigurationError: this thread runs a loop itself, which would wait for itself.
        OriginUnavailableError: the loop does not run, does not come to it, or ends meanwhile.
    """
    if running_loop() is not None:
        raise ConfigurationError(
            f"{name} serves tasks only, and a loop runs here; await the methods that begin with 'a'"
        )
    if loop is None or not loop.is_running():
        raise OriginUnavailableError(f"{name} serves tasks only, and none of their loops runs")
    begun = work()
    try:
        answer = asyncio.run_coroutine_threadsafe(begun, loop)
    except RuntimeError as error:  # it was closed meanwhile
        begun.close()
        raise OriginUnavailableError(f"{name} serves tasks only, and their loop has ended") from error
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        answer.cancel()
        raise OriginUnavailableError(f"{name} did not answer a task within {seconds:g} s") from error
    except CancelledError as error:
        raise OriginUnavailableError(f"{name} serves tasks only, and their loop ends") from error
