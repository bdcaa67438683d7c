"""Checks of a cache's settings; every message says what was wrong, what was expected, and what to do."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from forecache import _core
from forecache.errors import CapacityError, ConfigurationError, DurationError, UnknownPolicyError
from forecache.units import Duration, parse_duration, parse_size

if TYPE_CHECKING:
    from forecache.record.log import AccessLog

__all__ = [
    "DEFAULT_POLICY",
    "budget_of",
    "check_callable",
    "check_share",
    "check_whole",
    "objective_of",
    "open_log",
    "policy_of",
]

logger = logging.getLogger("forecache")

Objective = Literal["objects", "bytes"]

MOST_CONNECTIONS: Final = 100_000  # to a database; more are a mistake
LEARNED: Final = "learned"
WITHOUT_LEARNING: Final = "tinylfu"  # in place of it, where learning is off
DEFAULT_POLICY: Final = LEARNED
SWITCH: Final = "FORECACHE_LEARNING"  # of the environment: on or off
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


def policy_of(policy: str) -> str:
    """The policy to use: the one asked for, unless it learns and learning is switched off."""
    if policy not in _core.POLICIES:
        raise UnknownPolicyError(f"unknown policy {policy!r}; expected one of {', '.join(_core.POLICIES)}")
    if policy == LEARNED and not is_learning_on():
        logger.debug("%s is off: policy %s in place of %s", SWITCH, WITHOUT_LEARNING, LEARNED)
        return WITHOUT_LEARNING
    return policy


def is_learning_on() -> bool:
    """What the environment says; on by default."""
    switch = os.environ.get(SWITCH, "on")
    if switch not in {"on", "off"}:
        raise ConfigurationError(f"{SWITCH} is {switch!r} in the environment; expected 'on' or 'off'")
    return switch == "on"


def objective_of(objective: str | None, *, max_bytes: int | str | None) -> Objective:
    """What to make large, which is a question only where entries are weighed in bytes."""
    if objective is None:
        return "objects"
    if objective not in {"objects", "bytes"}:
        raise ConfigurationError(f"objective is {objective!r}; expected 'objects' or 'bytes'")
    if max_bytes is None:
        raise ConfigurationError(
            f"objective is {objective!r} without max_bytes; leave it out, or give max_bytes='256MiB'"
        )
    return cast("Objective", objective)


def check_share(name: str, value: Any) -> None:
    """Whether a setting is a share, short of the whole."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ConfigurationError(f"{name} is {value!r}; expected a share in [0, 1), such as 0.1")


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Whether a setting is a whole number in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{name} is {value!r}; expected a whole number from {least} to {most}")


def timeout_seconds(timeout: Duration) -> float:
    """How long a database may take.

    Raises:
        DurationError: it is none at all, or no duration.
    """
    seconds = parse_duration(timeout)
    if not seconds > 0:
        raise DurationError(f"timeout is {timeout!r}; expected more than 0 seconds, such as '5s'")
    return seconds


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
