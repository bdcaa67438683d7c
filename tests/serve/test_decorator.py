"""Laws of `@cache.cached`: any function, plain or async, called as before; its keys, tags and counts."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from forecache import Cache
from forecache.errors import ConfigurationError, KeyTypeError


@pytest.fixture
def cache() -> Cache[Any, Any]:
    return Cache[Any, Any](100)


def positional(a, b=2):
    return (a, b)


def keyword_only(a, *, b=2, c):
    return (a, b, c)


def positional_only(a, b=2, /, c=3):
    return (a, b, c)


def starred(*args, **kwargs):
    return (args, kwargs)


def everything(a, /, b, *rest, c=3, **others):
    return (a, b, rest, c, others)


def underscored(_, __=1, self=2, cls=3, wrapper=4, key=5, function=6):
    return (_, __, self, cls, wrapper, key, function)


CALLS: list[tuple[Callable[..., Any], list[tuple[tuple[Any, ...], dict[str, Any]]]]] = [
    (positional, [((1,), {}), ((1, 3), {}), ((2,), {"b": 3}), ((), {"b": 1, "a": 5})]),
    (keyword_only, [((1,), {"c": 1}), ((1,), {"c": 1, "b": 3})]),
    (positional_only, [((1,), {}), ((1, 5), {}), ((1, 5), {"c": 4})]),
    (starred, [((), {}), ((1, 2), {}), ((1,), {"x": 2, "y": 3}), ((1, ("x", 2)), {})]),
    (everything, [((1, 2), {}), ((1, 2, 3, 4), {"c": 5, "z": 6}), ((1,), {"b": 2, "a": 7})]),
    (underscored, [((1,), {}), ((9, 8, 7), {"key": 6})]),
    (lambda x: x, [((1,), {}), ((), {"x": 2})]),
    (lambda: "constant", [((), {})]),
    (functools.partial(positional, 7), [((), {}), ((3,), {}), ((), {"b": 5})]),
    (functools.partial(keyword_only, c=4), [((1,), {}), ((1,), {"c": 5})]),
    (functools.partial(functools.partial(everything, 1), c=9), [((2,), {}), ((2, 3), {"z": 4})]),
    (max, [((1, 2), {}), (((1, 2, 3),), {})]),
    (str.upper, [(("a",), {})]),
    (SimpleNamespace, [((), {"x": 1})]),
]


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=lambda value: getattr(value, "__name__", None))
def test_it_is_called_as_before_and_once_for_each_call(
    cache: Cache[Any, Any], function: Callable[..., Any], calls: Any
) -> None:
    cached = cache.cached(function)
    for args, kwargs in calls:
        before = cache.stats().loads
        expected = function(*args, **kwargs)
        assert [cached(*args, **kwargs) for _ in range(3)] == [expected] * 3
        assert cache.stats().loads == before + 1, "each call has its own key"
        assert cache.peek(cached.cache_key(*args, **kwargs)) is not None


def test_equal_calls_share_a_key_and_typed_arguments_do_not(cache: Cache[Any, Any]) -> None:
    cached = cache.cached(positional)
    assert cached.cache_key(1) == cached.cache_key(1, 2) == cached.cache_key(b=2, a=1)
    for argument in (1, True, 1.0, "1", b"1", (1,), (True,)):
        assert repr(cached(argument)) == repr((argument, 2))
    assert cached.cache_info().misses == 7


def test_keywords_have_no_order(cache: Cache[Any, Any]) -> None:
    cached = cache.cached(starred)
    assert cached.cache_key(x=1, y=2) == cached.cache_key(y=2, x=1)
    assert cached.cache_key(1, 2) != cached.cache_key(1, x=2)


def test_functions_do_not_share_keys(cache: Cache[Any, Any]) -> None:
    def make(result: str) -> Callable[[int], str]:
        @cache.cached
        def function(number: int) -> str:
            return result

        return function

    one, other = make("one"), make("other")
    assert (one(1), other(1), one(1), other(1)) == ("one", "other", "one", "other")
    one.cache_clear()  # type: ignore[attr-defined]
    assert other.cache_info().currsize == 1  # type: ignore[attr-defined]


def test_wrong_arguments_are_told_as_by_the_function(cache: Cache[Any, Any]) -> None:
    cached = cache.cached(positional)
    for call in (cached, cached.cache_key, cached.invalidate):
        for args, kwargs in (((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((1,), {"a": 1})):
            with pytest.raises(TypeError, match=r"positional\(\)"):
                call(*args, **kwargs)
    with pytest.raises(KeyTypeError):
        cached([])


def test_what_it_raises_is_raised_and_not_kept(cache: Cache[Any, Any]) -> None:
    ran = []

    @cache.cached
    def fail(number: int) -> None:
        ran.append(number)
        raise LookupError(number)

    for _ in range(2):
        with pytest.raises(LookupError, match="7"):
            fail(7)
    assert ran == [7, 7]


def test_it_looks_like_the_function(cache: Cache[Any, Any]) -> None:
    @cache.cached(ttl="1m")
    def documented(a: int, b: str = "x") -> str:
        """What it does."""
        return b * a

    assert (documented.__name__, documented.__doc__, documented.__module__) == ("documented", "What it does.", __name__)
    assert str(inspect.signature(documented)) == "(a: 'int', b: 'str' = 'x') -> 'str'"
    assert documented.__wrapped__(2, "y") == "yy"


class Shop:
    def __init__(self, cache: Cache[Any, Any], name: str) -> None:
        self.name = name

    calls = 0
    cache: Cache[Any, Any] = Cache(100)

    @cache.cached
    def method(self, number: int) -> str:
        Shop.calls += 1
        return f"{self.name} {number}"

    @classmethod
    @cache.cached
    def of_class(cls, number: int) -> str:
        Shop.calls += 1
        return f"{cls.__name__} {number}"

    @staticmethod
    @cache.cached
    def static(number: int) -> int:
        Shop.calls += 1
        return number

    @cache.cached
    @staticmethod
    def static_below(number: int) -> int:
        Shop.calls += 1
        return number

    @property
    @cache.cached(key="property of {self.name}")
    def of_property(self) -> str:
        Shop.calls += 1
        return self.name

    @cache.cached(key="async {self.name} {number}", tags=["{self.name}"])
    async def coroutine(self, number: int) -> str:
        Shop.calls += 1
        return f"{self.name} {number}"


async def test_methods_of_all_kinds() -> None:
    Shop.calls = 0
    one, other = Shop(Shop.cache, "one"), Shop(Shop.cache, "other")
    for _ in range(2):
        assert (one.method(1), other.method(1)) == ("one 1", "other 1")
        assert (Shop.of_class(1), one.of_class(1)) == ("Shop 1", "Shop 1")
        assert (Shop.static(1), one.static(1), Shop.static_below(1)) == (1, 1, 1)
        assert (one.of_property, other.of_property) == ("one", "other")
        assert (await one.coroutine(1), await other.coroutine(1)) == ("one 1", "other 1")
    assert Shop.calls == 9
    assert Shop.method.invalidate(one, 1)
    assert Shop.cache.invalidate_tag("other") == 1
    assert Shop.static.cache_info().hits == 3


def test_a_classmethod_is_decorated_inside() -> None:
    cache: Cache[Any, Any] = Cache(10)
    with pytest.raises(ConfigurationError, match=r"write @classmethod above @cache\.cached"):
        cache.cached(classmethod(lambda cls: 1))  # type: ignore[arg-type]


async def test_async_functions_of_all_kinds(cache: Cache[Any, Any]) -> None:
    ran = []

    async def load(a: int, b: int = 2) -> tuple[int, int]:
        ran.append((a, b))
        await asyncio.sleep(0)
        return (a, b)

    class Asynchronous:
        async def __call__(self, a: int) -> int:
            ran.append(a)
            return a

    for cached, call in (
        (cache.cached(load), (1,)),
        (cache.cached(functools.partial(load, 5)), (1,)),
        (cache.cached(ttl=5)(load), (7,)),
        (cache.cached(Asynchronous()), (3,)),
    ):
        ran.clear()
        results = [await cached(*call) for _ in range(2)] + await asyncio.gather(cached(*call), cached(*call))
        assert results == [results[0]] * 4
        assert len(ran) == 1
        assert inspect.iscoroutinefunction(cached)


def test_what_can_be_read_only_once_is_refused(cache: Cache[Any, Any]) -> None:
    def generator() -> Any:
        yield 1

    async def async_generator() -> Any:
        yield 1

    async def load(number: int) -> int:
        return number

    for function in (generator, async_generator):
        with pytest.raises(ConfigurationError, match="is a generator, whose items can be read once"):
            cache.cached(function)
    with pytest.raises(ConfigurationError, match="decorate the 'async def' function itself"):
        cache.cached(lambda number: load(number))(1)


# As of functools.lru_cache.


def test_counts_parameters_and_removal(cache: Cache[Any, Any]) -> None:
    one, other = cache.cached(positional), cache.cached(starred)
    one(1), one(1), one(2), other(1)
    assert one.cache_info() == (1, 2, 100, 3)
    assert one.cache_info()._fields == ("hits", "misses", "maxsize", "currsize")
    assert one.cache_parameters() == {"capacity": 100, "policy": "learned", "ttl": None, "stale_ttl": 0, "typed": True}
    assert (one.invalidate(1), one.invalidate(1)) == (True, False)
    one.cache_clear()
    assert (one.cache_info(), other.cache_info()) == ((0, 0, 100, 1), (0, 1, 100, 1))


def test_a_ttl_of_its_own_and_stale_values() -> None:
    now = 0.0
    cache: Cache[Any, Any] = Cache(100, ttl=1, clock=lambda: now)
    versions = []

    @cache.cached(ttl=10, stale_ttl=10)
    def load(key: int) -> int:
        versions.append(key)
        return len(versions)

    assert load(1) == 1
    now = 9.0
    assert load(1) == 1
    now = 11.0
    with cache:
        assert load(1) == 1
    assert load(1) == 2
    now = 50.0
    assert load(1) == 3


async def test_an_async_function_serves_stale_values() -> None:
    now = 0.0
    cache: Cache[Any, Any] = Cache(100, ttl=1, stale_ttl=10, clock=lambda: now)
    versions = []

    @cache.cached
    async def load(key: int) -> int:
        versions.append(key)
        return len(versions)

    assert await load(1) == 1
    now = 2.0
    assert await load(1) == 1
    await asyncio.sleep(0.01)
    assert await load(1) == 2
