"""Outages: servers that are killed on purpose or by hand, noticed, and started again a little later."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from forecache.errors import ConfigurationError
from forecache.show.servers import Server, ServerError
from forecache.units import parse_duration

__all__ = ["Keeper", "Outage", "check_outages"]

FORM: Final = re.compile(r"(\w+)@([^+]+)(?:\+(.+))?")
DOWN_SECONDS: Final = 3.0  # until a server that is gone is started again
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outage:
    """A server is to be killed.

    >>> Outage.parse("valkey@5s+2s")
    Outage(server='valkey', at=5.0, seconds=2.0)
    """

    server: str
    at: float  # seconds from the first request
    seconds: float = DOWN_SECONDS  # until it is started again

    @classmethod
    def parse(cls, text: str) -> Self:
        """An outage as people write it.

        Raises:
            ConfigurationError: it is none.
        """
        found = FORM.fullmatch(text.strip())
        if found is None:
            raise ConfigurationError(f"outage is {text!r}; expected a server, a moment and a duration: valkey@5s+3s")
        name, at, seconds = found.groups()
        return cls(name, parse_duration(at), parse_duration(seconds) if seconds else DOWN_SECONDS)


def check_outages(outages: Iterable[Outage], servers: Iterable[str]) -> None:
    """Whether there is each server that is to be killed.

    Raises:
        ConfigurationError: one is not.
    """
    there = list(servers)
    for outage in outages:
        if outage.server not in there:
            raise ConfigurationError(
                f"outage of {outage.server!r}, but what is started is {', '.join(there) or 'no server'}"
            )


class Keeper:
    """Kills servers when it is told to, and starts again whatever is gone; in a thread of its own."""

    def __init__(self, servers: Mapping[str, Server], outages: Iterable[Outage], say: Callable[[str], None]) -> None:
        """Of servers that run.

        Raises:
            ConfigurationError: an outage is of a server that is not there.
        """
        self._servers = servers
        self._due = sorted(outages, key=lambda outage: outage.at)
        check_outages(self._due, servers)
        self._say = say
        self._down: dict[str, tuple[float, float]] = {}  # since when, and until when they stay so
        self._past: list[tuple[str, float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = time.monotonic()

    def down_between(self, began: float, ended: float) -> tuple[str, ...]:
        """Servers that were down at some moment from one to another."""
        past = {name for name, since, until in self._past if since <= ended and until >= began}
        now = {name for name, (since, _) in list(self._down.items()) if since <= ended}
        return tuple(name for name in self._servers if name in past | now)

    def wait(self) -> None:
        """Returns when all servers are up, or after a while."""
        end = time.monotonic() + 10 * DOWN_SECONDS
        while self._down and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)

    def start(self, started: float) -> None:
        """Begins; the first request comes at `started`."""
        self._started = started
        self._thread.start()

    def close(self) -> None:
        """Keeps no longer."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            while self._due and now >= self._started + self._due[0].at:
                self._kill(self._due.pop(0), now)
            for name, server in self._servers.items():
                self._look(name, server, now)

    def _kill(self, outage: Outage, now: float) -> None:
        server = self._servers[outage.server]
        if outage.server not in self._down:
            self._down[outage.server] = now, now + outage.seconds
            self._say(f"{outage.server} is killed ({server.place}), for {outage.seconds:g} s")
            server.kill()

    def _look(self, name: str, server: Server, now: float) -> None:
        since, until = self._down.get(name, (now, now + DOWN_SECONDS))
        if not server.is_up and name not in self._down:
            self._down[name] = since, until
            self._say(f"{name} is gone ({server.place}); it is started again in {DOWN_SECONDS:g} s")
        elif name in self._down and now >= until:
            self._restart(name, server, since)

    def _restart(self, name: str, server: Server, since: float) -> None:
        try:
            server.start()
        except ServerError:  # what is left of it is still ending
            self._down[name] = since, time.monotonic() + 1
            return
        self._past.append((name, since, time.monotonic()))
        del self._down[name]
        self._say(f"{name} is up again ({server.place})")
