"""`Follower`: what sources of PostgreSQL's changes share: a connection to ask on, and tables that can be followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from forecache.coherence.changes import Commit, Identity, Message, Snapshot
from forecache.coherence.postgresql.asking import Asking, translated
from forecache.coherence.postgresql.coverage import Tables, ask_tables, complaints
from forecache.coherence.postgresql.key_texts import loader
from forecache.coherence.postgresql.transactions import Followed
from forecache.errors import ChangeLogError, OriginUnavailableError, TableError
from forecache.libpq import name_of, parameters_of
from forecache.units import Duration, parse_duration, parse_ttl

__all__ = ["RECHECK", "SILENCE", "Follower"]

SILENCE: Final = "3s"  # without a sign of life
RECHECK: Final = "5s"  # after which the catalogue is asked whether tables are still what they were
STARTED: Final = """
SELECT pg_postmaster_start_time()::text || '/' || coalesce((SELECT stats_reset::text FROM pg_stat_bgwriter), '')
"""  # statistics begin anew when the server recovers from a crash of one of its processes
SNAPSHOT: Final = "SELECT pg_current_snapshot()::text"


class Follower:
    """One thread's connection to a database of which some tables are followed; after any error it is closed."""

    def __init__(
        self,
        url: str,
        tables: Mapping[str, Sequence[str]],
        *,
        application: str,
        silence: Duration,
        timeout: Duration,
        recheck: Duration,
    ) -> None:
        """Connects to nothing yet."""
        self._parameters = parameters_of(url) | {"application_name": application}
        self._seconds = parse_duration(timeout)
        self._parameters.setdefault("connect_timeout", max(2, round(self._seconds)))
        self.name = name_of(self._parameters)
        self._wanted = {name: tuple(key) for name, key in tables.items()}
        self.silence = parse_ttl(silence)  # seconds; counts when it is opened
        self._recheck_seconds = parse_ttl(recheck)
        self._recheck_at = 0.0
        self._asking: Asking | None = None

    def open(self) -> Identity:
        """Begins to follow."""
        self.close()
        with self._closing_on_error(), translated(self.name):
            self._asking = self._connect()
            self._tables = self._check()
            self._recheck_at = time.monotonic() + self._recheck_seconds
            return self._follow(self._asking)

    def _connect(self) -> Asking:
        """To ask on."""
        return Asking.to(self.name, self._session(), self._seconds)

    def _session(self) -> dict[str, Any]:
        """How to connect."""
        return self._parameters

    def _follow(self, asking: Asking) -> Identity:
        """Begins, when there is a connection."""
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """What can be seen now."""
        return Snapshot.parse(self._ask(SNAPSHOT)[0][0])

    def close(self) -> None:
        """Stops, and lets others follow."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.close()

    def _poll(self, seconds: float, take: Callable[[float], list[Commit | Message]]) -> list[Commit | Message]:
        """What came, asked for until there is something, or the time is over."""
        deadline = time.monotonic() + seconds
        self._opened()
        with self._closing_on_error():
            if time.monotonic() >= self._recheck_at:
                self._recheck()
            while True:
                found = take(max(0.0, deadline - time.monotonic()))
                if found or time.monotonic() >= deadline:
                    return found

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _opened(self) -> Asking:
        if self._asking is None:
            raise OriginUnavailableError(f"{self.name} is not followed; open the source first")
        return self._asking

    def _ask(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        asking = self._opened()
        with self._closing_on_error(), translated(self.name):
            return asking.ask(sql, parameters)

    def _check(self) -> Tables:
        """The tables as they are, if all can be followed."""
        tables = ask_tables(self._ask, self._wanted)
        found = [text for name in self._wanted for text in complaints(name, tables.members[name], self._wanted[name])]
        if found:
            raise TableError(f"{self.name}: {'; '.join(found)}")
        return tables

    def _lacks(self, tables: Tables) -> bool:
        """Whether something of the tables is not told."""
        raise NotImplementedError

    def _forget(self) -> None:
        """What comes from now on is another log."""
        raise NotImplementedError

    def _recheck(self, *, is_told: bool = False) -> None:
        """Looks whether the tables are still what they were; what they consist of may change if the log told so."""
        self._recheck_at = time.monotonic() + self._recheck_seconds
        tables = self._check()
        moved = any(tables.members[name][0].oid != self._tables.members[name][0].oid for name in tables.members)
        changed = not is_told and tables.names.keys() != self._tables.names.keys()
        if moved or changed or self._lacks(tables):
            self._forget()
            raise ChangeLogError(f"{self.name}: tables are not what they were; open the source again")
        self._tables = tables

    def _loaders(self) -> dict[str, Followed]:
        """The tables, with what makes keys of texts."""
        asking = self._opened()
        with translated(self.name):
            return {
                name: Followed(name, key, loader(asking, self._tables.members[name][0].address, key))
                for name, key in self._wanted.items()
            }
