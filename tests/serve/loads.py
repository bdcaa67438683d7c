"""What tests of loads share."""

from __future__ import annotations

from typing import Any

from forecache import Cache


def waiters(cache: Cache[Any, Any]) -> int:
    """Lookups that missed, and so load or wait."""
    return cache.stats().misses


def assert_no_trace(cache: Cache[Any, Any], key: Any) -> None:
    assert key not in cache
    assert len(cache) == 0
    assert cache.get_or_load(key, lambda _: "again") == "again"
