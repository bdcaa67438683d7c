"""Synchronous mode: commits wait for us, as for a synchronous standby; an operator switches it on and off.

`synchronous_standby_names` is of the whole server, and while nobody of that name follows, every commit waits. So it is
changed only where it is empty or ours; where it names real standbys, the operator adds us to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from forecache.errors import ConfigurationError

__all__ = [
    "NO_STANDBY",
    "RELOAD_SECONDS",
    "STANDBY",
    "SWITCH",
    "all_of",
    "calls",
    "requires",
    "switch_off",
    "switch_on",
    "waited_for",
]

STANDBY: Final = "forecache"  # application_name of sources for whose acknowledgement commits may wait
NO_STANDBY: Final = "forecache-source"  # of those that acknowledge what they see, for whom commits would wait for ever
RELOAD: Final = "SELECT pg_reload_conf()"
SETTING: Final = "synchronous_standby_names"
LISTED: Final = re.compile(r"\s*(?:FIRST\s+|ANY\s+)?(\d+)\s*\(([^()]*)\)\s*", re.IGNORECASE)
SWITCH: Final = 0x666F_7265_6361_6365  # an advisory lock: who holds it is about to switch, and nobody vouches meanwhile
RELOAD_SECONDS: Final = 1  # in which all processes of a server have surely read its settings anew


def calls(names: str, standby: str = STANDBY) -> bool:
    """Whether a value of `synchronous_standby_names` calls a standby.

    >>> calls("FIRST 2 (replica, forecache)"), calls(""), calls("*")
    (True, False, True)
    """
    called = {name.strip().strip('"').lower() for name in re.split(r"[(),]", names)}
    return bool(called & {standby.lower(), "*"})


def requires(names: str, standby: str = STANDBY) -> bool:
    """Whether a value of `synchronous_standby_names` lets no commit be seen that a standby did not acknowledge.

    >>> requires("FIRST 2 (replica, forecache)"), requires("ANY 1 (replica, forecache)"), requires("*")
    (True, False, False)
    """
    found = LISTED.fullmatch(names)
    count, listed = (1, names) if found is None else (int(found[1]), found[2])
    called = [name.strip().strip('"').lower() for name in listed.split(",")]
    return standby.lower() in called and "*" not in called and count >= len(called)


def all_of(names: str) -> str:
    """The value of `synchronous_standby_names` by which commits wait for all whom another one lists.

    >>> all_of("ANY 1 (replica, forecache)"), all_of("forecache, replica")
    ('FIRST 2 (replica, forecache)', 'FIRST 2 (forecache, replica)')
    """
    found = LISTED.fullmatch(names)
    listed = [name.strip() for name in (names if found is None else found[2]).split(",")]
    return f"FIRST {len(listed)} ({', '.join(listed)})"


def waited_for(standby: str, pid: int) -> str:
    """Columns of a query: the setting, and whether nobody but this sender has the name, and no operator is about it."""
    name = standby.replace("'", "''")
    return (
        f"current_setting('{SETTING}'), "  # noqa: S608 - quoted
        f"(SELECT array_agg(pid) FROM pg_stat_replication WHERE application_name = '{name}') = ARRAY[{pid}] "
        f"AND clock_timestamp() - pg_conf_load_time() > interval '{RELOAD_SECONDS} s' "
        f"AND pg_try_advisory_xact_lock_shared({SWITCH})"
    )


def switch_on(names: str, followers: int, standby: str = STANDBY) -> Sequence[str]:
    """Statements after which commits wait for us.

    Args:
        names: the setting as it is.
        followers: so many connections have this name now.
        standby: the name.

    Raises:
        ConfigurationError: nobody follows, so that all commits would wait; or they wait for others already, and how
            they wait for all is for the operator to say.
    """
    if calls(names, standby):
        return ()
    if not followers:
        raise ConfigurationError(
            f"nobody follows as {standby!r}, so every commit would wait; first open a LogSource with that standby"
        )
    if names.strip():
        raise ConfigurationError(
            f"{SETTING} is {names!r}; to wait for us as well, set it yourself, as to 'FIRST 2 ({names}, {standby})'"
        )
    return (f"ALTER SYSTEM SET {SETTING} = '{standby}'", RELOAD)


def switch_off(names: str, standby: str = STANDBY) -> Sequence[str]:
    """Statements after which they do not.

    Raises:
        ConfigurationError: they wait for others as well, and must go on to do so.
    """
    if not calls(names, standby):
        return ()
    if names.strip().strip('"').lower() != standby.lower():
        raise ConfigurationError(f"{SETTING} is {names!r}, which calls others too; take {standby} out of it yourself")
    return (f"ALTER SYSTEM RESET {SETTING}", RELOAD)
