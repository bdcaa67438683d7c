"""What PostgreSQL's error codes mean to us, whichever driver brings them.

PostgreSQL documentation, appendix A: the first two characters are the class of an error.
"""

from __future__ import annotations

from typing import Final

from forecache.errors import (
    ConstraintError,
    OriginError,
    OriginUnavailableError,
    StatementError,
    TableError,
    WriteConflictError,
)

__all__ = ["OUTDATED", "first_line", "state_of", "translation"]

CONSTRAINTS: Final = "23"
CONFLICTS: Final = ("40", "55P03")  # serialization, deadlock, a lock not waited for
LACKING: Final = ("42P01", "42703", "3F000")  # no such table, column, schema
FAILING: Final = ("08", "53", "57", "58", "25006", "28", "3D")  # connections, resources, shutdown, standby, access
OUTDATED: Final = "0A000"  # "cached plan must not change result type": the columns of a table changed


def state_of(error: BaseException) -> str:
    """The code of an error; empty if the server did not say one."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def translation(name: str, error: BaseException) -> OriginError:
    """What an answer of the server, or a refusal of the driver, means."""
    state, said = state_of(error), first_line(error)
    if state.startswith(CONSTRAINTS):
        return ConstraintError(f"{name}: {said}; nothing was changed")
    if state.startswith(CONFLICTS):
        return WriteConflictError(f"{name}: {said}; run the transaction again")
    if state.startswith(LACKING):
        return TableError(f"{name}: {said}; the schema is not what it was, or a name is wrong")
    if state.startswith(FAILING):
        return OriginUnavailableError(f"{name}: {said}")
    return StatementError(f"{name}: {said}")


def first_line(error: BaseException) -> str:
    """What went wrong, without the values of the row that follow."""
    diagnosis = getattr(error, "diag", None)
    return (diagnosis and diagnosis.message_primary) or (str(error).splitlines() or [type(error).__name__])[0]
