"""A sequencer between PostgreSQL and Valkey, and processes that follow it: what anybody writes is seen in time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from valkey import Valkey as ValkeyClient

import forecache
from forecache._core import now
from forecache.coherence.postgresql.notes_source import NotesSource
from forecache.coherence.postgresql.schema_trigger import CREATE_SCHEMA_TRIGGER
from forecache.serve.warmfile import WarmList, write_list
from tests.contracts.tiers import Node, until
from tests.serve.sites import END_WALSENDER, Site, drop_slots, is_proven, running, version_of
from tests.servers import PostgreSQL


def test_a_write_by_anybody_is_seen_and_copies_stay_proven(site: Site) -> None:
    site.sequencer()
    database = site.open()
    for version in range(1, 20):
        site.write(1, version)
        assert until(lambda version=version: version_of(database, 1) == version)
    before = database.stats()
    for _ in range(1000):
        version_of(database, 1)
    assert (database.stats() - before).hits >= 998
    answer = database["item"].get(1, with_certificate=True)
    assert answer.certificate.tier == "process"
    assert answer.certificate.beacon
    assert answer.certificate.epoch


def test_writes_are_seen_where_triggers_note_them(site: Site) -> None:
    site.sequencer(NotesSource)
    database = site.open()
    for version in range(1, 6):
        site.write(1, version)
        assert until(lambda version=version: version_of(database, 1) == version)


def test_it_leads_again_when_the_table_is_published_again(site: Site) -> None:
    for statement in CREATE_SCHEMA_TRIGGER:
        site.writer.execute(statement)  # type: ignore[call-overload]
    site.sequencer()
    database = site.open()
    site.writer.execute("ALTER PUBLICATION forecache DROP TABLE item")
    site.write(1, 1)  # which the log does not tell
    assert until(lambda: version_of(database, 1) == 1)
    assert until(lambda: is_proven(database))
    site.write(1, 2)
    assert until(lambda: version_of(database, 1) == 2)


def test_the_shared_tier_serves_rows_that_another_process_loaded_with_a_proof(site: Site) -> None:
    site.sequencer()
    one, other = site.open(), site.open()
    before = other.stats()
    for key in range(2, 12):
        one["item"].get(key)
        answer = other["item"].get(key, with_certificate=True)
        assert answer.row == {"id": key, "version": 0}
        if answer.certificate.tier == "shared":
            assert answer.certificate.max_age is not None
            assert answer.certificate.max_age < 1
    assert (other.stats() - before).shared >= 5
    assert (other.stats() - before).queries <= 5


def test_truncation_and_rows_that_come_and_go_are_seen(site: Site) -> None:
    site.sequencer()
    rows = site.open()["item"]
    assert rows.get(500) is None
    site.writer.execute("INSERT INTO item VALUES (500, 9)")
    assert until(lambda: rows.get(500) == {"id": 500, "version": 9})
    site.writer.execute("DELETE FROM item WHERE id = 500")
    assert until(lambda: rows.get(500) is None)
    site.writer.execute("TRUNCATE item")
    assert until(lambda: rows.get(1) is None)


@pytest.mark.parametrize("fault", ["restart", "flush", "fence"])
def test_a_shard_that_lost_everything_begins_anew_and_copies_are_proven_again(site: Site, fault: str) -> None:
    sequencing, database = site.sequencer(), site.open()
    epochs, epoch = sequencing.stats().epochs, database._watch.epoch
    if fault == "restart":
        site.valkey.kill()
        site.write(1, 1)
        assert until(lambda: version_of(database, 1) == 1)
        site.valkey.start()
    elif fault == "flush":
        with ValkeyClient(port=site.valkey.port) as admin:
            admin.flushall()
    else:
        assert database._watch.fence(0)  # type: ignore[attr-defined]
    assert until(lambda: sequencing.stats().epochs > epochs)
    assert until(lambda: is_proven(database) and database._watch.epoch != epoch)
    site.write(1, 2)
    assert until(lambda: version_of(database, 1) == 2)


def test_another_takes_over_when_the_leader_loses_the_slot(site: Site) -> None:
    candidates = [site.sequencer(), site.sequencer()]
    database = site.open()
    epoch = database._watch.epoch
    site.writer.execute(END_WALSENDER)
    assert until(lambda: is_proven(database) and database._watch.epoch != epoch)
    assert sum(candidate.stats().leads for candidate in candidates) == 1
    site.write(1, 5)
    assert until(lambda: version_of(database, 1) == 5)


def test_a_child_process_follows_by_itself(site: Site) -> None:
    site.sequencer()
    database = site.open()
    pid = os.fork()
    if not pid:
        os._exit(0 if until(lambda: is_proven(database)) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert is_proven(database)


def test_a_warm_start_loads_all_that_is_listed_where_copies_are_proven(site: Site, tmp_path: Path) -> None:
    site.sequencer()
    listed = tmp_path / "site.warm"
    write_list(listed, WarmList(tuple(("item", key) for key in range(1, 101))))
    settings: dict[str, Any] = {"shared": site.valkey.url, "level": "bounded(200ms)", "warm_rate": 100}
    with forecache.open(site.url, ["item"], warm=listed, **settings) as database:  # by age alone 20 would be of use
        assert until(lambda: database.stats().warmed >= 100)
        queries = database.stats().queries
        assert until(lambda: is_proven(database))
        assert database["item"].get(50, level="bounded(10s)")["version"] == 0
        assert database.stats().queries <= queries + 1


def test_in_a_cluster_each_shard_has_an_epoch_of_its_own(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as writer, Node() as node:
        writer.execute("CREATE TABLE item (id int PRIMARY KEY, version int NOT NULL)")
        writer.execute("INSERT INTO item SELECT n, 0 FROM generate_series(1, 20) AS n")
        shared = f"{node.url}?cluster=1"
        with running(url, shared) as sequencing, forecache.open(url, ["item"], shared=shared) as database:
            rows = database["item"]
            assert until(lambda: now() - database._watch.proven_at() < 0.5)
            assert sequencing.stats().epochs >= 64
            writer.execute("UPDATE item SET version = 5 WHERE id = 7")
            assert until(lambda: rows.get(7)["version"] == 5)
            answers = rows.get_many(range(1, 21), with_certificate=True).values()
            epochs = {answer.certificate.shard: answer.certificate.epoch for answer in answers}
            assert len(set(epochs.values())) == len(epochs) > 1
    drop_slots(postgresql, url)
