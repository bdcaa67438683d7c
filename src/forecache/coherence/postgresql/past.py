"""Which past a server of PostgreSQL tells of, in SQL."""

from __future__ import annotations

from typing import Final

__all__ = ["PAST"]

# The number of the database system, and its timeline: 0 at a standby, which may go over to another at any moment.
PAST: Final = """
(SELECT system_identifier FROM pg_control_system()), CASE WHEN pg_is_in_recovery() THEN 0
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
"""
