"""A function as the origin: whatever it returns for a key is the row. For APIs, files, and databases of other kinds."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NoReturn

from forecache.errors import ConfigurationError
from forecache.serve.origin import Batch, Key, Row, Table
from forecache.serve.origins.threads import Threads

__all__ = ["FunctionOrigin"]

THREADS: Final = 8  # for tasks, where the function is a plain one
KEY: Final = ("key",)

LoadOne = Callable[[Any], Row | Awaitable[Row | None] | None]
LoadMany = Callable[[list[Any]], Mapping[Any, Row] | Awaitable[Mapping[Any, Row]]]


class FunctionOrigin:
    """Rows that a function loads; they can be read, and are written elsewhere.

    Args:
        load: from one key to its row, or None if there is none.
        load_many: in place of it, from a list of keys to a dict of the rows that there are.
        name: what it is called in logs and errors; by default as the function.

    Raises:
        ConfigurationError: not exactly one of the functions is given.

    `async` functions serve tasks; plain ones serve both, tasks by means of threads. What the function raises is passed
    on as it is. It has one table, whose name may be anything.
    """

    def __init__(
        self, load: LoadOne | None = None, *, load_many: LoadMany | None = None, name: str | None = None
    ) -> None:
        """Calls nothing yet."""
        if (load is None) == (load_many is None):
            raise ConfigurationError("give one of load (one key) and load_many (a list of keys)")
        function: Any = load if load_many is None else load_many
        if not callable(function):
            raise ConfigurationError(f"{function!r} cannot be called; expected a function of a key")
        self._function = function
        self._takes_many = load_many is not None
        self._waits = inspect.iscoroutinefunction(function)
        self.name: str = name or str(getattr(function, "__qualname__", type(function).__name__))
        self._threads = Threads(THREADS)

    def __repr__(self) -> str:
        """The function."""
        return f"FunctionOrigin({self.name})"

    def table(self, name: str, row: type = dict) -> Table:
        """A table of this name; rows are what the function returns."""
        return Table(name, KEY, (), row)

    async def atable(self, name: str, row: type = dict) -> Table:
        """The same in a task."""
        return self.table(name, row)

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        """Rows by their keys, one call for all of them or for each.

        Raises:
            ConfigurationError: the function is `async`.
        """
        if self._waits:
            raise ConfigurationError(
                f"{self.name} is an async function; await aread(), or the methods that begin with 'a'"
            )
        keys = list(keys)
        read_at = time.monotonic()
        loaded = self._function(keys) if self._takes_many else {key: self._function(key) for key in keys}
        return batch(table, keys, loaded, read_at)

    async def aread(self, table: Table, keys: Iterable[Key]) -> Batch:
        """The same in a task."""
        if not self._waits:
            return await self._threads.run(self.read, table, keys)
        keys = list(keys)
        read_at = time.monotonic()
        loaded = await self._function(keys) if self._takes_many else {key: await self._function(key) for key in keys}
        return batch(table, keys, loaded, read_at)

    def transaction(self) -> NoReturn:
        """Refused.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            f"{self.name} only loads; write where its rows come from, and then invalidate their keys"
        )

    def atransaction(self) -> NoReturn:
        """Refused, as `transaction`."""
        self.transaction()

    def close(self) -> None:
        """Ends the threads."""
        self._threads.close()

    async def aclose(self) -> None:
        """The same in a task."""
        self.close()


def batch(table: Table, keys: list[Key], loaded: Any, read_at: float) -> Batch:
    """The rows that were asked for, and are there.

    Raises:
        ConfigurationError: no mapping was loaded.
    """
    if not isinstance(loaded, Mapping):
        raise ConfigurationError(f"load_many returned {type(loaded).__name__}; expected a dict of rows by their keys")
    rows = {key: loaded[key] for key in keys if loaded.get(key) is not None}
    return Batch(rows, table, None, read_at)
