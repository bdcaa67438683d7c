"""Laws of the keys and tags of calls: templates over the parameters, told when they are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from forecache import Cache
from forecache.errors import ConfigurationError, DurationError


@pytest.fixture
def cache() -> Cache[Any, Any]:
    return Cache[Any, Any](100)


@dataclass
class User:
    id: int
    names: tuple[str, ...] = ("Ada", "Bob")


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("user:{user.id}", "user:7"),
        ("{user.id:04d}/{page}", "0007/1"),
        ("{page!r:>4}|{page}", "   1|1"),
        ("{user.names[1]}", "Bob"),
        ("{{literal}} {page}", "{literal} 1"),
        ("quotes ' \" and \\ and \n {page}", "quotes ' \" and \\ and \n 1"),
        ("ünï {page}", "ünï 1"),
        ("constant", "constant"),
        ("", ""),
        ("{rest[0]}", "9"),
        ("\\N{page}", "\\N1"),
    ],
)
def test_templates(cache: Cache[Any, Any], template: str, key: str) -> None:
    cached = cache.cached(key=template)(lambda user, page=1, *rest: page)
    assert cached.cache_key(User(7), 1, 9) == key
    assert cached(User(7), 1, 9) == 1
    assert key in cache


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{id}", r"names 'id', which is no parameter of .*<lambda>; expected user, page"),
        ("{}", r"has the field ''; expected a form like 'user:\{user_id\}'"),
        ("{0}", r"has the field '0'; expected"),
        ("{user[name]}", r"has the field 'user\[name\]'; expected"),
        ("{user.id + 1}", "has the field"),
        ("{user()}", "has the field"),
        ("{__import__('os')}", "has the field"),
        ("{user:{page}}", "has the field 'user'; expected"),
        ("{user", "is malformed: expected '}' before end of string; expected"),
        ("user}", "is malformed: Single '}' encountered"),
        ("{user!}", "is malformed"),
        ("{user!z}", "is malformed: .*invalid conversion character.*; expected a form"),
        ("{user.class}", "is malformed: .*; expected a form"),
        ("{user[007]}", "is malformed: leading zeros .*; expected a form"),
    ],
)
@pytest.mark.parametrize("place", ["key", "tags"])
def test_a_wrong_template_is_told_when_the_function_is_decorated(
    cache: Cache[Any, Any], template: str, message: str, place: str
) -> None:
    settings: dict[str, Any] = {"key": template} if place == "key" else {"tags": [template]}
    with pytest.raises(ConfigurationError, match=message):
        cache.cached(**settings)(lambda user, page: page)


def test_a_template_over_no_parameters(cache: Cache[Any, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected none, since it has no parameter"):
        cache.cached(key="{x}")(lambda: 1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"key": 5}, ConfigurationError, "key is 5; expected a template such as"),
        ({"tags": "red"}, TypeError, r"tags is the str 'red'; expected several, as in \['red'\]"),
        ({"ttl": "5 minutes"}, DurationError, "is not understood at 'minutes'|is not understood at ' ?5? ?minutes'"),
        ({"ttl": 0}, DurationError, "ttl is 0; expected more than 0 seconds"),
        ({"stale_ttl": -1}, DurationError, "is out of range"),
    ],
)
def test_wrong_settings_are_told_when_the_function_is_decorated(
    cache: Cache[Any, Any], settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cache.cached(**settings)(lambda x: x)


@pytest.mark.parametrize("what", [3, "text", [1]])
def test_what_is_no_function_is_refused(cache: Cache[Any, Any], what: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be called; expected a function under @cache\.cached"):
        cache.cached(what)


def test_a_key_may_be_a_function_of_the_arguments(cache: Cache[Any, Any]) -> None:
    cached = cache.cached(key=lambda a, b=2: ("mine", a % 10, b))(lambda a, b=2: (a, b))
    assert (cached(1), cached(11), cached.cache_key(21)) == ((1, 2), (1, 2), ("mine", 1, 2))


def test_tags_of_calls(cache: Cache[Any, Any]) -> None:
    cached = cache.cached(tags=["all", "a:{a}", "b:{b}"])(lambda a, b=2: (a, b))
    for a, b in ((1, 1), (1, 2), (2, 1)):
        cached(a, b)
    assert cache.invalidate_tag("a:1") == 2
    assert cache.invalidate_tag("b:1") == 1
    assert len(cache) == 0
