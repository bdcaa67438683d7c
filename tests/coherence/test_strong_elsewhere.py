"""Commits to a table that nobody reads strongly, while others read another one; and what happens when they join in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from forecache.coherence.changes import Change
from forecache.serve.tiers.beacons import entries_of, poll
from forecache.serve.tiers.valkey import ValkeyTier
from tests.coherence.strong import Observed, Setting, answers_here, until
from tests.servers import PostgreSQL, Valkey

AWHILE = 1.0  # seconds
MANY = 20


@pytest.fixture
def setting() -> Iterator[Setting]:
    with PostgreSQL() as server, Valkey() as valkey, Setting(server, valkey, "visit") as made:
        yield made


def marked(setting: Setting) -> set[str]:
    """Tables of what was marked in any shard, and waited for an answer."""
    routes = ValkeyTier.connect(setting.valkey.url).routes()
    found: set[Change] = set()
    for shard in range(routes.shards):
        [answer] = routes.ask(shard, poll(routes.layout(shard), 0, most=100_000))
        _, entries = entries_of(answer)
        found.update(change for entry in entries if not entry.changes for change in entry.held)
    routes.close()
    return {change.table for change in found}


def listed(setting: Setting) -> set[bytes]:
    """Processes that are waited for."""
    routes = ValkeyTier.connect(setting.valkey.url).routes()
    found = [routes.ask(shard, ("HKEYS", routes.layout(shard).readers()))[0] for shard in range(routes.shards)]
    routes.close()
    return set().union(*found) - {b""}


def test_a_commit_waits_for_readers_of_its_tables_from_when_they_read_them(setting: Setting) -> None:
    setting.candidate()
    databases = [setting.open() for _ in range(2)]
    with setting.waiting():
        until(lambda: all(map(answers_here, databases)))
        with setting.connected() as connection:
            for _ in range(MANY):
                connection.execute("UPDATE visit SET version = 0 WHERE id = 1")
        assert "visit" not in marked(setting)
        assert all(map(answers_here, databases))

        with Observed(setting, databases) as of_items, Observed(setting, databases, "visit") as of_visits:
            until(lambda: all(answers_here(database, "visit") for database in databases))
            time.sleep(AWHILE)
        assert marked(setting) == {"item", "visit"}
        assert listed(setting)
        for database in databases:
            database.close()
        until(lambda: not listed(setting))
    for observed in (of_items, of_visits):
        assert not observed.violations, observed.violations[:3]
        assert observed.writes > 50
        assert observed.here > 50
