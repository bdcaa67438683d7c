"""A standby of a PostgreSQL of ours, which can be promoted, and a pair of both with clients that know both."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import Any

import psycopg

from tests.contracts.tiers import until
from tests.proxy import Proxy
from tests.servers import PostgreSQL, Valkey

__all__ = ["ROWS", "Pair", "Standby", "let_read"]

ROWS = "CREATE TABLE item (id int PRIMARY KEY, version int NOT NULL); INSERT INTO item VALUES (1, 0), (2, 0)"
TOUCH = "UPDATE item SET version = version WHERE id = 2"


def let_read(url: str, role: str) -> str:
    """The URL of a new role, which may read the rows that are made there, and may not know which past they are of."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ROWS.encode())
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC")
        connection.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON item TO {role}".encode())
    return url.replace("postgres@", f"{role}@")


class Standby(PostgreSQL):
    """Has all that its primary acknowledges, when it is the primary's synchronous standby."""

    ready = ("ready to accept read-only connections",)

    def __init__(self, primary: PostgreSQL, through: int | None = None, **settings: str) -> None:
        """A copy of a primary, which it follows through a port, if not through the primary's own."""
        super().__init__(**settings)
        self.primary, self.through = primary, through or primary.port

    def _initialise(self) -> None:
        tool = str(self.binaries / "pg_basebackup")
        where = f"host=127.0.0.1 port={self.through} user=postgres application_name=standby"
        command = [tool, "-d", where, "-D", str(self.data), "-R", "--checkpoint=fast", "--no-sync"]
        ran = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **self.options)  # type: ignore[call-overload]
        assert ran.returncode == 0, ran.stderr

    def promote(self) -> None:
        """Makes it a primary; returns when it writes."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 60)")
        self.ready = PostgreSQL.ready


class Pair:
    """A primary, and a standby that lags as soon as it is told to; clients know both."""

    def __init__(self, stack: ExitStack) -> None:
        self.primary = stack.enter_context(PostgreSQL(wal_keep_size="64MB"))
        self.ask(self.primary, ROWS)
        self.link = stack.enter_context(Proxy(self.primary.port))
        self.standby = stack.enter_context(
            Standby(self.primary, through=self.link.port, wal_retrieve_retry_interval="200ms")
        )
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        self.url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write&connect_timeout=2"
        self.valkey = stack.enter_context(Valkey())

    @staticmethod
    def ask(server: PostgreSQL, statement: str) -> Any:
        with psycopg.connect(server.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else None

    def keeps_up(self) -> None:
        """The standby has all there is now, and a transaction more, so that no end of a page is between."""
        self.ask(self.primary, TOUCH)
        (at,) = self.ask(self.primary, "SELECT pg_current_wal_flush_lsn()::text")[0]
        assert until(lambda: self.ask(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{at}'") == [(True,)])

    def lags(self) -> None:
        """The standby has all there is now, and nothing that follows."""
        self.keeps_up()
        self.link.goes_dark()

    def fails_over(self) -> None:
        """The standby leads, and gives out the numbers of transactions that it never had once more."""
        self.primary.kill()
        self.standby.promote()
        for _ in range(20):
            self.ask(self.standby, TOUCH)
