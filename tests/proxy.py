"""A TCP proxy that does to connections what networks do: delays, silence in one or both directions, resets."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from typing import Self

LINGER_RESET = struct.pack("ii", 1, 0)  # a close sends a reset
CHUNK = 65_536  # bytes
LOOK_SECONDS = 0.01


class Proxy:
    """Passes connections on to a port of this machine, as long as nothing else is asked of it.

    Settings hold from the next bytes on, also on connections there are.
    """

    def __init__(self, target: int, tls: tuple[str, str] | None = None) -> None:
        """In front of a port; with a certificate and its key, connections to it are encrypted."""
        self.target = target
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if tls else None
        if self.context and tls:
            self.context.load_cert_chain(*tls)
            self.context.set_alpn_protocols(["postgresql"])  # which libpq insists on
        self.delay = 0.0  # seconds that each piece of an answer takes longer
        self.delayed = b""  # only pieces with these bytes in them
        self.loses_requests = self.loses_answers = False  # silently, as a half-open connection does
        self.keeps = False  # what was not passed on arrives later, as TCP sends it again, and is not lost
        self.refuses = False  # resets whoever connects
        self.connections = 0  # so many were accepted
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    def goes_dark(self, dark: bool = True) -> None:
        """Nothing passes in either direction, and nobody is told."""
        self.loses_requests = self.loses_answers = dark

    def reset(self) -> None:
        """Resets all connections there are."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                reset(end)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _loses(self, is_answer: bool) -> bool:
        return self.loses_answers if is_answer else self.loses_requests

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                if self.refuses:
                    raise ConnectionRefusedError
                if self.context:
                    client = self.context.wrap_socket(client, server_side=True)
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                reset(client)
                continue
            with self._lock:
                self._pairs.append((client, server))
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, sink, is_answer), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if is_answer and self.delay and self.delayed in data:
                    time.sleep(self.delay)
                while self.keeps and self._loses(is_answer):
                    time.sleep(LOOK_SECONDS)
                if not self._loses(is_answer):
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        end.shutdown(socket.SHUT_RD)
    end.close()
