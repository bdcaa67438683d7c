"""A history of reads and writes, and whether it keeps what certificates say; O(n log n).

The database gives each key's versions in the order of commits, so that no search is needed. For a read of version v:
it had been written (its write began before the read ended); it is not older than its certificate says (no later version
was acknowledged before the read began, less its age); and if that age is 0, no read that ended before it began found
a later version, of which the first two would not tell.
Gibbons & Korach, "Testing Shared Memories", SIAM J. Comput. 26(4), 1997, section 4 (write order given).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WRITE = np.dtype([("key", "i8"), ("version", "i8"), ("began", "f8"), ("ended", "f8")])
READ = np.dtype([*WRITE.descr, ("max_age", "f8"), ("bound", "f8")])  # bound: the largest age that its level allows

Writes = NDArray[Any]  # of WRITE; version 0 was there before
Reads = NDArray[Any]  # of READ


def violations(writes: Writes, reads: Reads) -> list[str]:
    """What of the history cannot be, in words."""
    found = [*beyond_level(reads)]
    for key in np.unique(reads["key"]):
        mine, others = reads[reads["key"] == key], writes[writes["key"] == key]
        found += [f"key {key}: {told}" for told in of_key(np.sort(others, order="version"), mine)]
    return found


def beyond_level(reads: Reads) -> list[str]:
    """Certificates that their level does not allow."""
    return [f"{read} is older than its level allows" for read in reads[reads["max_age"] > reads["bound"]]]


def of_key(writes: Writes, reads: Reads) -> list[str]:
    """The same for the versions of one key, in their order from 1 on."""
    count = len(writes)
    if not np.array_equal(writes["version"], np.arange(1, count + 1)):
        return ["the history of writes is not whole"]
    found = [f"{read} was never written" for read in reads[(reads["version"] < 0) | (reads["version"] > count)]]
    reads = reads[(reads["version"] >= 0) & (reads["version"] <= count)]
    began = np.concatenate([[-np.inf], writes["began"]])
    found += [f"{read} was written later" for read in reads[began[reads["version"]] > reads["ended"]]]
    acknowledged = np.append(np.minimum.accumulate(writes["ended"][::-1])[::-1], np.inf)  # of any later version
    stale = acknowledged[reads["version"]] < reads["began"] - reads["max_age"]
    found += [f"{read} is older than its certificate" for read in reads[stale]]
    return found + inversions(reads[reads["max_age"] == 0])


def inversions(reads: Reads) -> list[str]:
    """Reads of an older version than one that ended before they began had found."""
    by_end = np.sort(reads, order="ended")
    newest = np.concatenate([[-1], np.maximum.accumulate(by_end["version"])]) if len(reads) else np.zeros(1)
    before = newest[np.searchsorted(by_end["ended"], reads["began"], side="left")]
    return [f"{read} went back in time" for read in reads[before > reads["version"]]]


def contended(writes: Writes, reads: Reads, seconds: float = 0.05) -> int:
    """Reads within some time of a write of their key."""
    count = 0
    for key in np.unique(reads["key"]):
        moments = np.sort(writes["ended"][writes["key"] == key])
        began = reads["began"][reads["key"] == key]
        near = np.searchsorted(moments, began + seconds) > np.searchsorted(moments, began - seconds)
        count += int(near.sum())
    return count
