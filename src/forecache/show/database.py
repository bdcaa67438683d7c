"""The demo's database: a shop's catalogue in a real SQLite file, with the joins that a product page needs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple, Self

__all__ = ["Database", "Product"]

SCHEMA: Final = """
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE brand (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL);
CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    price INTEGER NOT NULL, -- cents
    category INTEGER NOT NULL REFERENCES category,
    brand INTEGER NOT NULL REFERENCES brand
);
CREATE TABLE stock (
    product INTEGER NOT NULL REFERENCES product,
    warehouse INTEGER NOT NULL,
    pieces INTEGER NOT NULL,
    PRIMARY KEY (product, warehouse)
) WITHOUT ROWID;
CREATE TABLE review (
    product INTEGER NOT NULL REFERENCES product,
    customer INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    PRIMARY KEY (product, customer)
) WITHOUT ROWID;
"""
CATEGORIES: Final = 40
BRANDS: Final = 300
FILL: Final = (  # everything about a product follows from its number
    """CREATE TEMPORARY TABLE number AS WITH RECURSIVE counted(i) AS
    (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < max(:products, :categories, :brands)) SELECT i FROM counted
    """,
    "INSERT INTO category SELECT i, 'category ' || i FROM number WHERE i <= :categories",
    """INSERT INTO brand SELECT i, 'brand ' || i, substr('DEFRITESPLNLSEUS', 2 * (i % 8) + 1, 2)
    FROM number WHERE i <= :brands""",
    """INSERT INTO product SELECT i, 'product ' || i, 'number ' || i || ' of a series of which no two are alike; it
    lasts, and comes in a box with all that is needed to use it for years', 100 + i * 7919 % 90000,
    1 + i * 31 % :categories, 1 + i * 17 % :brands FROM number WHERE i <= :products""",
    "INSERT INTO stock SELECT id, column1, (id * 13 + column1 * 29) % 50 FROM product, (VALUES (1), (2), (3))",
    """INSERT INTO review SELECT id, column1, 1 + (id * 7 + column1) % 5
    FROM product, (VALUES (1), (2), (3), (4), (5), (6)) WHERE column1 <= id * 11 % 7""",
)

SELECT: Final = """
SELECT product.id, product.name, product.description, product.price, category.name, brand.name, brand.country,
    (SELECT sum(pieces) FROM stock WHERE stock.product = product.id),
    (SELECT count(*) FROM review WHERE review.product = product.id),
    (SELECT avg(stars) FROM review WHERE review.product = product.id)
FROM product JOIN category ON category.id = product.category JOIN brand ON brand.id = product.brand
WHERE product.id = ?
"""
UPDATE: Final = "UPDATE product SET price = ? WHERE id = ?"


class Product(NamedTuple):
    """What the page of a product shows; it cannot be changed, so that it can be shared."""

    id: int
    name: str
    description: str
    price: int  # cents
    category: str
    brand: str
    country: str
    pieces: int  # in stock, over all warehouses
    reviews: int
    stars: float | None  # mean, 1 to 5; None without a review


class Database:
    """One connection to the file; counts the queries it answers."""

    def __init__(self, path: Path) -> None:
        """Opens the file; every statement commits by itself."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")  # a commit is written, but does not wait for the disk
        self.queries = 0

    @classmethod
    def create(cls, path: Path, products: int) -> None:
        """Makes the file, with products 1 to `products`; equal numbers give equal rows."""
        with cls(path) as database:
            connection = database._connection
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            for statement in FILL:
                connection.execute(statement, {"products": products, "categories": CATEGORIES, "brands": BRANDS})
            connection.execute("COMMIT")

    def load(self, product: int) -> Product | None:
        """The product of that number, from its rows in five tables; None if there is none."""
        self.queries += 1
        row = self._connection.execute(SELECT, (product,)).fetchone()
        return None if row is None else Product._make(row)

    def set_price(self, product: int, cents: int) -> None:
        """Changes a price; it is committed when this returns."""
        self._connection.execute(UPDATE, (cents, product))

    def __enter__(self) -> Self:
        """The open database."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Closes the file."""
        self._connection.close()
