"""Everything forecache raises by itself, in one tree.

ForecacheError
├─ ConfigurationError (ValueError)      a setting cannot be used
│  ├─ UnknownPolicyError                no policy has this name
│  ├─ CapacityError                     a size or a capacity cannot be used
│  ├─ DurationError                     a duration cannot be used
│  └─ LevelError                        a level of consistency cannot be used, or not with this database
├─ KeyTypeError (TypeError)             a key of this type cannot be used
├─ LoadInterruptedError                 a load that others waited for was interrupted
├─ OriginError                          the database of record did not do what it was asked
│  ├─ OriginUnavailableError            it cannot be reached, does not answer in time, or is overloaded
│  ├─ SourceBusyError                   another process follows its changes
│  ├─ ChangeLogError                    it tells its changes in a way that is not understood
│  ├─ TableError                        a table or column is not there, or the table has no primary key
│  ├─ StatementError                    it refused a statement or a value
│  ├─ ConstraintError                   a row would break a constraint; nothing was changed
│  ├─ WriteConflictError                another transaction came first; nothing was changed
│  ├─ SessionLostError                  the database lost, or may have lost, what a session has seen or written
│  └─ OutcomeUnknownError               the connection was lost during a commit, which happened or did not
├─ ModelError (ValueError)              bytes are no model that this version can use
├─ TraceError                           a trace cannot be used
│  ├─ TraceFormatError                  a file or its columns are not what a trace is
│  └─ EmptyTraceError                   there is no access where at least one is needed
└─ MissingExtraError (ImportError)      an optional package is not installed

Every message tells what was wrong, what was expected, and what to do.
"""

from __future__ import annotations

__all__ = [
    "CapacityError",
    "ChangeLogError",
    "ConfigurationError",
    "ConstraintError",
    "DurationError",
    "EmptyTraceError",
    "ForecacheError",
    "KeyTypeError",
    "LevelError",
    "LoadInterruptedError",
    "MissingExtraError",
    "ModelError",
    "OriginError",
    "OriginUnavailableError",
    "OutcomeUnknownError",
    "SessionLostError",
    "SourceBusyError",
    "StatementError",
    "TableError",
    "TraceError",
    "TraceFormatError",
    "UnknownPolicyError",
    "WriteConflictError",
]


class ForecacheError(Exception):
    """Base of every error that forecache raises by itself."""


class ConfigurationError(ForecacheError, ValueError):
    """A setting cannot be used."""


class UnknownPolicyError(ConfigurationError):
    """No policy has this name."""


class CapacityError(ConfigurationError):
    """A size or a capacity cannot be used."""


class DurationError(ConfigurationError):
    """A duration cannot be used."""


class LevelError(ConfigurationError):
    """A level of consistency cannot be used, or the database cannot keep it."""


class KeyTypeError(ForecacheError, TypeError):
    """A key of this type cannot be used."""


class LoadInterruptedError(ForecacheError):
    """A load that others waited for was interrupted, as by a signal or a cancelled task; load again."""


class OriginError(ForecacheError):
    """The database of record did not do what it was asked; the driver's error is the cause."""


class OriginUnavailableError(OriginError):
    """It cannot be reached, does not answer in time, or is overloaded; nothing was changed. Ask again later."""


class SourceBusyError(OriginError):
    """Another process follows the changes of the database; stand by, and try again."""


class ChangeLogError(OriginError):
    """The database tells its changes in a way that is not understood."""


class TableError(OriginError):
    """A table or column is not there, or the table has no primary key."""


class StatementError(OriginError):
    """The database refused a statement or a value; nothing was changed."""


class ConstraintError(OriginError):
    """A row would break a constraint of the database; nothing was changed."""


class WriteConflictError(OriginError):
    """Another transaction came first; nothing was changed. Run the transaction again."""


class OutcomeUnknownError(OriginError):
    """The connection was lost during a commit, which happened or did not; read what is there before writing again."""


class SessionLostError(OriginError):
    """The database has a past that lacks, or may lack, what the session saw; begin a new one."""


class ModelError(ForecacheError, ValueError):
    """Bytes are no model that this version can use: damaged, foreign, or made for others."""


class TraceError(ForecacheError):
    """A trace cannot be used."""


class TraceFormatError(TraceError):
    """A file or its columns are not what a trace is."""


class EmptyTraceError(TraceError):
    """There is no access where at least one is needed."""


class MissingExtraError(ForecacheError, ImportError):
    """An optional package is not installed; `command` installs it."""

    def __init__(self, package: str, extra: str) -> None:
        """Names the package that was looked for, and the extra of forecache that brings it."""
        self.extra = extra
        self.command = f"pip install 'forecache[{extra}]'"
        super().__init__(f"package {package!r} is not installed; it comes with an extra: {self.command}", name=package)

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Pickles by the arguments, not by the message."""
        return type(self), (self.name or "", self.extra)
