"""`LogSource`: what PostgreSQL commits, from its log by logical replication, whoever commits it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from forecache.coherence.changes import EVERY, Commit, Every, Identity, Key, Message, Snapshot
from forecache.coherence.postgresql.asking import Asking, slot_of, translated
from forecache.coherence.postgresql.coverage import PUBLICATION, Tables, lacking, publishing
from forecache.coherence.postgresql.follower import RECHECK, SILENCE, SNAPSHOT, STARTED, Follower
from forecache.coherence.postgresql.looks import Looks
from forecache.coherence.postgresql.past import lsn
from forecache.coherence.postgresql.pgoutput import decode
from forecache.coherence.postgresql.replication import Keepalive, Stream
from forecache.coherence.postgresql.synchronous import NO_STANDBY, calls, waited_for
from forecache.coherence.postgresql.transactions import PREFIX, Followed, Transactions
from forecache.errors import ConfigurationError, OriginError, TableError
from forecache.units import Duration

__all__ = ["LogSource"]


REST_SECONDS: Final = 0.001  # for the rest of a transaction, which is sent piece by piece
FLUSH_FROM: Final = 170_000  # server version that can flush a message at once
FLUSH_ABOVE_MILLISECONDS: Final = 20  # of wal_writer_delay, for which a message would wait otherwise
PARENTS: Final = """
WITH RECURSIVE above (oid) AS (
    SELECT %s::oid UNION SELECT i.inhparent FROM above AS a JOIN pg_inherits AS i ON i.inhrelid = a.oid
) SELECT oid::bigint FROM above
"""
IS_PUBLISHED: Final = """
SELECT count(*) > 0 FROM pg_publication_tables AS t
JOIN pg_namespace AS n ON n.nspname = t.schemaname
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE t.pubname = %s AND c.oid = %s
"""
SLOT: Final = """
SELECT plugin, slot_type, database, wal_status, confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s
"""
ACTIVE: Final = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
WRITER_DELAY: Final = "SELECT setting FROM pg_settings WHERE name = 'wal_writer_delay'"


class LogSource(Follower):
    """Follows some tables of one database; the slot lets one process do so at a time.

    Args:
        url: of the database, as libpq takes it; of the primary, and past any pooler.
        tables: names of the tables, as origins call them, with the columns of their primary keys.
        slot: the replication slot; by default one named after the database.
        publication: that has the tables.
        create: make the publication and the slot, or add tables, if they lack.
        standby: its `application_name`, if it is to be a synchronous standby: commits then wait until they are
            acknowledged, so whoever uses the source must do so before it sees them.
        silence: without a sign of life after which the connection is given up, by both sides.
        timeout: for a connection, and for each statement.
        recheck: after which the catalogue is asked again whether the tables are what they were.

    A slot that nobody reads keeps the log of the database: bound it by `max_slot_wal_keep_size`.
    """

    def __init__(
        self,
        url: str,
        tables: Mapping[str, Sequence[str]],
        *,
        slot: str | None = None,
        publication: str = PUBLICATION,
        create: bool = True,
        standby: str | None = None,
        silence: Duration = SILENCE,
        timeout: Duration = "5s",
        recheck: Duration = RECHECK,
    ) -> None:
        """Connects to nothing yet."""
        self._standby = standby
        super().__init__(url, tables, application=NO_STANDBY, silence=silence, timeout=timeout, recheck=recheck)
        self._slot_name = slot
        self._publication = publication
        self._create = create
        self._stream: Stream | None = None
        self.looks: Looks | None = None  # while it is open: asks what can be seen, and does not wait
        self._watching: Asking | None = None  # while others follow
        self._ready: Asking | None = None  # and then, to open
        self._last: tuple[str, int] | None = None  # the log, and how far it was confirmed, when it was closed

    def _follow(self, asking: Asking) -> Identity:
        self._slot = self._slot_name or slot_of(asking.info.dbname)
        self._refuse_to_be_waited_for()
        self._cover()
        near = self.snapshot().xmax
        self._find_slot()
        self._followed = self._loaders()
        delay = int(asking.ask(WRITER_DELAY)[0][0])
        started = asking.ask(STARTED)[0][0]
        parameters = self._parameters | {"application_name": self._standby or NO_STANDBY}
        self._stream = stream = Stream(self.name, parameters, self.silence, self._seconds)
        system = stream.start(self._slot, self._publication)
        # Now that nobody else moves it, and by a session that was there before: the server is the same.
        at = self._find_slot()
        if self._last is None or at > self._last[1]:
            self._last = f"{self._slot}:{at:X}", at
        self._transactions = Transactions(self._resolve, near, self._renewed)
        must_flush = asking.info.server_version >= FLUSH_FROM and delay > FLUSH_ABOVE_MILLISECONDS
        flush = ", true" if must_flush else ""
        sample = f"SELECT pg_current_snapshot()::text, pg_logical_emit_message(false, '{PREFIX}', $1{flush})"
        if self._standby is not None:
            sample += f", {waited_for(self._standby, stream.pid)}"
        self.looks = Looks(self.name, asking, SNAPSHOT, sample, self._standby)
        return Identity(system.number, system.timeline, started, self._last[0], system.history)

    def poll(self, seconds: float) -> list[Commit | Message]:
        """What came, in the order of the log."""
        return self._poll(seconds, self._take)

    def _take(self, seconds: float) -> list[Commit | Message]:
        stream = self._streaming()
        found = self._fed(stream.read(seconds))
        until = time.monotonic() + REST_SECONDS
        while self._transactions.is_open and (left := until - time.monotonic()) > 0:
            found += self._fed(stream.read(left))
        stream.report_if_moved()
        return found

    def _fed(self, messages: Iterable[bytes | Keepalive]) -> list[Commit | Message]:
        found, progress = [], self._streaming().progress
        for data in messages:
            if isinstance(data, Keepalive):
                if not self._transactions.is_open:
                    progress.pass_by(data.position)
                continue
            event = self._transactions.feed(decode(data))
            if event is not None:
                found.append(event)
                if isinstance(event, Commit):
                    progress.tell(event.position)
                elif self._transactions.new_schemas:
                    self._recheck_if_seen()
        return found

    def sample(self, message: bytes) -> Snapshot:
        """What can be seen now; all of it is told before this message is."""
        self._opened()
        assert self.looks is not None  # noqa: S101 - tells the type checker
        with self._closing_on_error():
            self.looks.finish()
            return self.looks.ask(message)

    def _ask(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """On the connection on which it looks, one after the other."""
        if self.looks is not None:
            with self._closing_on_error():
                self.looks.finish()
        return super()._ask(sql, parameters)

    def fileno(self) -> int:
        """What to wait for: `poll` returns at once when something came there."""
        return self._streaming().fileno()

    def is_busy(self) -> bool:
        """Whether another process follows, as far as can be seen at little cost; `open` tells for certain."""
        try:
            with translated(self.name):
                asking = self._watching = self._watching or super()._connect()
                found = asking.ask(ACTIVE, [self._slot_name or slot_of(asking.info.dbname)])
        except OriginError:
            self._stop_watching()
            return False
        return bool(found and found[0][0])

    def open(self) -> Identity:
        """Begins to follow, and to ask where it was watched, if it was."""
        self._ready, self._watching = self._watching, None
        return super().open()

    def _connect(self) -> Asking:
        ready, self._ready = self._ready, None
        return ready or super()._connect()

    def _stop_watching(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.close()

    def _session(self) -> dict[str, Any]:
        """What we commit ourselves must not wait for us."""
        if self._standby is None:
            return self._parameters
        options = f"{self._parameters.get('options') or ''} -c synchronous_commit=local"
        return self._parameters | {"options": options}

    def acknowledge(self, position: int) -> None:
        """Everything up to a position is done with."""
        stream = self._streaming()
        stream.progress.acknowledge(position)
        with self._closing_on_error():
            stream.report_if_moved()

    def close(self) -> None:
        """Stops, and lets others follow."""
        self._stop_watching()
        stream, self._stream, self.looks = self._stream, None, None
        if stream is not None:
            if self._last is not None:
                self._last = self._last[0], max(self._last[1], stream.progress.position)
            stream.close()
        super().close()

    def _streaming(self) -> Stream:
        self._opened()
        assert self._stream is not None  # noqa: S101 - tells the type checker
        return self._stream

    def _forget(self) -> None:
        self._last = None

    def _refuse_to_be_waited_for(self) -> None:
        """Whether commits would wait for us, who wait for them, as where every name is called."""
        names = self._ask("SHOW synchronous_standby_names")[0][0]
        if self._standby is None and calls(names, NO_STANDBY):
            raise ConfigurationError(
                f"{self.name} has synchronous_standby_names={names!r}, so commits would wait for this source, which "
                "waits until they are visible; name the real standbys there"
            )

    def _lacks(self, tables: Tables) -> bool:
        self._refuse_to_be_waited_for()
        return bool(lacking(self._ask, self._publication, tables))

    def _cover(self) -> None:
        """Sees to it that the publication has the tables."""
        level = self._ask("SHOW wal_level")[0][0]
        if level != "logical":
            raise ConfigurationError(
                f"{self.name} has wal_level={level}; set wal_level=logical and restart it, or follow it without a slot"
            )
        missing = lacking(self._ask, self._publication, self._tables)
        if missing and not self._create:
            names = ", ".join(member.name for member in missing)
            raise TableError(
                f"publication {self._publication!r} of {self.name} lacks {names}, whose changes are not told; "
                "forecache doctor --fix adds them"
            )
        if missing:
            self._last = None  # what was written meanwhile is not told
            for statement in publishing(self._ask, self._publication, missing):
                self._ask(statement)

    def _find_slot(self) -> int:
        """Where the slot is; makes it if it lacks."""
        found = self._ask(SLOT, [self._slot])
        if not found and not self._create:
            raise ConfigurationError(
                f"{self.name} has no replication slot {self._slot!r}; forecache doctor --fix makes it"
            )
        if not found:
            made = self._ask("SELECT lsn::text FROM pg_create_logical_replication_slot(%s, 'pgoutput')", [self._slot])
            return lsn(made[0][0])
        plugin, kind, database, status, position = found[0]
        if (plugin, kind, database) != ("pgoutput", "logical", self._opened().info.dbname):
            raise ConfigurationError(
                f"slot {self._slot!r} of {self.name} is {kind}, {plugin or 'without plugin'}, of database "
                f"{database or 'none'}; choose another name for ours"
            )
        if status == "lost" and self._create:
            self._ask("SELECT pg_drop_replication_slot(%s)", [self._slot])
            return self._find_slot()
        return lsn(position or "0/0")

    def _renewed(self, content: bytes) -> Sequence[str]:
        """Tables that a message is about: all, or those that an oid is a part of."""
        if content == b"*":
            return list(self._followed)
        return self._tables.names.get(int(content), ()) if content.isdigit() else ()

    def _resolve(self, oid: int) -> Sequence[Followed]:
        """The tables that a relation is a part of; one that is not known is asked for."""
        names = self._tables.names.get(oid)
        if names is None:
            above = [row[0] for row in self._ask(PARENTS, [oid])]
            names = tuple(dict.fromkeys(name for one in above for name in self._tables.names.get(one, ())))
        if not names and not self._ask(IS_PUBLISHED, [self._publication, oid])[0][0]:
            # it was a part when it was written, and is none any more: of one of those that have parts
            return [Followed(name, (), every) for name, members in self._tables.members.items() if len(members) > 1]
        return [self._followed[name] for name in names]

    def _recheck_if_seen(self) -> None:
        """Looks at changed tables before a message is told whose sample may have seen them."""
        snapshot, news = self.snapshot(), self._transactions.new_schemas
        seen = {xid for xid in news if snapshot.sees(xid)}
        self._transactions.new_schemas = [xid for xid in news if xid not in seen]
        if seen:
            self._recheck(is_told=True)


def every(texts: Sequence[bytes]) -> Key | Every:
    """No key is known."""
    return EVERY
