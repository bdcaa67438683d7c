"""A file, its watch, and what that told."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from forecache import _core
from forecache.coherence.sqlite.watch import SqliteWatch

EVERYTHING = ("*", None)
SCHEMA = """
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, price INT);
CREATE TABLE stock (shop TEXT, product INT REFERENCES product ON DELETE CASCADE, pieces INT,
    PRIMARY KEY (shop, product)) WITHOUT ROWID;
CREATE TABLE other (a);
INSERT INTO product VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30);
INSERT INTO stock VALUES ('x', 1, 5), ('y', 1, 6);
"""
TABLES = {"product": ("id",), "stock": ("shop", "product")}


class Holder:
    """Notes what it is told to forget."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[str, Hashable]] = []

    def forget(self, table: str, key: Hashable) -> None:
        self.forgotten.append((table, key))

    def forget_table(self, table: str) -> None:
        self.forgotten.append((table, None))

    def forget_all(self) -> None:
        self.forgotten.append(EVERYTHING)

    def take(self) -> set[tuple[str, Hashable]]:
        taken, self.forgotten = set(self.forgotten), []
        return taken


class Watched:
    """A file, its watch, and what that told."""

    def __init__(self, path: Path, **options: str) -> None:
        self.holder = Holder()
        self.watch = SqliteWatch(str(path), TABLES, self.holder, **options)  # type: ignore[arg-type]
        self.holder.take()

    def news(self) -> set[tuple[str, Hashable]]:
        """What a strong read would drop first."""
        now = _core.now()
        if self.watch.proven_at() < now:
            self.watch.catch_up(now)
        return self.holder.take()
