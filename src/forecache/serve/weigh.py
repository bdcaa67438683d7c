"""What an entry weighs in bytes, estimated."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from sys import getsizeof
from typing import Any, Final

__all__ = ["estimate_bytes"]

BOOKKEEPING_BYTES: Final = 96  # of the cache itself for an entry, at most
MOST_PARTS: Final = 100  # looked at in one container; the others are taken to be like them
MOST_OBJECTS: Final = 1000  # followed in one value; those left then count without what they hold
UNKNOWN_BYTES: Final = 64  # of an object that does not tell its size
LEAVES: Final = (str, bytes, bytearray, int, float, complex, bool, type(None))


def estimate_bytes(key: Any, value: Any) -> int:
    """Bytes that a key, its value and their bookkeeping occupy.

    Containers and plain objects are followed. What several values share counts in each of them; a large
    container is extrapolated from its first parts.
    """
    return BOOKKEEPING_BYTES + bytes_of(key) + bytes_of(value)


def bytes_of(root: Any) -> int:
    """Bytes of an object and of what it holds."""
    if isinstance(root, LEAVES):
        return getsizeof(root)
    total, followed, seen = 0.0, 0, {id(root)}
    todo: deque[tuple[Any, float]] = deque([(root, 1.0)])  # an object, and how many it stands for
    while todo:
        item, copies = todo.popleft()
        total += getsizeof(item, UNKNOWN_BYTES) * copies
        followed += 1
        if followed > MOST_OBJECTS or isinstance(item, LEAVES):
            continue
        count, parts = parts_of(item)
        for part in islice(parts, MOST_PARTS):
            if id(part) not in seen:
                seen.add(id(part))
                todo.append((part, copies * max(1.0, count / MOST_PARTS)))
    return int(total)


def parts_of(item: Any) -> tuple[int, Iterator[Any]]:
    """How many objects an object holds, and those objects."""
    if isinstance(item, dict):
        return 2 * len(item), chain.from_iterable(item.items())
    if isinstance(item, (list, tuple, set, frozenset, deque)):
        return len(item), iter(item)
    slots = [name for kind in type(item).__mro__ for name in getattr(kind, "__slots__", ()) if name != "__dict__"]
    parts = [getattr(item, name) for name in slots if hasattr(item, name)]
    if hasattr(item, "__dict__"):
        parts.append(item.__dict__)
    return len(parts), iter(parts)
