"""WAL mode: a file of SQLite is switched to it by whoever opens it first."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

__all__ = ["into_wal_mode"]

PAUSE_SECONDS: Final = 0.005  # between two tries


def into_wal_mode(connection: sqlite3.Connection, seconds: float) -> str:
    """Switches the connection's file to WAL mode, in which it stays.

    SQLite fails at once, whatever its timeout, if another connection switches the file at that moment, since each would
    wait for the other. So it is tried again, for as long as a writer would be waited for.

    Returns:
        The mode that the file is in then; some files refuse.

    Raises:
        sqlite3.OperationalError: the file was locked all the time, or cannot be used.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        time.sleep(PAUSE_SECONDS)
