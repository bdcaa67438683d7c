"""What a database is given by mistake is refused in words that tell what to do, and does no harm."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import forecache
from forecache.errors import ConfigurationError, DurationError, KeyTypeError
from forecache.serve.tiers.failing import Failing
from tests.contracts.tiers import until
from tests.serve.shops import ONE, path
from tests.serve.sites import Site

__all__ = ["path"]


@pytest.mark.parametrize("connections", [0, -3, 1.5, "x", True])
@pytest.mark.parametrize("database", ["file", "postgresql://nobody@127.0.0.1:1/x", "sqlite+pysqlite:///x.db"])
def test_connections_are_a_number_above_none(path: Path, connections: Any, database: str) -> None:
    source = path if database == "file" else database
    with pytest.raises(ConfigurationError, match=r"connections is .*; expected a whole number from 1"):
        forecache.open(source, ["product"], connections=connections)


async def test_one_text_is_not_several_keys(path: Path) -> None:
    async with await forecache.aopen(path, ["product"]) as shop:
        for keys in ("12", b"12"):
            with pytest.raises(KeyTypeError, match="expected several keys, as in"):
                shop["product"].get_many(keys)
            with pytest.raises(KeyTypeError, match="expected several keys, as in"):
                await shop["product"].aget_many(keys)
        assert shop["product"].get_many(iter([1])) == {1: ONE}


async def test_a_transaction_that_was_not_entered_says_so(path: Path) -> None:
    async with await forecache.aopen(path, ["product"]) as shop:
        with pytest.raises(ConfigurationError, match="used in its own 'with' block"):
            shop.transaction().get("product", 1)
        with pytest.raises(ConfigurationError, match="used in its own 'with' block"):
            await shop.atransaction().get("product", 1)


def test_what_is_no_row_is_refused_in_plain_words(path: Path) -> None:
    with forecache.open(path, ["product"]) as shop, pytest.raises(TypeError, match="is str; expected a dict$"):
        shop["product"].put("kettle")


def test_a_wrong_password_of_the_shared_tier_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By whoever follows the sequencer, too, where reads do not ask the tier as nobody vouches for its rows."""
    wrong = site.valkey.url.replace("valkey://", "valkey://shop:s3cret@")
    with caplog.at_level(logging.WARNING, "forecache"), forecache.open(site.url, ["item"], shared=wrong) as database:
        assert until(lambda: "copies here are not proven until it answers" in caplog.text)
        assert database["item"].get(1) == {"id": 1, "version": 0}
        assert repr(database["item"]) == f"<Rows of 'item': {database._origin.name}>"
    told = [record.getMessage() for record in caplog.records if "not proven" in record.getMessage()]
    assert len(told) == 1
    assert "password" in told[0]
    assert "s3cret" not in caplog.text


def test_a_server_that_fails_again_and_again_is_not_told_of_each_time(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(lambda server: f"host{server}", "nothing is proven")
    with caplog.at_level(logging.WARNING, "forecache"):
        for _ in range(5):
            failing.fails(1, "it is gone")
            failing.fails(2, "so is it")
            failing.answers(1)
    assert [record.getMessage() for record in caplog.records] == [
        "the shared tier at host1 fails, and nothing is proven until it answers: it is gone",
        "the shared tier at host2 fails, and nothing is proven until it answers: so is it",
        "the shared tier at host1 answers again",
    ]


@pytest.mark.parametrize("database", ["file", "postgresql://nobody@127.0.0.1:1/x", "sqlite+pysqlite:///x.db"])
def test_a_database_has_some_time(path: Path, database: str) -> None:
    with pytest.raises(DurationError, match="timeout is '0s'; expected more than 0 seconds"):
        forecache.open(path if database == "file" else database, ["product"], timeout="0s")
