"""`Looks`: asks PostgreSQL what can be seen, and does not wait for the answer; one question at a time.

Whoever carries commits that wait would make them wait longer if he stood still until the server answers, and a thread
that waits in his stead costs more than the question: each of its answers is handed over from one to the other.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from forecache.coherence.changes import Snapshot
from forecache.coherence.postgresql.asking import Asking, translated
from forecache.coherence.postgresql.synchronous import requires
from forecache.extras import extra

with extra("postgresql"):
    import psycopg
    from psycopg import errors, pq

__all__ = ["Looks"]

LOOK: Final = "forecache_look"
SAMPLE: Final = "forecache_sample"
BINARY: Final = 1


class Looks:
    """Of one thread, on a connection on which nothing else is asked meanwhile."""

    def __init__(self, name: str, asking: Asking, look: str, sample: str, standby: str | None) -> None:
        """Prepares the questions.

        Args:
            name: of the database, in errors.
            asking: the connection.
            look: SQL, of one row: a snapshot.
            sample: the same with a message `$1`; and if there is a standby, the setting and whether it is us.
            standby: who is waited for, if that is asked.

        Raises:
            OriginUnavailableError: the database is gone.
        """
        self._name, self._asking, self._wire, self._standby = name, asking, asking.pgconn, standby
        self._waiting = select.poll()
        self._waiting.register(self._wire.socket, select.POLLIN)
        self._until = 0.0
        self._result: pq.abc.PGresult | None = None
        self._found: Snapshot | None = None
        self.is_open = False  # the server was asked, and did not answer
        with translated(name):
            asking.ask(f"PREPARE {LOOK} AS {look}")
            asking.ask(f"PREPARE {SAMPLE} (bytea) AS {sample}")

    def fileno(self) -> int:
        """What to wait for while a question is open."""
        return self._wire.socket

    def begin(self, message: bytes | None = None) -> None:
        """Asks what can be seen; with a message, all that the answer sees is told before the message is.

        Raises:
            OriginUnavailableError: the database is gone.
        """
        with translated(self._name):
            if message is None:
                self._wire.send_query_prepared(LOOK.encode(), None)
            else:
                self._wire.send_query_prepared(SAMPLE.encode(), [message], [BINARY])
            self._wire.flush()
        self.is_open, self._result = True, None
        self._until = time.monotonic() + self._asking.seconds

    def ended(self) -> Snapshot | None:
        """The answer, once; None while there is none.

        Raises:
            OriginUnavailableError: the database is gone, or did not answer in time.
        """
        if self.is_open:
            with translated(self._name):
                self._take()
        found, self._found = self._found, None
        return found

    def finish(self) -> None:
        """Waits for the answer, if a question is open; `ended` tells it.

        Raises:
            OriginUnavailableError: the database is gone, or did not answer in time.
        """
        with translated(self._name):
            while self.is_open:
                self._waiting.poll(max(0.0, self._until - time.monotonic()) * 1000)
                self._take()

    def ask(self, message: bytes | None = None) -> Snapshot:
        """The answer, waited for; the same errors."""
        self.begin(message)
        self.finish()
        found = self.ended()
        assert found is not None  # noqa: S101 - tells the type checker
        return found

    def _take(self) -> None:
        """What the server said."""
        self._wire.consume_input()
        while not self._wire.is_busy():
            result = self._wire.get_result()
            if result is None:
                self.is_open, self._found = False, self._understood()
                return
            self._result = result
        if time.monotonic() > self._until:
            raise psycopg.OperationalError(f"no answer within {self._asking.seconds:g} seconds")

    def _understood(self) -> Snapshot:
        result = self._result
        if result is None or result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError("no answer") if result is None else errors.error_from_result(result)
        row = [(result.get_value(0, column) or b"").decode() for column in range(result.nfields)]
        snapshot = Snapshot.parse(row[0])
        return replace(snapshot, waits=self._is_waited_for(row[2:]))

    def _is_waited_for(self, columns: Sequence[str]) -> bool:
        return bool(columns) and self._standby is not None and requires(columns[0], self._standby) and columns[1] == "t"
