"""A statement of PostgreSQL that nobody waits for any more is told to end, with its locks.

While it runs, it also holds back the stamps of all snapshots on that server.
"""

from __future__ import annotations

import threading
from typing import Any

from forecache.extras import extra

with extra("postgresql"):
    import psycopg

__all__ = ["cancel"]


def cancel(connection: Any) -> None:
    """Asks the server to end what runs on a connection of libpq, and does not wait for it: the network may be silent.

    Without libpq 17 or newer nothing is asked, since an older one would stop all threads, and forgo encryption.
    """
    if psycopg.capabilities.has_cancel_safe():
        asking = connection.cancel_conn()  # which may outlive the connection
        threading.Thread(target=ask, args=(asking,), name="forecache-cancel", daemon=True).start()


def ask(asking: Any) -> None:
    """Takes no longer than a connection may."""
    try:
        asking.blocking()
    except psycopg.Error:
        pass  # who cannot be asked will notice that the connection ended
    finally:
        asking.finish()
