"""What a database is given by mistake is refused in words that tell what to do, and does no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import forecache
from forecache.errors import ConfigurationError, KeyTypeError
from tests.serve.shops import ONE, path

__all__ = ["path"]


@pytest.mark.parametrize("connections", [0, -3, 1.5, "x", True])
@pytest.mark.parametrize("database", ["file", "postgresql://nobody@127.0.0.1:1/x"])
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
