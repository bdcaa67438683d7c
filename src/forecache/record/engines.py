"""Engines: what runs one function over many partitions; whichever it is, results come in the order of the partitions.

A function that is given to an engine is one of a module, or a partial of such, so that other processes find it, and
what it returns is small. Sums are made by the caller, in order: so results are the same, to the last bit, on all.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from forecache.errors import ConfigurationError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Run", "in_turn", "on_cores", "on_dask"]

T = TypeVar("T")
R = TypeVar("R")


class Run(Protocol):
    """Applies a function to every item."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> Iterable[R]:
        """The results in the order of the items; raises what the function raises."""


def in_turn(function: Callable[[T], R], items: Sequence[T], /) -> Iterable[R]:
    """One after the other in this process: memory is that of one item."""
    return map(function, items)


def on_cores(workers: int) -> Run:
    """In so many processes of this machine; memory is that of as many items.

    Raises:
        ConfigurationError: workers is below 1.
    """
    if workers < 1:
        raise ConfigurationError(f"workers is {workers}; expected 1 or more, the number of processes")

    def run(function: Callable[[T], R], items: Sequence[T], /) -> Iterator[R]:
        spawn = multiprocessing.get_context("spawn")  # the threads of Polars do not survive a fork
        with ProcessPoolExecutor(min(workers, max(len(items), 1)), mp_context=spawn) as pool:
            yield from pool.map(function, items)

    return run


def on_dask(client: Client) -> Run:
    """On the workers of a Dask cluster, which see the files under the same paths and have forecache installed.

    Args:
        client: of `distributed`, connected to a scheduler or to a `LocalCluster`.
    """

    def run(function: Callable[[T], R], items: Sequence[T], /) -> Iterable[R]:
        tasks = client.map(function, items, pure=False)
        return client.gather(tasks)  # type: ignore[no-any-return, no-untyped-call]

    return run
