"""Checks of a cache's settings; every message says what was wrong, what was expected, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forecache import _core
from forecache.errors import CapacityError, ConfigurationError, UnknownPolicyError
from forecache.units import parse_size

if TYPE_CHECKING:
    import os

    from forecache.record.log import AccessLog

__all__ = ["budget_of", "check_callable", "check_policy", "check_share", "check_whole", "open_log"]

LARGEST_CAPACITY: Final = 2**62  # entries or bytes; twice that still fits in 64 bits


def budget_of(capacity: int | None, max_bytes: int | str | None) -> int:
    """The capacity in entries or in bytes, whichever was given."""
    if (capacity is None) == (max_bytes is None):
        given = "neither capacity nor max_bytes is" if capacity is None else "both capacity and max_bytes are"
        raise CapacityError(f"{given} given; expected one: capacity=10_000 (entries) or max_bytes='256MiB'")
    if max_bytes is not None:
        budget, name = parse_size(max_bytes), "max_bytes"
    elif isinstance(capacity, int) and not isinstance(capacity, bool):
        budget, name = capacity, "capacity"
    else:
        raise CapacityError(f"capacity is {capacity!r}; expected a whole number of entries, or use max_bytes='256MiB'")
    if not 1 <= budget <= LARGEST_CAPACITY:
        raise CapacityError(f"{name} is {budget}; expected 1 to 2**62")
    return budget


def check_policy(policy: str) -> None:
    """Whether there is such a policy."""
    if policy not in _core.POLICIES:
        raise UnknownPolicyError(f"unknown policy {policy!r}; expected one of {', '.join(_core.POLICIES)}")


def check_share(name: str, value: Any) -> None:
    """Whether a setting is a share, short of the whole."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ConfigurationError(f"{name} is {value!r}; expected a share in [0, 1), such as 0.1")


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Whether a setting is a whole number in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{name} is {value!r}; expected a whole number from {least} to {most}")


def check_callable(name: str, value: Any, form: str) -> None:
    """Whether a setting can be called, where it is given."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} is {value!r}, which cannot be called; expected a function such as {form}")


def open_log(record: AccessLog | str | os.PathLike[str] | None) -> AccessLog | None:
    """The log to record to, if there is to be one."""
    if record is None:
        return None
    from forecache.record.log import AccessLog

    return record if isinstance(record, AccessLog) else AccessLog(record)
