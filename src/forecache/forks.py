"""Forks: in a child process the parent's other threads do not run, and what they were doing must not be waited for."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

__all__ = ["renew_after_fork"]


class Forked(Protocol):
    """What holds locks, or waits for threads."""

    def after_fork(self) -> None:
        """Begins anew in a child process."""


living: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()


def renew_after_fork(thing: Forked) -> None:
    """Calls its `after_fork` in every child process, as long as it lives."""
    living.add(thing)


def renew_all() -> None:
    """In the child, before anything else runs there."""
    for thing in list(living):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_all)
