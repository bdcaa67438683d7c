"""Certificates of hits: made natively, and the same as those of the read path."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import forecache
from forecache import Certificate, Certified, Database, Level
from forecache._core import Standing
from forecache.errors import KeyTypeError
from forecache.serve.signal import MISSING
from tests.contracts.tiers import until
from tests.serve.sites import Site, drop_slots, is_proven
from tests.servers import PostgreSQL, Valkey


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, price INT)")
        connection.execute("INSERT INTO product VALUES (7, 100)")
    with forecache.open(path, ["product"], level="strong") as database:
        yield database


def test_a_pair_of_row_and_certificate() -> None:
    certificate = Certificate("process", "e", 0, 3, 0.5)
    answer = Certified({"id": 1}, certificate)
    row, proven = answer
    assert (row, proven) == (answer.row, answer.certificate) == (answer[0], answer[-1])
    assert answer == Certified({"id": 1}, Certificate("process", "e", 0, 3, 0.5))
    assert answer != Certified({"id": 1}, Certificate("process", "e", 0, 4, 0.5))
    assert len({certificate, Certificate("process", "e", 0, 3, 0.5)}) == 1
    assert repr(certificate) == "Certificate(tier='process', epoch='e', shard=0, beacon=3, max_age=0.5)"
    assert repr(certificate) in repr(answer)
    match answer:
        case Certified(row, Certificate(max_age=age)):
            assert (row["id"], age) == (1, 0.5)
    with pytest.raises(IndexError, match="expected 0"):
        answer[2]


def test_hits_are_certified_as_the_read_path_does(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, before = shop["product"], shop.stats()
    first = rows.get(7, with_certificate=True)
    assert first.certificate.tier == "database"
    hit = rows.get(7, with_certificate=True)
    assert (shop.stats() - before).hits == 1
    monkeypatch.setattr(rows, "_certify", lambda key: MISSING)
    assert rows.get(7, with_certificate=True) == hit
    assert hit.certificate.max_age == 0
    assert hit.certificate.epoch == shop._watch.epoch


def test_an_absent_row_has_a_certificate_and_the_default(shop: Database) -> None:
    for _ in range(2):
        answer = shop["product"].get(8, "none", with_certificate=True)
        assert answer.row == "none"
        assert answer.certificate.max_age == 0
    assert shop["product"].get(8, with_certificate=True).row is None


def test_rows_of_hits_are_the_readers_own_and_keys_are_checked(shop: Database) -> None:
    shop["product"].get(7)
    shop["product"].get(7, with_certificate=True).row["price"] = 1
    assert shop["product"].get(7, with_certificate=True).row["price"] == 100
    with pytest.raises(KeyTypeError):
        shop["product"].get([7], with_certificate=True)


def test_with_a_sequencer_hits_name_its_beacon_and_keep_their_level(site: Site) -> None:
    site.sequencer()
    database = site.open()
    rows, watch = database["item"], database._watch
    for level in (None, "bounded(1s)", Level.bounded("10s"), "session", "eventual"):
        assert until(lambda: is_proven(database))
        number = watch.standing.known()[0][1]
        assert number is not None
        answer = rows.get(1, level=level, with_certificate=True)
        assert answer.certificate.tier == "process"
        assert answer.certificate.beacon is not None
        assert answer.certificate.beacon >= number
        assert answer.certificate.epoch == watch.epoch
        assert answer.certificate.keeps(Level.parse(level or "bounded(1s)"))
    assert rows.get(1, level="strong", with_certificate=True).certificate.tier == "database"
    assert rows.get(1, level=Level("bounded", 1e-9), with_certificate=True).certificate.tier != "process"


def test_certificates_of_several_servers_name_each_its_own_epoch(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with ExitStack() as stack:
        shared = [stack.enter_context(Valkey()).url for _ in range(2)]
        site = Site(stack, url, shared)
        site.sequencer()
        database = site.open()
        rows, watch = database["item"], database._watch
        shards = {watch.shard_of("item", key): key for key in range(1, 100)}
        assert sorted(shards) == [0, 1]
        for shard, key in shards.items():
            rows.get(key)
            before, known = rows.hits, watch.standing.known()
            certificate = rows.get(key, with_certificate=True).certificate
            assert (rows.hits - before, certificate.tier) == (1, "process")
            assert (certificate.shard, certificate.epoch) == (shard, known[shard][0])
            assert (certificate.beacon or 0) >= (known[shard][1] or 0) > 0
        assert len({epoch for epoch, _ in watch.standing.known()}) == 2
    drop_slots(postgresql, url)


def test_what_certificates_name_is_told_by_the_watch(site: Site) -> None:
    site.sequencer()
    database = site.open()
    assert isinstance(database._watch.standing, Standing)
    database._watch._stop.set()  # type: ignore[attr-defined]  # nobody tells it anything else
    for thread in database._watch._threads:  # type: ignore[attr-defined]
        thread.join()
    database._watch.standing.tell("another", 12)
    answer = database["item"].get(1, level="eventual", with_certificate=True)
    assert (answer.certificate.epoch, answer.certificate.beacon) == ("another", 12)
