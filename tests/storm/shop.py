"""The table that the storm is about, and how it is written past the caches."""

from __future__ import annotations

import psycopg

__all__ = ["KEYS", "OFTEN", "TABLE", "create", "raised", "written"]

TABLE = "product"
KEYS = 48
OFTEN = [1 / (key + 3) for key in range(KEYS)]  # some rows are read and written more than others

# The table `written` has every version that is part of the database's past as it is now, whoever wrote it.
CREATE = f"""
CREATE TABLE {TABLE} (id int PRIMARY KEY, version bigint NOT NULL, tag bigint NOT NULL, balance int NOT NULL);
CREATE TABLE written (id int, version bigint, tag bigint, PRIMARY KEY (id, version));
INSERT INTO {TABLE} SELECT n, 0, 0, 0 FROM generate_series(0, {KEYS - 1}) AS n;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO written VALUES (NEW.id, NEW.version, NEW.tag); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION note();
"""


def create(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CREATE.encode())


def raised(keys: list[int], tag: int) -> str:
    """The statement that writes one row, or moves something from one row to another; returns keys and versions."""
    order = ", ".join(map(str, sorted(keys)))
    moved = f", balance = balance + CASE id WHEN {keys[0]} THEN 1 ELSE -1 END" if len(keys) == 2 else ""
    return (
        f"WITH mine AS MATERIALIZED (SELECT id FROM {TABLE} WHERE id IN ({order}) ORDER BY id FOR UPDATE) "
        f"UPDATE {TABLE} AS p SET version = version + 1, tag = {tag}{moved} FROM mine WHERE p.id = mine.id "
        "RETURNING p.id, p.version"
    )


def written(url: str) -> list[tuple[int, int, int]]:
    """Keys, versions and tags of all that was ever committed and is not lost."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT id, version, tag FROM written ORDER BY id, version").fetchall()
