"""Threads for tests: they all end within seconds, or the test fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

SECONDS = 10.0  # after which a test calls it a deadlock


def start(act: Callable[[], Any]) -> Future[Any]:
    """Runs `act` in a thread that no test waits for in vain."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def outcome(future: Future[Any]) -> Any:
    """What it returned, or the error it raised."""
    error = future.exception(SECONDS)
    return future.result() if error is None else error


def until(condition: Callable[[], object]) -> None:
    """Waits for something to become true."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


class Gate:
    """A loader that says when it was entered, and returns when it may."""

    def __init__(self, value: Any = "loaded") -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.value = value
        self.calls = 0

    def __call__(self, *_: Any) -> Any:
        self.calls += 1
        self.entered.set()
        assert self.opened.wait(SECONDS), "nobody opened the gate"
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value

    def wait(self) -> None:
        assert self.entered.wait(SECONDS), "nobody entered the gate"

    def open(self) -> None:
        self.opened.set()
