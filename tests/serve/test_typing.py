"""Types as users see them: mypy, strict, on a small program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from collections.abc import Coroutine
from typing import Any, assert_type

from forecache import Cache, Entry, Stats

cache: Cache[str, int] = Cache(100, ttl="5m")
anything = Cache[Any, Any](max_bytes="1MiB")

assert_type(cache.get("a"), int | None)
assert_type(cache.get("a", "none"), int | str)
assert_type(cache["a"], int)
assert_type(cache.peek("a"), Entry[int] | None)
assert_type(cache.get_many(["a"]), dict[str, int])
assert_type(cache.get_or_load("a", len), int)
assert_type(cache.set("a", 1, ttl="1m", tags=["x"]), bool)
assert_type(cache.delete("a"), bool)
assert_type(cache.invalidate_tag("x"), int)
assert_type(cache.stats(), Stats)
assert_type(cache.stats().hit_ratio, float | None)
assert_type(list(cache), list[str])
assert_type(list(cache.items()), list[tuple[str, int]])


@anything.cached
def plain(a: int, *, b: str = "x") -> list[str]:
    return [b] * a


@anything.cached(ttl="1m", key="k:{a}", tags=["t"])
async def coroutine(a: int) -> bytes:
    return bytes(a)


class Shop:
    @anything.cached(ttl=60)
    def price(self, product: int) -> float:
        return product / 2

    @classmethod
    @anything.cached
    def name(cls) -> str:
        return cls.__name__


assert_type(plain(1, b="y"), list[str])
assert_type(plain.cache_info().hits, int)
assert_type(plain.invalidate(1), bool)
pending = assert_type(coroutine(1), Coroutine[Any, Any, bytes])
assert_type(Shop().price(1), float)
assert_type(Shop.name(), str)


async def main() -> None:
    async def load(key: str) -> int:
        return len(key)

    assert_type(await coroutine(1), bytes)
    assert_type(await cache.aget_or_load("a", load), int)
    assert_type(await cache.aget_or_load("a", len), int)


cache["a"] = "b"  # wrong: value
cache.get(1)  # wrong: key
plain("1")  # wrong: argument
plain(1, c=2)  # wrong: name
cache.get_or_load("a", str)  # wrong: loader
plain.cache_key("x")  # wrong: argument of the key
"""


def test_mypy_sees_what_users_should(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", f"--cache-dir={tmp_path}", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    told = sorted({int(line.split(":")[1]) for line in ran.stdout.splitlines() if ": error:" in line})
    wrong = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# wrong" in line]
    assert told == wrong, ran.stdout + ran.stderr
