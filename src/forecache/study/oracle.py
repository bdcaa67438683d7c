"""The oracle: for each lookup, the next one that an entry stored now can still answer."""

from __future__ import annotations

from typing import Final

from forecache.extras import TRACES, extra

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["NEVER", "next_lookups"]

NEVER: Final = 2**64 - 1  # as in the core: the key is not looked up again


def next_lookups(key: npt.NDArray[np.uint64], written: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """For the n-th lookup, the number of the next lookup of its key, counted in lookups from 0.

    `NEVER` if there is none, or if the key is written before: the write invalidates the entry, so nothing that is
    kept until then can profit. With this oracle MIN is optimal among policies that admit every key, because a key
    after a write is, to a cache, another key.

    Args:
        key: of every access in order, shape (accesses,).
        written: whether the access is a write, shape (accesses,).

    Returns:
        Shape (lookups,), where lookups = accesses − writes; the form of `oracle` in `_core.Store`.

    Source: Belady, IBM Sys. J. 5(2), 1966.
    """
    order = np.argsort(key, kind="stable")  # by key, and then by time
    number = np.cumsum(~written) - 1  # of the lookup, counted in lookups
    ahead = np.full(key.size, NEVER, dtype=np.uint64)
    now, later = order[:-1], order[1:]
    profits = (key[now] == key[later]) & ~written[later]
    ahead[now[profits]] = number[later[profits]]
    return ahead[~written]
