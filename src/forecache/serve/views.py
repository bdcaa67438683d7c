"""What `items()` and `values()` of a cache return: looking at them counts nothing and changes nothing."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from forecache.serve.cache import Cache

__all__ = ["Items", "Values"]

K = TypeVar("K")
V = TypeVar("V")


class Items(ItemsView[K, V]):
    """Pairs of a cache, read without touching it."""

    _mapping: Cache[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        """All pairs that are not expired."""
        return iter(self._mapping._snapshot())

    def __contains__(self, item: object) -> bool:
        """Whether a key has that value."""
        key, value = cast("tuple[K, V]", item)
        entry = self._mapping.peek(key)
        return entry is not None and (entry.value is value or entry.value == value)


class Values(ValuesView[V]):
    """Values of a cache, read without touching it."""

    _mapping: Cache[Any, V]

    def __iter__(self) -> Iterator[V]:
        """All values that are not expired."""
        return (value for _, value in self._mapping._snapshot())

    def __contains__(self, value: object) -> bool:
        """Whether some key has that value."""
        return any(mine is value or mine == value for mine in self)
