"""Link: sends commands to one server or cluster, from threads and from tasks, and says how that went."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from forecache.errors import ConfigurationError
from forecache.forks import renew_after_fork

__all__ = ["Answer", "Clients", "Command", "Link"]

Command = tuple[Any, ...]

CONNECTIONS: Final = 64  # of threads, and as many of each event loop; beyond it requests wait for one another
OUT_OF_SERVICE: Final = frozenset({"ReadOnlyError", "BusyLoadingError", "MasterDownError", "ClusterDownError"})


class Answer(NamedTuple):
    """What came back, or why nothing did."""

    replies: list[Any] | None  # one for each command; errors among them are exceptions
    reason: str = ""  # holds no secret
    is_failure: bool = False  # whether this speaks against the server


TOO_LATE: Final = Answer(None, "no time is left")
CROWDED: Final = Answer(None, "all connections are in use")


class Clients(NamedTuple):
    """How clients of valkey-py or redis-py are made; both may be made for one server."""

    for_threads: Callable[[], Any] | None
    for_tasks: Callable[[], Any] | None


class Link:
    """Connections to one server: a pool for threads, and one for each event loop."""

    def __init__(self, clients: Clients, connections: int = CONNECTIONS) -> None:
        """Connects when something is sent.

        Args:
            clients: make a client that does not retry, and has short timeouts of its own.
            connections: most of them at once, for threads, and for each loop.
        """
        self._clients, self._connections = clients, connections
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forgets connections, which in a child process belong to the parent."""
        self._lock = threading.Lock()
        self._seats = threading.BoundedSemaphore(self._connections)
        self._client: Any = None
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, OfLoop] = WeakKeyDictionary()

    @property
    def serves_threads(self) -> bool:
        """Whether it has a client for threads."""
        return self._clients.for_threads is not None

    def new_client(self) -> Any:
        """A client for threads of one's own, to be closed by whoever asked for it; if one was given, that one."""
        return made(self._clients.for_threads, "threads")

    def send(self, commands: Sequence[Command], seconds: float) -> Answer:
        """Sends all at once, and waits for replies as long as the client does; for a free connection, `seconds`."""
        if seconds <= 0:
            return TOO_LATE
        if not self._seats.acquire(timeout=seconds):
            return CROWDED
        try:
            client = self._of_threads()
            answer = answer_of(queued(client, commands).execute(raise_on_error=False))
            if answer.is_failure:
                client.close()  # what comes next connects anew, and maybe to another server
        except Exception as error:  # noqa: BLE001 - no outage may fail a request, whatever it looks like
            return failure_of(error)
        finally:
            self._seats.release()
        return answer

    async def asend(self, commands: Sequence[Command], seconds: float) -> Answer:
        """The same in a task; it ends after `seconds`."""
        if seconds <= 0:
            return TOO_LATE
        try:
            loop = self._of_tasks()
            async with asyncio.timeout(seconds), loop.seats:
                if loop.ready is not None:
                    await asyncio.shield(loop.ready)  # goes on if this request cannot wait for it
                answer = answer_of(await queued(loop.client, commands).execute(raise_on_error=False))
                if answer.is_failure:
                    await loop.client.aclose()
        except Exception as error:  # noqa: BLE001 - no outage may fail a request, whatever it looks like
            return failure_of(error)
        return answer

    def close(self) -> None:
        """Closes the connections of threads."""
        with self._lock:
            client, self._client = self._client, None
        for part in parts_of(client):
            part.close()

    async def aclose(self) -> None:
        """Closes the connections of the running loop, and those of threads."""
        loop = self._of_loops.pop(asyncio.get_running_loop(), None)
        for part in parts_of(loop and loop.client):
            await part.aclose()
        self.close()

    def _of_threads(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = made(self._clients.for_threads, "threads")
            return self._client

    def _of_tasks(self) -> OfLoop:
        loop = asyncio.get_running_loop()
        found = self._of_loops.get(loop)
        if found is None or (found.ready and found.ready.done() and found.ready.exception()):
            client = made(self._clients.for_tasks, "tasks")
            found = OfLoop(client, asyncio.Semaphore(self._connections), preparation_of(client))
            self._of_loops[loop] = found
        return found


class OfLoop(NamedTuple):
    """What an event loop has."""

    client: Any
    seats: asyncio.Semaphore
    ready: asyncio.Task[Any] | None  # what must end before the client can be used


def preparation_of(client: Any) -> asyncio.Task[Any] | None:
    """A cluster's client learns its nodes and commands first, which takes longer than a request may wait."""
    if not hasattr(client, "nodes_manager"):
        return None
    task = asyncio.create_task(client.initialize())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits is told by the task
    return task


def parts_of(client: Any) -> list[Any]:
    """A client, and those with which it asks sentinels."""
    if client is None:
        return []
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return [client, *(manager.sentinels if manager else ())]


def made(make: Callable[[], Any] | None, who: str) -> Any:
    """A new client."""
    if make is None:
        raise ConfigurationError(f"this shared tier was given no client for {who}; expected one, or a URL")
    return make()


def queued(client: Any, commands: Sequence[Command]) -> Any:
    """A pipeline that holds all commands, and is no transaction."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return pipeline


def answer_of(replies: list[Any]) -> Answer:
    """Replies, or that the server is out of service: starting, or no primary."""
    for kind in kinds_of_errors(replies):
        if kind in OUT_OF_SERVICE:
            return Answer(None, kind, is_failure=True)
    return Answer(replies)


def kinds_of_errors(replies: list[Any]) -> Iterator[str]:
    """Names of the errors among replies."""
    return (type(reply).__name__ for reply in replies if isinstance(reply, Exception))


def failure_of(error: Exception) -> Answer:
    """The kind of an error; its text may hold addresses and what was sent."""
    if isinstance(error, ConfigurationError):
        raise error
    return Answer(None, type(error).__name__, is_failure=True)
