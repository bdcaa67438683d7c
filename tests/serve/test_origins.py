"""Laws of opening an origin: its kind follows from the URL or the object, and no message repeats a password."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

import forecache
from forecache.errors import ConfigurationError, OriginUnavailableError
from forecache.serve.origins import open_origin
from forecache.serve.origins.alchemy import AlchemyOrigin

PASSWORD = "hunter2"  # noqa: S105 - of nobody


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        (f"postgresql://ada:{PASSWORD}@db:5433/shop?sslmode=verify-full", "postgresql://db:5433/shop"),
        (f"postgres://ada:{PASSWORD}@db/shop", "postgresql://db/shop"),
        (f"postgresql://db/shop?user=ada&password={PASSWORD}", "postgresql://db/shop"),
        (f"postgresql+psycopg://ada:{PASSWORD}@db/shop?password={PASSWORD}", "postgresql+psycopg://db/shop"),
        (create_engine(f"postgresql+psycopg://ada:{PASSWORD}@db/shop"), "postgresql+psycopg://db/shop"),
        (create_async_engine(f"postgresql+psycopg://ada:{PASSWORD}@db/shop"), "postgresql+psycopg://db/shop"),
        (len, "len"),
    ],
)
def test_the_kind_follows_from_the_source_and_the_name_has_no_password(source: Any, name: str) -> None:
    origin = open_origin(source)
    assert origin.name == name
    assert PASSWORD not in repr(origin)
    assert open_origin(origin) is origin


@pytest.mark.parametrize(
    "source",
    [
        f"nosuch://ada:{PASSWORD}@db/shop",
        f"nosuch+driver://ada:{PASSWORD}@db/shop",
        f"postgresql://ada:{PASSWORD}%zz@db/shop",
        f"postgresql://ada:{PASSWORD}@db/shop?nosuch={PASSWORD}",
        f"ada:{PASSWORD}@db",
        "sqlite:///:memory:",
        "sqlite:///",
        3,
        None,
    ],
)
def test_what_is_no_database_is_refused_without_repeating_it(source: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"expected|install") as caught:
        open_origin(source)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_settings_of_a_ready_origin_come_too_late() -> None:
    with pytest.raises(ConfigurationError, match="connections"):
        open_origin(open_origin("sqlite:///shop.db"), connections=3)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with pytest.raises(OriginUnavailableError, match=r"shop\.db"):
        open_origin(f"sqlite:///{path}").table("product")
    assert not path.exists()


def test_a_server_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(OriginUnavailableError, match="127.0.0.1:9.*refused") as caught:
        open_origin(f"postgresql://ada:{PASSWORD}@127.0.0.1:9/shop").table("product")
    assert PASSWORD not in str(caught.value)


def test_an_engine_is_made_with_the_settings_of_an_origin(tmp_path: Path) -> None:
    origin = open_origin(f"sqlite+pysqlite:///{tmp_path}/shop.db", connections=3, timeout="250ms")
    assert isinstance(origin, AlchemyOrigin)
    assert (origin.engine.pool.size(), origin.engine.pool.timeout()) == (3, 0.25)


def test_open_takes_engines_and_functions(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 2)")
    with forecache.open(create_engine(f"sqlite:///{path}"), tables=["t"]) as db:
        assert db["t"].get(1) == {"id": 1, "n": 2}
        db["t"].update(1, {"n": 3})
        assert db["t"].get(1) == {"id": 1, "n": 3}
    with forecache.open(lambda key: {"twice": 2 * key}, tables=["number"]) as db:
        assert db["number"].get_many([1, 2]) == {1: {"twice": 2}, 2: {"twice": 4}}
