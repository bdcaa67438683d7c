"""`NotesSource`: what is committed to PostgreSQL, from a table in which triggers note it; needs no replication."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from forecache.coherence.changes import EVERY, Change, Commit, Identity, Message, Snapshot
from forecache.coherence.postgresql.asking import Asking
from forecache.coherence.postgresql.coverage import Tables
from forecache.coherence.postgresql.follower import RECHECK, SILENCE, STARTED, Follower
from forecache.coherence.postgresql.history import history_of
from forecache.coherence.postgresql.notes import FOLLOWERS, NOTES, TRIMS, address, missing
from forecache.coherence.postgresql.past import PAST
from forecache.coherence.postgresql.transactions import MOST_KEYS
from forecache.coherence.token import past_of
from forecache.errors import ChangeLogError, ConfigurationError, OriginError, SourceBusyError
from forecache.extras import extra
from forecache.units import Duration, parse_ttl

with extra("postgresql"):
    from psycopg.pq import TransactionStatus

__all__ = ["NotesSource"]

IDLE: Final = TransactionStatus.IDLE

INTERVAL: Final = "20ms"
SAVE_SECONDS: Final = 1.0  # between deletions of notes that are done with
MOST_TOLD: Final = 10_000  # transactions that are told before older ones have ended; then those are waited for
MOST_BEHIND: Final = 500_000  # notes; who is further behind begins anew
LOCK_CLASS: Final = 0x66_63  # of advisory locks
TAKE: Final = f"""
INSERT INTO {FOLLOWERS} (name, done, taken) VALUES (%s, pg_snapshot_xmin(pg_current_snapshot()), 1)
ON CONFLICT (name) DO UPDATE SET taken = {FOLLOWERS.split(".")[1]}.taken + 1 RETURNING done::text::bigint, taken
"""  # noqa: S608 - constants
READ: Final = f"""
SELECT pg_current_snapshot()::text, n.xid::text::bigint, n.tbl, n.key, n.id,
    (SELECT coalesce(max(xid::text::bigint), 0) FROM {TRIMS})
FROM (SELECT 1) AS one LEFT JOIN (
    SELECT *, row_number() OVER (PARTITION BY xid ORDER BY id) AS at FROM {NOTES}
    WHERE xid >= %s::text::xid8 AND xid <> ALL (%s::text[]::xid8[])
      AND (%s OR xid < pg_snapshot_xmin(pg_current_snapshot()))
) AS n ON n.at <= {MOST_KEYS + 1} ORDER BY n.xid, n.id
"""  # noqa: S608 - constants; one statement, so that the snapshot is that of the rows
BACKLOG: Final = f"""
SELECT count(*) > {MOST_BEHIND} OR EXISTS (SELECT FROM {TRIMS} WHERE xid >= %s::text::xid8)
FROM (SELECT FROM {NOTES} WHERE xid >= %s::text::xid8 LIMIT {MOST_BEHIND + 1}) AS n
"""  # noqa: S608 - constants
SAVE: Final = f"UPDATE {FOLLOWERS} SET done = %s::text::xid8 WHERE name = %s AND taken = %s"  # noqa: S608
CLEAN: Final = f"""
WITH done AS (SELECT min(done::text::bigint)::text::xid8 AS xid FROM {FOLLOWERS}),
    trimmed AS (DELETE FROM {TRIMS} WHERE xid < (SELECT xid FROM done))
