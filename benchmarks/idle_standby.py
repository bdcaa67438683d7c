"""A synchronous standby that acknowledges each commit as soon as its bytes are there, and does nothing else.

It reads the log as sequencers do, by pgoutput and through libpq, so what it costs is PostgreSQL's own way of waiting.
"""

from __future__ import annotations

import select
from contextlib import closing
from multiprocessing.synchronize import Event
from struct import Struct

import psycopg
from psycopg import pq

from forecache.coherence.postgresql.coverage import PUBLICATION

__all__ = ["NAME", "stand_by"]

NAME = "idle"
START = (
    f"START_REPLICATION SLOT \"{NAME}\" LOGICAL 0/0 (proto_version '1', publication_names '\"{PUBLICATION}\"', "
    "messages 'true')"
)
STATUS = Struct("!cQQQqB")  # type, written, flushed, applied, time, whether to reply
DATA_AT = 25  # of a message of the log
END = Struct("!xxQQ")  # type, flags, position of the commit, of its end
KEEPALIVE = Struct("!xQqB")  # type, end of the log, time, whether to reply


def stand_by(url: str, is_up: Event, is_over: Event) -> None:
    """A process that acknowledges until told to stop."""
    with closing(psycopg.connect(url, autocommit=True, replication="database", application_name=NAME)) as connection:
        connection.execute(f'CREATE_REPLICATION_SLOT "{NAME}" TEMPORARY LOGICAL pgoutput'.encode())
        wire, waiting = connection.pgconn, select.poll()
        waiting.register(wire.socket, select.POLLIN)
        wire.send_query(START.encode())
        result = wire.get_result()
        if result is None or result.status != pq.ExecStatus.COPY_BOTH:
            raise RuntimeError(f"the log cannot be read: {wire.get_error_message()}")
        is_up.set()
        while not is_over.is_set():
            if waiting.poll(50):
                wire.consume_input()
            while (found := wire.get_copy_data(1))[0] > 0:
                acknowledge(wire, bytes(found[1]))


def acknowledge(wire: pq.abc.PGconn, data: bytes) -> None:
    """Answers a commit, or a question."""
    position = 0
    if data[:1] == b"w" and data[DATA_AT : DATA_AT + 1] == b"C":
        position = END.unpack_from(data, DATA_AT)[1]
    elif data[:1] == b"k" and KEEPALIVE.unpack(data)[2]:
        position = KEEPALIVE.unpack(data)[0]
    if position:
        wire.put_copy_data(STATUS.pack(b"r", position, position, position, 0, 0))
        wire.flush()
