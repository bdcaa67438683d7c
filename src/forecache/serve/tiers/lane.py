"""`Lane`: one connection to one server that is never made again: when it fails, it is over, and whoever has it knows.

Commands go out at once, and answers come back in their order. The client below it would connect again by itself, maybe
to another server, and what was counted on one connection would be compared with what comes over another; so nothing is
sent after a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Self

from forecache.serve.tiers.layout import Script
from forecache.serve.tiers.link import Command

__all__ = ["Lane", "LaneError"]


class LaneError(Exception):
    """The connection failed, did not answer in time, or the server refused."""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """What an error of a client says, in one line."""
        return cls(next(iter(str(error).splitlines()), "") or type(error).__name__)


class Lane:
    """Used by one thread at a time."""

    def __init__(self, connection: Any, scripts: Iterable[Script]) -> None:
        """Connects, and makes scripts known to the server.

        Args:
            connection: of valkey-py or redis-py, not connected yet.
            scripts: that will be run by their hashes.

        Raises:
            LaneError: that failed.
        """
        self._connection = connection
        self.waiting = 0  # commands that were not answered
        try:
            connection.connect()
        except Exception as error:  # noqa: BLE001 - whatever it looks like, there is no connection
            self._fail(error)
        self.ask([("SCRIPT", "LOAD", script.text) for script in scripts])

    def send(self, commands: Sequence[Command]) -> None:
        """Sends commands.

        Raises:
            LaneError: that failed.
        """
        if self._connection is None:
            raise LaneError("the connection is over")
        self.waiting += len(commands)
        try:
            self._connection.send_packed_command([packed(commands)])
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def hear(self) -> Any:
        """The next thing that the server says of itself, to who subscribed to it; waits as `receive` does.

        Raises:
            LaneError: it did not come, or is an error.
        """
        return self._read(push_request=True)

    def subscribe(self, channels: Sequence[bytes]) -> None:
        """Lets the server say what is published there.

        Raises:
            LaneError: that failed.
        """
        self.send([("SUBSCRIBE", *channels)])
        parser = self._connection._parser
        if hasattr(parser, "set_pubsub_push_handler"):
            parser.set_pubsub_push_handler(lambda said: said)
        for _ in channels:
            self.hear()

    def receive(self) -> Any:
        """The next answer; waits for it as long as the connection does.

        Raises:
            LaneError: it did not come, or is an error.
        """
        answer = self._read()
        self.waiting -= 1
        return answer

    def _read(self, *, push_request: bool = False) -> Any:
        if self._connection is None:
            raise LaneError("the connection is over")
        try:
            return self._connection.read_response(push_request=push_request)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def is_ready(self, seconds: float = 0.0) -> bool:
        """Whether an answer is there, or comes within some time.

        Raises:
            LaneError: the connection failed.
        """
        if self._connection is None:
            raise LaneError("the connection is over")
        try:
            return bool(self._connection.can_read(seconds))
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Sends commands, and waits for all answers.

        Raises:
            LaneError: one is missing, or an error.
        """
        self.send(commands)
        return [self.receive() for _ in commands]

    def fileno(self) -> int:
        """To wait for; -1 if the connection is over."""
        socket = None if self._connection is None else self._connection._sock
        return -1 if socket is None else int(socket.fileno())

    def close(self) -> None:
        """Ends the connection; a second call does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _fail(self, error: Exception) -> NoReturn:
        self.close()
        raise LaneError.of(error) from error


def packed(commands: Iterable[Command]) -> bytes:
    r"""Commands as they go over the wire, of bytes, texts and whole numbers; for each, commits may wait.

    >>> packed([("GET", b"key", 1)])
    b'*3\r\n$3\r\nGET\r\n$3\r\nkey\r\n$1\r\n1\r\n'
    """
    parts = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for part in command:
            data = part if isinstance(part, bytes) else str(part).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
