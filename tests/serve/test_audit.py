"""Audits: a copy that contradicts its proof is found, and ends the epoch; one that was only overtaken is not blamed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from forecache._core import Copy
from forecache.coherence.token import Token
from forecache.errors import ConfigurationError
from forecache.serve.audit import Consistency
from tests.contracts.tiers import until
from tests.serve.sites import Site, is_proven, running


def test_audits_run_by_themselves_and_find_nothing_wrong(site: Site) -> None:
    site.sequencer()
    database = site.open()
    for key in range(1, 20):
        database["item"].get(key)
    assert until(lambda: (database["item"].get(1), database.stats().audits > 0)[1])
    assert database.stats().violations == 0
    assert database.consistency().share == 1


def test_a_copy_that_contradicts_its_proof_is_told_and_ends_the_epoch(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.sequencer()
    database = site.open()
    audit, epoch = database._audit, database._watch.epoch
    assert audit is not None
    site.write(1, 5)
    assert until(lambda: database._watch.contains(Token.parse(database.token())) or None)
    database._copies.cache[("item", 1)] = Copy({"id": 1, "version": 4}, 0.0, None)  # as if its end had been missed
    with caplog.at_level(logging.ERROR, "forecache"):
        assert until(lambda: audit.check("item", 1) is False or database.stats().violations)
    assert "older than was proven" in caplog.text
    assert "applied" in caplog.text
    assert until(lambda: is_proven(database) and database._watch.epoch != epoch)
    assert database["item"].get(1)["version"] == 5
    assert database.consistency().share < 1


def test_a_copy_of_which_the_end_is_not_known_yet_is_not_blamed(site: Site) -> None:
    with_sequencer = site.sequencer()
    database = site.open()
    assert with_sequencer.stats().leads
    audit = database._audit
    assert audit is not None
    database["item"].get(3)
    contained = database._watch.contained
    site.write(3, 9)
    database._copies.cache[("item", 3)] = Copy({"id": 3, "version": 0}, 0.0, None)
    database._watch.contained = contained  # as it was before the write
    assert audit.check("item", 3) in {True, None}


def test_a_copy_is_not_blamed_where_nobody_vouches_any_more(site: Site) -> None:
    """As after a failover of the database, which gives the numbers of lost transactions out again."""
    with running(site.url, site.valkey.url):
        database = site.open()
        site.write(1, 5)
        assert until(lambda: database._watch.contains(Token.parse(database.token())) or None)
    database._copies.cache[("item", 1)] = Copy({"id": 1, "version": 4}, 0.0, None)
    assert database._audit is not None
    assert database._audit.check("item", 1) is None
    assert database.stats().violations == 0


def test_one_of_so_many_hits_is_sampled(site: Site) -> None:
    site.sequencer()
    database = site.open(audit=100)
    rows, audit = database["item"], database._audit
    assert audit is not None
    audit.close()  # so that nobody else takes them
    assert until(lambda: is_proven(database))
    rows._take_sampled()
    before, sampled = rows.hits, list[tuple[str, Any]]()
    for number in range(20_000):
        rows.get(1 + number % 100)
        if number % 100 == 0:
            sampled += rows._take_sampled()
    assert 0.5 < len(sampled) * 100 / (rows.hits - before) < 2
    assert {name for name, _ in sampled} == {"item"}
    assert len({key for _, key in sampled}) > 20, "not always the same"
    for number in range(5_000):
        rows.get(1 + number % 100)
    assert len(rows._take_sampled()) == 16, "no more are kept"


def test_copies_are_audited_soon_after_their_row_was_written(site: Site) -> None:
    site.sequencer()
    database = site.open(audit=1_000_000)
    site.write(7, 1)

    def is_audited() -> bool:
        database["item"].get(7)  # there is a copy again
        audits = database.stats().audits
        return audits > 0

    assert until(is_audited)
    assert until(lambda: database._watch.take_dropped() == [])  # type: ignore[attr-defined]


def test_audits_can_be_left_out(site: Site) -> None:
    assert site.open(proven=False, audit=0)._audit is None
    with pytest.raises(ConfigurationError, match="audit is -1; expected a whole number from 0"):
        site.open(audit=-1)


def test_bounds_hold_the_share_and_close_in() -> None:
    none, few, many = Consistency.of(0, 0), Consistency.of(10, 0), Consistency.of(1_000_000, 1)
    assert (none.low, none.high) == (0.0, 1.0)
    assert few.low < 0.73 < few.share == few.high == 1
    assert 0.99999 < many.low < many.share < many.high < 1.0
