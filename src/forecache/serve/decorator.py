"""`@cache.cached`: functions whose results are kept."""

from __future__ import annotations

import functools
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from forecache import _core
from forecache.errors import ConfigurationError
from forecache.serve.loader import Duration, Keep
from forecache.serve.signal import DUE, MISSING

if TYPE_CHECKING:
    from forecache.serve.cache import Cache

__all__ = ["CacheInfo", "CachedFunction", "Recipe", "decorate"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

FORMS: Final = "'user:{user_id}', '{user.id:04d}' or '{ids[0]}'"
SPEC: Final = re.compile(r"[^{}'\"\\]*")
FIELD: Final = re.compile(r"([^\W\d]\w*)((?:\.[^\W\d]\w*|\[\d+\])*)")  # user, user.id, ids[0]


class CacheInfo(NamedTuple):
    """As of `functools.lru_cache`; hits and misses are the function's, sizes the whole cache's."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class Recipe(NamedTuple):
    """How results are keyed and kept."""

    key: str | Callable[..., Any] | None
    ttl: Duration | None
    stale_ttl: Duration | None
    tags: tuple[str, ...]


class CachedFunction(Protocol[P, R_co]):
    """A function whose results are kept in a cache."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result, from the cache if it is there."""
        ...

    def __get__(self, instance: Any, owner: type | None = None, /) -> Callable[..., R_co]:
        """The method of an instance."""
        ...

    def cache_info(self) -> CacheInfo:
        """Hits, misses, and how full the cache is."""
        ...

    def cache_clear(self) -> None:
        """Removes this function's results from the cache."""
        ...

    def cache_parameters(self) -> dict[str, Any]:
        """The cache's settings."""
        ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """The key of a call."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Removes the result of a call; true when it was there."""
        ...


def decorate(cache: Cache[Any, Any], function: Callable[P, R_co], recipe: Recipe) -> CachedFunction[P, R_co]:
    """Wraps a function, plain or `async`, in a lookup."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{name_of(function)} is a generator, whose items can be read once; return a list")
    own_tag = unique_name(function)
    key_of = key_maker(function, recipe.key, own_tag)
    tags_of = compiled(function, tuple_of([repr(own_tag), *(template(function, tag) for tag in recipe.tags)]))
    reader = _core.Reader(cache, MISSING, DUE)
    wrapper = wrap_async if inspect.iscoroutinefunction(function) else wrap

    def keep(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Keep:
        return Keep(recipe.ttl, recipe.stale_ttl, tags_of(*args, **kwargs))

    decorated: Any = wrapper(cache, function, key_of, keep, reader)
    decorated.cache_info = lambda: CacheInfo(reader.hits, reader.misses, cache.capacity, len(cache))
    decorated.cache_clear = lambda: clear(cache, own_tag, reader)
    decorated.cache_parameters = lambda: dict(cache._parameters)
    decorated.cache_key = key_of
    decorated.invalidate = lambda *args, **kwargs: cache.delete(key_of(*args, **kwargs))
    return cast("CachedFunction[P, R_co]", decorated)


def wrap(
    cache: Cache[Any, Any],
    function: Callable[..., Any],
    key_of: Callable[..., Any],
    keep: Callable[..., Keep],
    reader: _core.Reader,
) -> Callable[..., Any]:
    """The wrapper of a plain function."""
    read, load, serve_due = reader.read, cache._loader.load, cache._serve_due

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = key_of(*args, **kwargs) if kwargs else key_of(*args)  # an empty ** costs more than the lookup
        value = read(key)
        if value is MISSING:
            return load(key, lambda _: function(*args, **kwargs), keep(args, kwargs))
        if value is DUE:
            return serve_due(key, lambda _: function(*args, **kwargs), keep(args, kwargs))
        return value

    return wrapper


def wrap_async(
    cache: Cache[Any, Any],
    function: Callable[..., Any],
    key_of: Callable[..., Any],
    keep: Callable[..., Keep],
    reader: _core.Reader,
) -> Callable[..., Any]:
    """The wrapper of an `async` function."""
    read, load, serve_due = reader.read, cache._loader.aload, cache._aserve_due

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = key_of(*args, **kwargs) if kwargs else key_of(*args)  # an empty ** costs more than the lookup
        value = read(key)
        if value is MISSING:
            return await load(key, lambda _: function(*args, **kwargs), keep(args, kwargs))
        if value is DUE:
            return await serve_due(key, lambda _: function(*args, **kwargs), keep(args, kwargs))
        return value

    return wrapper


def clear(cache: Cache[Any, Any], own_tag: str, reader: _core.Reader) -> None:
    """Removes a function's results, and begins its counts anew."""
    cache.invalidate_tag(own_tag)
    reader.reset()


def key_maker(function: Callable[..., Any], key: str | Callable[..., Any] | None, own_tag: str) -> Callable[..., Any]:
    """What turns the arguments of a call into its key."""
    if callable(key):
        return key
    if key is not None:
        return compiled(function, template(function, key))
    parts = [
        f"_in_order_({parameter.name})" if parameter.kind is parameter.VAR_KEYWORD else parameter.name
        for parameter in parameters_of(function)
    ]
    return compiled(function, tuple_of([repr(own_tag), *parts]))


def compiled(function: Callable[..., Any], expression: str) -> Callable[..., Any]:
    """A function with the parameters of another that returns an expression over them.

    It is compiled once, so that a call costs no more than binding its arguments.
    """
    scope: dict[str, Any] = {"_in_order_": in_order}
    parameters = []
    for parameter in parameters_of(function):
        default = parameter.default
        if default is not parameter.empty:
            scope[f"_default_{parameter.name}_"] = default
            default = Verbatim(f"_default_{parameter.name}_")
        parameters.append(parameter.replace(annotation=parameter.empty, default=default))
    heading = str(inspect.Signature(parameters))[1:-1]
    maker: Callable[..., Any] = eval(f"lambda {heading}: {expression}", scope)  # noqa: S307 - checked by `template`
    maker.__qualname__ = name_of(function)
    return maker


def template(function: Callable[..., Any], text: str) -> str:
    """The f-string, as source, of a template over the parameters of a function.

    Raises:
        ConfigurationError: the template is malformed, or names what is no parameter.
    """
    known = [parameter.name for parameter in parameters_of(function)]
    source = ""
    for literal, field, spec, conversion in parsed(text):
        source += literal.replace("{", "{{").replace("}", "}}")
        if field is None:
            continue
        match = FIELD.fullmatch(field)
        if match is None or (spec and not SPEC.fullmatch(spec)):
            raise ConfigurationError(f"template {text!r} has the field {field!r}; expected a form like {FORMS}")
        if match[1] not in known:
            expected = ", ".join(known) or "none, since it has no parameter"
            wrong = f"template {text!r} names {match[1]!r}, which is no parameter of {name_of(function)}"
            raise ConfigurationError(f"{wrong}; expected {expected}")
        source += "{" + field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
    return f"f{source!r}"


def parsed(text: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """The parts of a template: literal text, field, format, conversion."""
    try:
        yield from Formatter().parse(text)
    except ValueError as error:
        raise ConfigurationError(f"template {text!r} is malformed: {error}; expected a form like {FORMS}") from error


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function; any arguments where it does not tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        kinds = {"args": inspect.Parameter.VAR_POSITIONAL, "kwargs": inspect.Parameter.VAR_KEYWORD}
        return [inspect.Parameter(name, kind) for name, kind in kinds.items()]


class Verbatim(str):
    """Source text whose `repr` is itself."""

    __slots__ = ()
    __repr__ = str.__str__


def in_order(kwargs: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Keyword arguments as a key, whatever order they came in."""
    return tuple(sorted(kwargs.items()))


def tuple_of(parts: list[str]) -> str:
    """Source of a tuple."""
    return f"({', '.join(parts)},)"


def name_of(function: Callable[..., Any]) -> str:
    """What errors call a function."""
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def unique_name(function: Callable[..., Any]) -> str:
    """A name that no other decorated function of this process has, be it made by the same code."""
    name = f"{getattr(function, '__module__', None) or 'function'}.{name_of(function)}"
    names[name] += 1
    return name if names[name] == 1 else f"{name}#{names[name]}"


names: Counter[str] = Counter()
