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
from forecache.serve.loader import Keep
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
    keep: Keep


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


WRAPPER: Final = """
{define} wrapper({parameters}):
    _key_ = {key}
    _value_ = _read_(_key_)
    if _value_ is _MISSING_:
        return {wait} _load_(_key_, lambda _key_: _function_({arguments}), _Keep_(_ttl_, _stale_ttl_, {tags}))
    if _value_ is _DUE_:
        return {wait} _serve_due_(_key_, lambda _key_: _function_({arguments}), _Keep_(_ttl_, _stale_ttl_, {tags}))
    return _value_
"""


def decorate(cache: Cache[Any, Any], function: Callable[P, R_co], recipe: Recipe) -> CachedFunction[P, R_co]:
    """Wraps a function, plain or `async`, in a lookup.

    The wrapper is compiled from `WRAPPER` with the function's own parameters, so that a hit costs two calls: the
    wrapper's and the lookup's.
    """
    refuse_what_cannot_be_kept(function)
    own_tag = unique_name(function)
    parameters = Parameters(function)
    reader = _core.Reader(cache, MISSING, DUE)
    is_async = is_asynchronous(function)
    key = key_expression(parameters, recipe.key, own_tag)
    scope = parameters.scope | {
        "_function_": function,
        "_read_": reader.read,
        "_load_": cache._loader.aload if is_async else cache._loader.load,
        "_serve_due_": cache._loader.aserve_due if is_async else cache._loader.serve_due,
        "_key_of_": recipe.key,
        "_in_order_": in_order,
        "_Keep_": Keep,
        "_ttl_": recipe.keep.ttl,
        "_stale_ttl_": recipe.keep.stale_ttl,
        "_MISSING_": MISSING,
        "_DUE_": DUE,
    }
    source = WRAPPER.format(
        define="async def" if is_async else "def",
        wait="await" if is_async else "",
        parameters=parameters.heading,
        arguments=parameters.arguments,
        key=key,
        tags=tuple_of([repr(own_tag), *(template(parameters, tag) for tag in recipe.keep.tags or ())]),
    )
    exec(source, scope)  # noqa: S102 - of names of parameters, and of templates checked by `template`
    decorated: Any = functools.wraps(function)(scope["wrapper"])
    decorated.cache_info = lambda: CacheInfo(reader.hits, reader.misses, cache.capacity, len(cache))
    decorated.cache_clear = lambda: clear(cache, own_tag, reader)
    decorated.cache_parameters = lambda: dict(cache._parameters)
    decorated.cache_key = eval(f"lambda {parameters.heading}: {key}", scope)  # noqa: S307 - as above
    decorated.cache_key.__qualname__ = name_of(function)  # for the errors about its arguments
    decorated.invalidate = lambda *args, **kwargs: cache.delete(decorated.cache_key(*args, **kwargs))
    return cast("CachedFunction[P, R_co]", decorated)


def refuse_what_cannot_be_kept(function: Callable[..., Any]) -> None:
    """Keeps out what is no function, and functions whose results can be read only once.

    Raises:
        ConfigurationError: the message says what to decorate instead.
    """
    if isinstance(function, classmethod):
        raise ConfigurationError("a classmethod cannot be decorated; write @classmethod above @cache.cached")
    if not callable(function):
        raise ConfigurationError(f"{function!r} cannot be called; expected a function under @cache.cached")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{name_of(function)} is a generator, whose items can be read once; return a list")


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether a call returns a coroutine, be it a function or an object with an `async` `__call__`."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


class Parameters:
    """The parameters of a function, as source: how to declare them, and how to pass them on."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Reads them off the function; any arguments where it does not tell."""
        try:
            self._list = list(inspect.signature(function).parameters.values())
        except ValueError:
            kinds = {"args": inspect.Parameter.VAR_POSITIONAL, "kwargs": inspect.Parameter.VAR_KEYWORD}
            self._list = [inspect.Parameter(name, kind) for name, kind in kinds.items()]
        self.function_name = name_of(function)
        self.scope = {f"_default_{each.name}_": each.default for each in self._list if each.default is not each.empty}

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.name for each in self._list]

    @property
    def heading(self) -> str:
        """Their declaration, without types; defaults are names in `scope`."""
        plain = [
            each.replace(annotation=each.empty)
            if each.default is each.empty
            else each.replace(annotation=each.empty, default=Verbatim(f"_default_{each.name}_"))
            for each in self._list
        ]
        return str(inspect.Signature(plain))[1:-1]

    @property
    def arguments(self) -> str:
        """What passes them on, each to itself."""
        forms: dict[Any, str] = {
            inspect.Parameter.VAR_POSITIONAL: "*{0}",
            inspect.Parameter.VAR_KEYWORD: "**{0}",
            inspect.Parameter.KEYWORD_ONLY: "{0}={0}",
        }
        return ", ".join(forms.get(each.kind, "{0}").format(each.name) for each in self._list)

    @property
    def values(self) -> list[str]:
        """Each as a part of a key."""
        return [f"_in_order_({each.name})" if each.kind is each.VAR_KEYWORD else each.name for each in self._list]


def clear(cache: Cache[Any, Any], own_tag: str, reader: _core.Reader) -> None:
    """Removes a function's results, and begins its counts anew."""
    cache.invalidate_tag(own_tag)
    reader.reset()


def key_expression(parameters: Parameters, key: str | Callable[..., Any] | None, own_tag: str) -> str:
    """Source of the key of a call."""
    if callable(key):
        return f"_key_of_({parameters.arguments})"
    if isinstance(key, str):
        return template(parameters, key)
    if key is not None:
        raise ConfigurationError(f"key is {key!r}; expected a template such as {FORMS}, or a function of the arguments")
    return tuple_of([repr(own_tag), *parameters.values])


def template(parameters: Parameters, text: str) -> str:
    """The f-string, as source, of a template over the parameters of a function.

    Raises:
        ConfigurationError: the template is malformed, or names what is no parameter.
    """
    source = ""
    for literal, field, spec, conversion in parsed(text):
        source += literal.replace("{", "{{").replace("}", "}}")
        if field is None:
            continue
        match = FIELD.fullmatch(field)
        if match is None or (spec and not SPEC.fullmatch(spec)):
            raise ConfigurationError(f"template {text!r} has the field {field!r}; expected a form like {FORMS}")
        if match[1] not in parameters.names:
            expected = ", ".join(parameters.names) or "none, since it has no parameter"
            wrong = f"template {text!r} names {match[1]!r}, which is no parameter of {parameters.function_name}"
            raise ConfigurationError(f"{wrong}; expected {expected}")
        source += "{" + field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
    return checked(f"f{source!r}", text)


def checked(source: str, text: str) -> str:
    """The source of an f-string, if it is one."""
    try:
        compile(source, "template", "eval")
    except SyntaxError as error:
        raise ConfigurationError(f"template {text!r} is malformed: {error.msg}; expected a form like {FORMS}") from None
    return source


def parsed(text: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """The parts of a template: literal text, field, format, conversion."""
    try:
        yield from Formatter().parse(text)
    except ValueError as error:
        raise ConfigurationError(f"template {text!r} is malformed: {error}; expected a form like {FORMS}") from error


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
