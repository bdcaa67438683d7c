"""The table that the storm is about, and how it is written past the caches."""

from __future__ import annotations

import psycopg

__all__ = ["DEATHS", "KEYS", "MORTAL", "NEXT", "OFTEN", "TABLE", "create", "inserted", "raised", "removed", "written"]

TABLE = "product"
KEYS = 48
OFTEN = [1 / (key + 3) for key in range(KEYS)]  # some rows are read and written more than others

MORTAL = range(1, KEYS, 4)  # keys whose rows are deleted and inserted again; nothing is moved from or to them
DEATHS = 0.25  # of the writes of their rows

# The table `written` has every version that is part of the database's past as it is now, whoever wrote it. A deletion
# is a version too, which nobody sees: the row is raised to it and deleted in one transaction.
CREATE = f"""
CREATE TABLE {TABLE} (id int PRIMARY KEY, version bigint NOT NULL, tag bigint NOT NULL, balance int NOT NULL);
CREATE TABLE written (id int, version bigint, tag bigint, PRIMARY KEY (id, version));
INSERT INTO {TABLE} SELECT n, 0, 0, 0 FROM generate_series(0, {KEYS - 1}) AS n;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO written VALUES (NEW.id, NEW.version, NEW.tag); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION removed(which int, by bigint) RETURNS TABLE (id int, version bigint) LANGUAGE plpgsql AS $$
    BEGIN
        RETURN QUERY UPDATE {TABLE} AS p SET version = p.version + 1, tag = by WHERE p.id = which
            RETURNING p.id, p.version;
        DELETE FROM {TABLE} AS p WHERE p.id = which AND p.tag = by;
    END $$;
"""
NEXT = "SELECT coalesce(max(version), 0) + 1 FROM written WHERE id = {key}"


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


def removed(key: int, tag: int) -> str:
    """The statement that deletes a row, if there is one; returns its key and the version that this is."""
    return f"SELECT id, version FROM removed({key}, {tag})"


def inserted(key: int, tag: int) -> str:
    """The statement that makes a row, if there is none; returns its key and version."""
    return (
        f"INSERT INTO {TABLE} SELECT {key}, ({NEXT.format(key=key)}), {tag}, 0 "
        "ON CONFLICT DO NOTHING RETURNING id, version"
    )


def written(url: str) -> list[tuple[int, int, int]]:
    """Keys, versions and tags of all that was ever committed and is not lost."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT id, version, tag FROM written ORDER BY id, version").fetchall()
