"""The contract of origins where a function is one: reading, in threads and in tasks, one key or many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from forecache.errors import ConfigurationError
from forecache.serve.origins.function import FunctionOrigin

ROWS = {1: {"id": 1}, "1": {"id": "1"}, (2, "b"): {"id": 2}}


def load(key: Any) -> Any:
    return ROWS.get(key)


def load_many(keys: list[Any]) -> dict[Any, Any]:
    return {key: ROWS[key] for key in keys if key in ROWS} | {"nobody asked": 1, 9: None}


async def aload(key: Any) -> Any:
    await asyncio.sleep(0)
    return load(key)


async def aload_many(keys: list[Any]) -> dict[Any, Any]:
    await asyncio.sleep(0)
    return load_many(keys)


ORIGINS: dict[str, Callable[[], FunctionOrigin]] = {
    "one": lambda: FunctionOrigin(load),
    "many": lambda: FunctionOrigin(load_many=load_many),
    "one, async": lambda: FunctionOrigin(aload),
    "many, async": lambda: FunctionOrigin(load_many=aload_many),
}


@pytest.fixture(params=ORIGINS)
def origin(request: pytest.FixtureRequest) -> FunctionOrigin:
    return ORIGINS[request.param]()


async def test_rows_come_by_their_keys_in_tasks(origin: FunctionOrigin) -> None:
    batch = await origin.aread(await origin.atable("anything"), [1, "1", (2, "b"), 9, "absent"])
    assert batch.rows == ROWS
    assert (batch.table.name, batch.stamp) == ("anything", None)
    await origin.aclose()


def test_rows_come_by_their_keys_in_threads_unless_the_function_is_async(origin: FunctionOrigin) -> None:
    table = origin.table("anything")
    if "aload" in origin.name:
        with pytest.raises(ConfigurationError, match="await aread"):
            origin.read(table, [1])
    else:
        assert origin.read(table, [1, 9]).rows == {1: {"id": 1}}


def test_a_function_cannot_be_written(origin: FunctionOrigin) -> None:
    with pytest.raises(ConfigurationError, match="only loads"):
        origin.transaction()
    with pytest.raises(ConfigurationError, match="only loads"):
        origin.atransaction()


def test_what_the_function_raises_is_passed_on() -> None:
    def failing(key: Any) -> Any:
        raise LookupError(key)

    origin = FunctionOrigin(failing, name="prices")
    with pytest.raises(LookupError):
        origin.read(origin.table("t"), [1])
    assert repr(origin) == "FunctionOrigin(prices)"


@pytest.mark.parametrize("settings", [{}, {"load": load, "load_many": load_many}, {"load": 3}])
def test_one_function_is_expected(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        FunctionOrigin(**settings)


def test_many_rows_are_a_dict() -> None:
    origin = FunctionOrigin(load_many=lambda keys: keys)  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match="returned list; expected a dict"):
        origin.read(origin.table("t"), [1])
