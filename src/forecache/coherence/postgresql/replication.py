"""Replication: one connection that carries PostgreSQL's log, over libpq as psycopg wraps it.

Source: PostgreSQL documentation, 54.4, "Streaming Replication Protocol".
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any, Final, NamedTuple

from forecache.coherence.postgresql.asking import Asking, translated
from forecache.coherence.postgresql.history import asked
from forecache.errors import ChangeLogError, OriginUnavailableError
from forecache.extras import extra

with extra("postgresql"):
    import psycopg
    from psycopg import errors, pq

__all__ = ["Keepalive", "Progress", "Stream", "System"]

DATA: Final = Struct("!xQQq")  # type, start, end of the log, time
KEEPALIVE: Final = Struct("!xQqB")  # type, end of the log, time, whether to reply
STATUS: Final = Struct("!cQQQqB")  # type, written, flushed, applied, time, whether to reply
EPOCH_MICROSECONDS: Final = 946_684_800_000_000  # of 2000-01-01, from which the server counts
MOST_AT_ONCE: Final = 20_000  # messages, so that whoever polls is never long without control
REPORTS_IN_SILENCE: Final = 3  # asked for a sign of life before it counts as silent
SAFE: Final = "-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex"


class System(NamedTuple):
    """Which server it is."""

    number: int
    timeline: int
    history: str = ""  # of the timeline, as PostgreSQL writes it; "" if it has none, or does not tell


class Keepalive(NamedTuple):
    """Everything up to a position was sent."""

    position: int


class Progress:
    """What to tell the server that we are done with."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.position = 0  # which it need not send again
        self._told = 0  # end of the last commit that was told
        self._confirmed = 0

    def tell(self, position: int) -> None:
        """A commit was told, which must be acknowledged."""
        self._told = max(self._told, position)

    def acknowledge(self, position: int) -> None:
        """All commits up to there that were told are done with."""
        self._confirmed = max(self._confirmed, min(position, self._told))
        self.position = max(self.position, self._confirmed)

    def pass_by(self, position: int) -> None:
        """All that was sent up to there, in this order; what was not told needs no acknowledgement."""
        if self._confirmed >= self._told:
            self.position = max(self.position, position)


class Stream:
    """The log, from where the slot is."""

    def __init__(self, name: str, parameters: Mapping[str, Any], silence: float, seconds: float) -> None:
        """Connects.

        Args:
            name: of the database, in errors.
            parameters: of libpq.
            silence: seconds without a sign after which the other side is given up, by us and by the server.
            seconds: for an answer.

        Raises:
            OriginUnavailableError: the database cannot be reached.
        """
        options = f"{parameters.get('options') or ''} {SAFE} -c wal_sender_timeout={max(1, round(silence * 1000))}"
        settings = dict(parameters) | {"replication": "database", "client_encoding": "UTF8", "options": options}
        self._name = name
        self._silence = silence
        self._connection = Asking.to(name, settings, seconds)
        self._wire = self._connection.pgconn
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wire.socket, selectors.EVENT_READ)
        self._heard = self._reported = time.monotonic()
        self._told = 0  # position of the last report
        self.progress = Progress()

    def start(self, slot: str, publication: str) -> System:
        """Begins to send.

        Raises:
            SourceBusyError: another process holds the slot.
            ConfigurationError: there is no such slot, or it is lost.
        """
        history = ""
        with translated(self._name):
            number, timeline, *_ = self._connection.ask("IDENTIFY_SYSTEM")[0]
            with suppress(psycopg.Error):  # the file is gone
                history = asked(self._connection.ask, int(timeline))
            names = publication.replace('"', '""').replace("'", "''")
            self._command(
                f"START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 (proto_version '1', "
                f"publication_names '\"{names}\"', messages 'true')"
            )
        self._heard = time.monotonic()
        return System(int(number), int(timeline), history)

    def _command(self, command: str) -> None:
        """Switches to copying both ways."""
        self._wire.send_query(command.encode())
        deadline = time.monotonic() + self._connection.seconds
        while self._wire.is_busy():
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise psycopg.OperationalError(f"no answer within {self._connection.seconds:g} seconds")
            self._wire.consume_input()
        result = self._wire.get_result()
        if result is None or result.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.OperationalError("no answer") if result is None else errors.error_from_result(result)

    @property
    def pid(self) -> int:
        """Of the server's process that sends."""
        return self._connection.info.backend_pid

    def fileno(self) -> int:
        """What to wait for."""
        return self._wire.socket

    def read(self, seconds: float) -> Iterator[bytes | Keepalive]:
        """Messages and signs of life, in their order; waits at most so long if there are none.

        Raises:
            OriginUnavailableError: the connection is lost, or was silent for too long.
        """
        with translated(self._name):
            self._report_in_time()
            if seconds <= 0:
                self._wire.consume_input()
            found = self._drain()
            if not found and seconds > 0:
                self._selector.select(min(seconds, self._silence / REPORTS_IN_SILENCE))
                self._wire.consume_input()
                found = self._drain()
            if not found and time.monotonic() - self._heard > self._silence:
                raise OriginUnavailableError(f"{self._name} was silent for {self._silence:g} seconds")
        return map(self._interpret, found)

    def _drain(self) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < MOST_AT_ONCE:
            length, data = self._wire.get_copy_data(1)
            if length == 0:
                break
            if length < 0:
                result = self._wire.get_result()
                raise (
                    psycopg.OperationalError("the stream ended") if result is None else errors.error_from_result(result)
                )
            found.append(bytes(data))
        if found:
            self._heard = time.monotonic()
        return found

    def _interpret(self, data: bytes) -> bytes | Keepalive:
        kind = data[:1]
        if kind == b"w" and len(data) >= DATA.size:
            return data[DATA.size :]
        if kind == b"k" and len(data) == KEEPALIVE.size:
            position, _, must_reply = KEEPALIVE.unpack(data)
            if must_reply:
                self._reported = 0.0
            return Keepalive(position)
        raise ChangeLogError(f"{self._name} sent what is no data of a log: {data[:16]!r}")

    def _report_in_time(self) -> None:
        if time.monotonic() - self._reported > self._silence / REPORTS_IN_SILENCE:
            self.report()

    def report_if_moved(self) -> None:
        """Tells how far we are, if that is further than the server knows."""
        if self.progress.position > self._told:
            self.report()

    def report(self) -> None:
        """Tells how far we are, and asks for a sign of life."""
        now = time.monotonic()
        at, micros = self.progress.position, time.time_ns() // 1000 - EPOCH_MICROSECONDS
        with translated(self._name):
            self._wire.put_copy_data(STATUS.pack(b"r", at, at, at, micros, now - self._reported > self._silence / 10))
            self._wire.flush()
        self._reported, self._told = now, at

    def close(self) -> None:
        """Lets go of the slot."""
        self._selector.close()
        self._connection.close()
