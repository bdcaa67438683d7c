"""What an entry weighs in bytes, estimated."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable
from itertools import chain, islice
from sys import getrefcount, getsizeof
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

__all__ = ["estimate_bytes"]

BOOKKEEPING_BYTES: Final = 96  # of the cache itself for an entry, at most
ATTRIBUTE_BYTES: Final = 8  # of an attribute kept in the object itself, which its size leaves out
MOST_PARTS: Final = 100  # looked at in one container; the others are taken to be like them
MOST_OBJECTS: Final = 1000  # followed in one value; those left then count without what they hold
UNKNOWN_BYTES: Final = 64  # of an object that does not tell its size
LEAVES: Final = (str, bytes, bytearray, int, float, complex, bool, type(None))
CONTAINERS: Final = (list, tuple, set, frozenset, deque)
OF_THE_PROGRAM: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)
MANY_REFERENCES: Final = 100  # to an object that no single value owns
SMALL_BYTES: Final = 128


def estimate_bytes(key: Any, value: Any) -> int:
    """Bytes that a key, its value and their bookkeeping occupy.

    Containers and plain objects are followed, and none of their code runs but `__sizeof__`. A large container is
    extrapolated from its first parts. What several values share counts in each of them, except small strings and
    numbers that are everywhere, such as the keys of rows. For values made of strings, numbers, containers, dataclasses
    and plain objects that share nothing else, the estimate is within 30 percent of what they occupy.
    """
    return BOOKKEEPING_BYTES + bytes_of(key) + bytes_of(value)


def bytes_of(root: Any) -> int:
    """Bytes of an object and of what it holds."""
    if issubclass(type(root), LEAVES):
        return size_of(root)
    total, followed, seen = 0.0, 0, {id(root)}
    todo: deque[tuple[Any, float]] = deque([(root, 1.0)])  # an object, and how many it stands for
    while todo:
        item, copies = todo.popleft()
        total += size_of(item) * copies
        followed += 1
        if followed > MOST_OBJECTS or issubclass(type(item), LEAVES):
            continue
        count, parts = parts_of(item)
        if getattr(type(item), "__dictoffset__", 0):
            total += ATTRIBUTE_BYTES * count * copies
        for part in parts:
            if id(part) not in seen and not is_everywhere(part):
                seen.add(id(part))
                todo.append((part, copies * max(1.0, count / MOST_PARTS)))
    return int(total)


def is_everywhere(part: Any) -> bool:
    """Whether an object would be there without the value too: code, and small constants that many others hold."""
    kind = type(part)
    return issubclass(kind, OF_THE_PROGRAM) or (
        getrefcount(part) > MANY_REFERENCES and issubclass(kind, LEAVES) and size_of(part) < SMALL_BYTES
    )


def size_of(item: Any) -> int:
    """Bytes of an object without what it holds."""
    try:
        return getsizeof(item)
    except Exception:  # noqa: BLE001 - whatever its __sizeof__ raised
        return UNKNOWN_BYTES


def parts_of(item: Any) -> tuple[int, Iterable[Any]]:
    """How many objects an object holds, and the first of those: a list of its own, since others may change it."""
    if issubclass(type(item), dict):
        return 2 * dict.__len__(item), list(islice(chain.from_iterable(dict.items(item)), MOST_PARTS))
    kind: Any = next((kind for kind in CONTAINERS if issubclass(type(item), kind)), None)
    if kind is not None:
        return kind.__len__(item), list(islice(kind.__iter__(item), MOST_PARTS))
    parts = gc.get_referents(item)
    return len(parts), parts[:MOST_PARTS]