DELETE FROM {NOTES} WHERE xid < (SELECT xid FROM done)
"""  # noqa: S608 - constants


class NotesSource(Follower):
    """Follows some tables of one database; an advisory lock lets one process do so at a time.

    Args:
        url: of the database, as libpq takes it; of the primary, and past any pooler.
        tables: names of the tables, as origins call them, with the columns of their primary keys.
        follower: whose progress is kept; one process follows for each.
        interval: between looks at the notes.
        create: make the table and the triggers, if they lack.
        silence: without a statement after which the server ends our session, so that others can follow.
        timeout: for a connection, and for each statement.
        recheck: after which the catalogue is asked again whether tables and triggers are what they were.
    """

    def __init__(
        self,
        url: str,
        tables: Mapping[str, Sequence[str]],
        *,
        follower: str = "forecache",
        interval: Duration = INTERVAL,
        create: bool = True,
        silence: Duration = SILENCE,
        timeout: Duration = "5s",
        recheck: Duration = RECHECK,
    ) -> None:
        """Connects to nothing yet."""
        super().__init__(url, tables, application="forecache", silence=silence, timeout=timeout, recheck=recheck)
        self._follower = follower
        self._interval = parse_ttl(interval)
        self._create = create
        self._last: tuple[str, int] | None = None  # the log, and the number of our turn
        self._position = 0
        self._is_following = False

    def _session(self) -> dict[str, Any]:
        """Ends when we are silent, or cannot be reached."""
        ending = f"-c idle_session_timeout={max(1, round(self.silence * 1000))}"
        isolation = "-c default_transaction_isolation=read\\ committed"
        return self._parameters | {"options": f"{self._parameters.get('options') or ''} {ending} {isolation}"}

    def _follow(self, asking: Asking) -> Identity:
        lock = zlib.crc32(f"{asking.info.dbname}/{self._follower}".encode()) - 2**31
        if not asking.ask("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, lock])[0][0]:
            raise SourceBusyError(
                f"{self.name}: another process follows as {self._follower!r}; stand by, and try again"
            )
        self._cover()
        done, turn = asking.ask(TAKE, [self._follower])[0]
        if self._last is None or turn != self._last[1] + 1:
            self._last = f"{self._follower}:{turn}", turn
        if asking.ask(BACKLOG, [str(done)] * 2)[0][0]:
            done, self._last = self.snapshot().xmin, (f"{self._follower}:{turn}", turn)
        self._last = self._last[0], turn
        self._floor = self._saved = done  # all transactions below it are told, or were done with before
        self._told: set[int] = set()  # those from it on that are told
        self._waiting: deque[tuple[int, int]] = deque()  # positions and numbers that were not acknowledged
        self._messages: list[bytes] = []
        self._save_at, self._read_at = time.monotonic() + SAVE_SECONDS, 0.0
        self._names = {address(members[0]): name for name, members in self._tables.members.items()}
        self._followed = self._loaders()
        self._is_following = True
        system, timeline = asking.ask(f"SELECT {PAST}")[0]
        history = ""
        if timeline > 1:
            with suppress(OriginError, ConfigurationError):  # the role need not be one that may replicate
                history = history_of(self.name, self._parameters, past_of(system, timeline), self._seconds)
        return Identity(system, timeline, asking.ask(STARTED)[0][0], self._last[0], history)

    def _cover(self) -> None:
        statements = missing(self._ask, self._tables, self._wanted)
        if statements and not self._create:
            raise ConfigurationError(
                f"{self.name} lacks triggers that note changes; forecache doctor --without-slot --fix makes them"
            )
        if statements:
            self._last = None  # what was written meanwhile is not noted
        for statement in statements:
            self._ask(statement)

    def poll(self, seconds: float) -> list[Commit | Message]:
        """What was noted; the order of commits that are told together is not theirs."""
        return self._poll(seconds, self._take)

    def _take(self, seconds: float) -> list[Commit | Message]:
        """Reads, once in an interval."""
        early = self._read_at - time.monotonic()
        if early > 0:
            time.sleep(min(seconds, early))
            if seconds < early:
                return []
        self._read_at = time.monotonic() + self._interval
        is_prompt = len(self._told) < MOST_TOLD
        rows = self._ask(READ, [str(self._floor), list(map(str, self._told)), is_prompt])
        snapshot, trimmed = Snapshot.parse(rows[0][0]), rows[0][5]
        if trimmed >= self._floor:
            self._forget()
            raise ChangeLogError(f"{self.name}: notes were deleted before they were read; open the source again")
        found: list[Commit | Message] = list(self._commits(rows))
        horizon = snapshot.xmin
        self._floor = max(self._floor, horizon)
        self._told = {xid for xid in self._told if xid >= self._floor}
        if is_prompt:  # everything that the snapshot sees is told
            found += [Message(self._position, content) for content in self._messages]
            self._messages.clear()
        if time.monotonic() >= self._save_at:
            self._save()
        return found

    def _commits(self, rows: Sequence[tuple[Any, ...]]) -> list[Commit]:
        """The transactions among notes, which come in their order."""
        noted: dict[int, list[tuple[str, Any, int]]] = {}
        for _, xid, table, key, number, _ in rows:
            if xid is not None:
                noted.setdefault(xid, []).append((table, key, number))
        commits = []
        for xid, notes in noted.items():
            self._told.add(xid)
            changes = self._changes(notes)
            if changes:
                self._position = max(self._position + 1, notes[-1][2])
                self._waiting.append((self._position, xid))
                commits.append(Commit(xid, self._position, changes))
        return commits

    def _changes(self, notes: Sequence[tuple[str, Any, int]]) -> tuple[Change, ...]:
        """What a transaction wrote; of a very large one, which is not read to its end, any row of all tables."""
        if len(notes) > MOST_KEYS:
            return tuple(Change(name, EVERY) for name in self._followed)
        found: dict[Change, None] = {}
        for table, key, _ in notes:
            name = self._names.get(table)
            if name is not None:
                value = EVERY if key is None else self._followed[name].load([part.encode() for part in key])
                found[Change(name, value)] = None
        whole = {change.table for change in found if change.key is EVERY}
        return tuple(change for change in found if change.key is EVERY or change.table not in whole)

    def sample(self, message: bytes) -> Snapshot:
        """What can be seen now; all of it is told before this message is."""
        snapshot = self.snapshot()
        self._messages.append(message)
        return snapshot

    def acknowledge(self, position: int) -> None:
        """Everything up to a position is done with; its notes are deleted some time later."""
        self._opened()
        while self._waiting and self._waiting[0][0] <= position:
            self._waiting.popleft()

    def _save(self) -> None:
        """Keeps how far we are, and deletes what all are done with."""
        self._save_at = time.monotonic() + SAVE_SECONDS
        done = min(self._floor, min((xid for _, xid in self._waiting), default=self._floor))
        if self._last is not None and done > self._saved:
            self._saved = done
            self._ask(SAVE, [str(done), self._follower, self._last[1]])
            self._ask(CLEAN)

    def close(self) -> None:
        """Stops, and lets others follow."""
        if self._asking is not None and self._is_following and self._asking.pgconn.transaction_status == IDLE:
            self._is_following = False  # whatever happens now
            with suppress(OriginError, ConfigurationError):
                self._save()
        self._is_following = False
        super().close()

    def _forget(self) -> None:
        self._last = None

    def _lacks(self, tables: Tables) -> bool:
        return bool(missing(self._ask, tables, self._wanted))
