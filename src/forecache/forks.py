"""Forks: in a child process the parent's other threads do not run, and what they were doing must not be waited for."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

__all__ = ["renew_after_fork", "rest_at_fork"]


class Forked(Protocol):
    """What holds locks, or waits for threads."""

    def after_fork(self) -> None:
        """Begins anew in a child process."""


class Resting(Protocol):
    """What must not be in use at a fork."""

    def rest(self) -> None:
        """Comes to rest, before a fork."""

    def resume(self) -> None:
        """Goes on in the parent, after a fork."""


living: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()
resting: Final[weakref.WeakSet[Resting]] = weakref.WeakSet()


def renew_after_fork(thing: Forked) -> None:
    """Calls its `after_fork` in every child process, as long as it lives."""
    living.add(thing)


def rest_at_fork(thing: Resting) -> None:
    """Calls its `rest` before every fork and its `resume` in the parent after it, as long as it lives."""
    resting.add(thing)


def renew_all() -> None:
    """In the child, before anything else runs there."""
    for thing in list(living):
        thing.after_fork()


def rest_all() -> None:
    """In the parent, before the fork."""
    for thing in list(resting):
        thing.rest()


def resume_all() -> None:
    """In the parent, after the fork."""
    for thing in list(resting):
        thing.resume()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=rest_all, after_in_parent=resume_all, after_in_child=renew_all)
