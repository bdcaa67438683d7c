"""Asking PostgreSQL: a connection on which every statement is answered in time, and errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from forecache.errors import ConfigurationError, OriginUnavailableError, SourceBusyError
from forecache.extras import extra

with extra("postgresql"):
    import psycopg

__all__ = ["Asking", "slot_of", "translated"]

BUSY: Final = ("55006", "42710", "23505")  # another holds the slot, or just made what we were about to make
UNFIT: Final = ("55000", "42704", "42501", "53400", "0A000", "22023", "42602")  # settings, rights, names
MOST_LETTERS: Final = 63  # of a name


class Asking(psycopg.Connection[Any]):
    """A connection of one thread."""

    seconds = 5.0  # for an answer

    @classmethod
    def to(cls, name: str, parameters: Mapping[str, Any], seconds: float) -> Self:
        """Connects.

        Raises:
            OriginUnavailableError: that is not possible in time.
        """
        with translated(name):
            connection = cls.connect(**parameters, autocommit=True)
        connection.seconds = seconds
        return connection

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Waits for the server as long as it may take."""
        return super().wait(gen, interval, self.seconds if timeout is None else timeout)

    def ask(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        cursor = self.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors of the driver, as those of our tree."""
    try:
        yield
    except psycopg.Error as error:
        said = f"{name}: {error.diag.message_primary or str(error).splitlines()[0]}"
        state = error.sqlstate or ""
        if state in BUSY:
            raise SourceBusyError(f"{said}; stand by, and try again") from error
        if state in UNFIT:
            hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
            raise ConfigurationError(f"{said}{hint}; forecache doctor tells what to do") from error
        raise OriginUnavailableError(said) from error


def slot_of(database: str) -> str:
    """The slot of a database, unless another is chosen: a slot is of one database, and its name is of the server."""
    return f"forecache_{re.sub('[^a-z0-9_]', '_', database.lower())}"[:MOST_LETTERS]
