"""A shop in a real SQLite file, and its cache."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import forecache
from forecache import Database
from tests.coherence.writers import Writer

SCHEMA = """
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INT CHECK (price >= 0));
CREATE TABLE stock (shop TEXT, product INT, pieces INT, PRIMARY KEY (shop, product));
CREATE TABLE other (a);
INSERT INTO product VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30);
INSERT INTO stock VALUES ('x', 1, 5);
"""
ONE = {"id": 1, "name": "one", "price": 10}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


@pytest.fixture
def shop(path: Path) -> Iterator[Database]:
    with forecache.open(f"sqlite:///{path}", ["product", "stock"]) as database:
        yield database


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    with Writer(path) as writer:
        yield writer
