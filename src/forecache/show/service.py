"""The demo's service: a request is parsed, answered from the cache or else from the database; a write invalidates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from forecache import Cache, _core
from forecache.show.database import Database

__all__ = ["Foresight", "ReadThrough", "Service", "Uncached", "front_of"]

REQUEST: Final = re.compile(r"(GET|PUT) /product/(\d{1,18})(?: price=(\d{1,18}))?")
FORMS: Final = "GET /product/7, or PUT /product/7 price=1999 in cents"
MISSING: Final = object()

Load = Callable[[int], bytes]


class ReadThrough(Protocol):
    """What the service needs of a cache; `forecache.Cache` is one."""

    def get_or_load(self, key: int, loader: Load) -> bytes:
        """The value of a key, from the loader if it is not here."""

    def delete(self, key: int) -> Any:
        """Forgets a key."""


class Uncached:
    """No cache: every read goes to the database."""

    def get_or_load(self, key: int, loader: Load) -> bytes:
        """What the loader says."""
        return loader(key)

    def delete(self, key: int) -> None:
        """Nothing is kept."""


class Foresight(_core.Store[int, bytes]):
    """The store that a `Cache` is, with an oracle: for a policy that has to know the future, which no `Cache` has."""

    def get_or_load(self, key: int, loader: Load) -> bytes:
        """The value of a key, loaded and stored if it is not here."""
        value: Any = self.get(key, MISSING)
        if value is MISSING:
            value = loader(key)
            self.set(key, value)
        return value  # type: ignore[no-any-return]


def front_of(policy: str | None, capacity: int, oracle: memoryview, seed: int) -> ReadThrough:
    """What stands before the database: nothing, a cache, or, for policies that need it, a store with an oracle."""
    if policy is None:
        return Uncached()
    if policy in _core.OFFLINE_POLICIES:
        return Foresight(capacity, policy, seed=seed, oracle=oracle)
    return Cache[int, bytes](capacity, policy=policy, seed=seed)


class Service:
    """Answers requests of the shop."""

    def __init__(self, database: Database, cache: ReadThrough) -> None:
        """Reads through `cache`; writes to `database`, and then invalidates in `cache`."""
        self._database = database
        self._cache = cache

    def handle(self, request: str) -> bytes:
        """The answer to a request, as JSON."""
        parts = REQUEST.fullmatch(request)
        if parts is None or (parts[1] == "PUT") != (parts[3] is not None):
            return encode({"error": f"request {request!r} is not understood; expected {FORMS}"})
        product = int(parts[2])
        if parts[3] is not None:
            return self._write(product, int(parts[3]))
        return self._cache.get_or_load(product, self._page)

    def _page(self, product: int) -> bytes:
        """What is cached: the page of a product, from the database."""
        found = self._database.load(product)
        return encode({"error": f"there is no product {product}"} if found is None else found._asdict())

    def _write(self, product: int, cents: int) -> bytes:
        """Commits first, then invalidates: whoever loads after the invalidation finds what was committed."""
        self._database.set_price(product, cents)
        self._cache.delete(product)
        return encode({"id": product, "price": cents})


def encode(answer: dict[str, Any]) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(answer).encode()
