"""A standby of a PostgreSQL of ours, which can be promoted."""

from __future__ import annotations

import subprocess

import psycopg

from tests.servers import PostgreSQL

__all__ = ["Standby"]


class Standby(PostgreSQL):
    """Has all that its primary acknowledges, when it is the primary's synchronous standby."""

    ready = "ready to accept read-only connections"

    def __init__(self, primary: PostgreSQL) -> None:
        super().__init__()
        self.primary = primary

    def _initialise(self) -> None:
        tool = str(self.binaries / "pg_basebackup")
        where = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name=standby"
        command = [tool, "-d", where, "-D", str(self.data), "-R", "--checkpoint=fast", "--no-sync"]
        ran = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **self.options)  # type: ignore[call-overload]
        assert ran.returncode == 0, ran.stderr

    def promote(self) -> None:
        """Makes it a primary; returns when it writes."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 60)")
        self.ready = PostgreSQL.ready
