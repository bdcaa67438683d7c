"""A standby of a PostgreSQL of ours, which can be promoted."""

from __future__ import annotations

import subprocess

import psycopg

from tests.servers import PostgreSQL

__all__ = ["Standby"]


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
