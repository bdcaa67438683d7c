"""`Cache`: the in-process cache, for threads and for tasks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Self, TypeVar, cast, overload

from forecache.serve import settings
from forecache.serve.decorator import CachedFunction, Recipe, decorate
from forecache.serve.learning import Transparent
from forecache.serve.loader import Keep, Loader
from forecache.serve.model import usable_model
from forecache.serve.outlook import Measured
from forecache.serve.signal import DUE, MISSING
from forecache.serve.stats import Stats
from forecache.serve.views import StoredMapping
from forecache.serve.weigh import estimate_bytes
from forecache.units import Duration, parse_duration, parse_size, parse_ttl

if TYPE_CHECKING:
    import os

    from forecache.record.log import AccessLog

__all__ = ["Cache"]

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
P = ParamSpec("P")

LARGEST_SEED: Final = 2**64 - 1


class Cache(Transparent[K, V], Measured[K, V], StoredMapping[K, V]):
    """Keys to values within a budget of entries or of bytes; safe from many threads, tasks and after a fork.

    >>> cache = Cache(capacity=1000, ttl="5m")
    >>> cache.get_or_load("user:7", lambda key: {"name": "Ada"})
    {'name': 'Ada'}
    >>> cache["user:7"]["name"], cache.stats().misses
    ('Ada', 1)

    Args:
        capacity: most entries; give this or `max_bytes`.
        max_bytes: most bytes of keys, values and bookkeeping, as a number or as '256MiB'.
        policy: which entry leaves when another needs its room; one of `forecache.POLICIES`.
        objective: with `max_bytes`, what 'learned' makes large: hits, 'objects' by default, or their 'bytes'.
        ttl: how long values are fresh: seconds, '5m', or a timedelta; None for ever.
        stale_ttl: how long past that they may be served by `get_or_load` while a refresh runs in the background.
        jitter: share of the ttl, in [0, 1), by which chance shortens it, so that what was stored together does
            not expire together.
        negative_ttl: ttl of None as a loaded value; by default that of any value, 0 keeps no None.
        on_evict: called with key, value and cause ('evicted', 'expired', 'invalidated', 'replaced', 'rejected')
            after an entry left; what it raises is reported as unraisable and harms nothing.
        model: path of a file that `forecache train` wrote; in place of one that cannot be used the model that is
            part of the package serves, as it does by default, and a line in the log says why.
        weigher: weight of an entry from its key and value, at least 1; by default 1, or with `max_bytes` an
            estimate of its bytes.
        clock: seconds that never go back.
        seed: of every random choice.
        shards: independent parts with a lock each; one is right unless threads run without the GIL.
        curve_bytes: most memory for recent accesses, from which `curve` tells what other sizes would bring; 0 for none.
        record: an `AccessLog`, or the directory of one, to which every access is recorded.

    Raises:
        ConfigurationError: an argument cannot be used; the message says what is expected.

    A key is the same as another only if their types are equal too: `1`, `True`, `1.0` and `"1"` are four keys.
    Values may leave at any time; `set` says whether one stayed.
    """

    __slots__ = ("_began", "_loader", "_log", "_parameters")

    _began: float
    _loader: Loader
    _log: AccessLog | None
    _parameters: dict[str, Any]

    def __new__(
        cls,
        capacity: int | None = None,
        *,
        max_bytes: int | str | None = None,
        policy: str = settings.DEFAULT_POLICY,
        objective: Literal["objects", "bytes"] | None = None,
        ttl: Duration | None = None,
        stale_ttl: Duration = 0,
        jitter: float = 0.0,
        negative_ttl: Duration | None = None,
        on_evict: Callable[[K, V, str], object] | None = None,
        weigher: Callable[[K, V], int] | None = None,
        clock: Callable[[], float] | None = None,
        model: str | os.PathLike[str] | None = None,
        seed: int = 0,
        shards: int = 1,
        curve_bytes: int | str = "1MiB",
        record: AccessLog | str | os.PathLike[str] | None = None,
    ) -> Self:
        """Checks all arguments, and makes an empty cache."""
        budget = settings.budget_of(capacity, max_bytes)
        asked, policy = policy, settings.policy_of(policy)
        settings.check_share("jitter", jitter)
        settings.check_whole("seed", seed, 0, LARGEST_SEED)
        settings.check_whole("shards", shards, 1, budget)
        settings.check_callable("clock", clock, "time.monotonic")
        settings.check_callable("weigher", weigher, "lambda key, value: len(value)")
        settings.check_callable("on_evict", on_evict, "lambda key, value, cause: None")
        weigher = estimate_bytes if weigher is None and max_bytes is not None else weigher
        unit = "bytes" if max_bytes is not None else "entries" if weigher is None else "weight"
        prior, log = usable_model(model, asked=asked, used=policy), settings.open_log(record)
        objective = settings.objective_of(objective, max_bytes=max_bytes)
        header = {"policy": policy, "capacity": budget, "unit": unit, "seed": seed, "shards": shards}
        header |= {"objective": objective, "model": "shipped" if prior is None else "own"}
        self = super().__new__(
            cls,
            budget,
            policy,
            seed=seed,
            shards=shards,
            ttl=None if ttl is None else parse_ttl(ttl),
            stale_ttl=parse_duration(stale_ttl),
            jitter=jitter,
            clock=clock,
            weigher=weigher,
            listener=on_evict,
            objective=objective,
            in_background=True,
            recorder=None if log is None else log.attach(header),
            model=prior,
        )
        if log is not None:
            log.follow(self)
        if (window := parse_size(curve_bytes)) > 0:
            self._watch(window)
        self._log = log
        self._loader = Loader(self, None if negative_ttl is None else parse_duration(negative_ttl), clock)
        self._parameters = {"capacity": budget, "policy": policy, "ttl": ttl, "stale_ttl": stale_ttl, "typed": True}
        self._began = time.monotonic()
        return self

    def get_or_load(
        self,
        key: K,
        loader: Callable[[K], V],
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        tags: Iterable[str] | None = None,
    ) -> V:
        """The value of a key, loaded by `loader(key)` if it is not here.

        However many ask at once, one loader runs for a key, and what it returns or raises reaches all of them.
        A value past its ttl but within `stale_ttl` is returned at once while one loader refreshes it in the
        background; so, early and by chance, is one whose ttl is about to end. `ttl`, `stale_ttl` and `tags` are
        those of the value stored.
        """
        value = self._read(key, MISSING, DUE)
        if value is MISSING:
            return cast("V", self._loader.load(key, loader, Keep.parse(ttl, stale_ttl, tags)))
        if value is DUE:
            return cast("V", self._loader.serve_due(key, loader, Keep.parse(ttl, stale_ttl, tags)))
        return cast("V", value)

    async def aget_or_load(
        self,
        key: K,
        loader: Callable[[K], Awaitable[V]] | Callable[[K], V],
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        tags: Iterable[str] | None = None,
    ) -> V:
        """`get_or_load` for tasks; `loader` may be `async`. Threads and tasks share the loads in flight."""
        value = self._read(key, MISSING, DUE)
        if value is MISSING:
            return cast("V", await self._loader.aload(key, loader, Keep.parse(ttl, stale_ttl, tags)))
        if value is DUE:
            return cast("V", await self._loader.aserve_due(key, loader, Keep.parse(ttl, stale_ttl, tags)))
        return cast("V", value)

    async def aget(self, key: K, default: Any = None) -> Any:
        """`get`, for code that awaits its cache."""
        return self.get(key, default)

    async def aget_many(self, keys: Iterable[K]) -> dict[K, V]:
        """`get_many`, for code that awaits its cache."""
        return self.get_many(keys)

    async def aset(
        self,
        key: K,
        value: V,
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        tags: Iterable[str] | None = None,
        weight: int | None = None,
    ) -> bool:
        """`set`, for code that awaits its cache."""
        return self.set(key, value, ttl=ttl, stale_ttl=stale_ttl, tags=tags, weight=weight)

    async def adelete(self, key: K) -> bool:
        """`delete`, for code that awaits its cache."""
        return self.delete(key)

    @overload
    def cached(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...

    @overload
    def cached(
        self,
        /,
        *,
        key: str | Callable[..., Any] | None = None,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...

    def cached(
        self,
        function: Callable[P, R] | None = None,
        /,
        *,
        key: str | Callable[..., Any] | None = None,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> Any:
        """Decorates a function, `def` or `async def`, so that its results are kept in this cache.

        >>> cache = Cache(capacity=100)
        >>> @cache.cached(ttl="5m", key="user:{user_id}", tags=["user:{user_id}"])
        ... def name_of(user_id: int) -> str:
        ...     return f"user number {user_id}"
        >>> name_of(7), name_of(user_id=7), name_of.cache_key(7)
        ('user number 7', 'user number 7', 'user:7')
        >>> name_of.cache_info()
        CacheInfo(hits=1, misses=1, maxsize=100, currsize=1)

        Args:
            function: what to decorate, when the decorator is used without arguments.
            key: a template over the parameters, or a callable that is given the arguments and returns the key.
                By default the key holds the function's name and all arguments, typed: 1 and True differ.
            ttl: how long results are fresh; by default as the cache says.
            stale_ttl: how long past that they may be served while a refresh runs.
            tags: templates over the parameters, for `invalidate_tag`.

        Raises:
            ConfigurationError: a template names what is no parameter.
        """
        recipe = Recipe(key, Keep.parse(ttl, stale_ttl, tags))
        if function is None:
            return lambda function: decorate(self, function, recipe)
        return decorate(self, function, recipe)

    def stats(self) -> Stats:
        """Counts since the cache was made; subtract an earlier one for those of an interval."""
        loader = self._loader
        return Stats(
            **self._counts(),
            loads=loader.loads,
            load_failures=loader.load_failures,
            load_seconds=loader.load_seconds,
            learning=self.learning(),
        )

    def close(self) -> None:
        """Waits for background refreshes, and ends the access log; the cache stays usable."""
        self._loader.close()
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        """The cache itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Closes it."""
        self.close()

    def __repr__(self) -> str:
        """Its size and policy."""
        policy = self._parameters["policy"]
        return f"<{type(self).__name__} {policy}: {len(self)} entries, {self.weight} of {self.capacity}>"
