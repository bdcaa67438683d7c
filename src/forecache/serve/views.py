"""A cache as a mapping: looking at its items and values counts nothing and changes nothing."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from forecache.serve.signal import MISSING

if TYPE_CHECKING:
    from forecache.serve.cache import Cache

__all__ = ["StoredMapping"]

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


class StoredMapping(MutableMapping[K, V]):
    """What a mapping owes its users, over a store that gives its entries up at any time."""

    __slots__ = ()

    def pop(self, key: K, default: Any = MISSING) -> Any:
        """Removes a key and returns its value, else `default`; of several who ask at once, one gets the value."""
        cache = cast("Cache[K, V]", self)
        value = cache.get(key, MISSING)
        if value is not MISSING and cache.delete(key):
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Removes some entry, and returns its key and value."""
        cache = cast("Cache[K, V]", self)
        for key, value in cache._snapshot():
            if cache.delete(key):
                return key, value
        raise KeyError("the cache is empty")

    def items(self) -> ItemsView[K, V]:
        """Keys and values as of now; looking at them counts nothing and changes nothing."""
        return Items(cast("Cache[K, V]", self))

    def values(self) -> ValuesView[V]:
        """Values as of now; looking at them counts nothing and changes nothing."""
        return Values(cast("Cache[K, V]", self))

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled or copied."""
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied, since threads may be waiting in it; "
            "make one where it is needed, and pass it dict(cache.items())"
        )
