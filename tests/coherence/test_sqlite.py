"""SQLite's watch: whoever writes, through whatever connection, is noticed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from forecache.coherence.sqlite.changelog import KEPT, LOG
from forecache.coherence.sqlite.wal import file_system_of, is_restart, refuse_network_file
from forecache.errors import ConfigurationError
from tests.coherence.watching import EVERYTHING, SCHEMA, Watched
from tests.coherence.writers import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


@pytest.fixture
def watched(path: Path) -> Iterator[Watched]:
    watched = Watched(path)
    yield watched
    watched.watch.close()


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    with Writer(path) as writer:
        yield writer


def test_the_header_is_mapped_here(watched: Watched) -> None:
    assert watched.watch.header is not None
    assert watched.watch.header.is_unchanged()


@pytest.mark.parametrize(
    ("statement", "news"),
    [
        ("UPDATE product SET price = 11 WHERE id = 1", {("product", 1)}),
        ("UPDATE product SET id = 9 WHERE id = 1", {("product", 1), ("product", 9)}),
        ("INSERT INTO product VALUES (4, 'four', 40)", {("product", 4)}),
        ("DELETE FROM product WHERE id = 3", {("product", 3)}),
        ("DELETE FROM product", {("product", 1), ("product", 2), ("product", 3)}),
        ("REPLACE INTO product VALUES (2, 'zwei', 22)", {("product", 2)}),
        ("REPLACE INTO product VALUES (5, 'TWO', 22)", {("product", 5), ("product", 2)}),
        ("UPDATE OR REPLACE product SET name = 'Two' WHERE id = 1", {("product", 1), ("product", 2)}),
        ("INSERT INTO product VALUES (2, 'x', 1) ON CONFLICT DO UPDATE SET price = 7", {("product", 2)}),
        ("UPDATE stock SET pieces = 0 WHERE shop = 'x'", {("stock", ("x", 1))}),
    ],
)
def test_what_another_process_writes_is_told_by_key(
    watched: Watched, writer: Writer, statement: str, news: set[tuple[str, Hashable]]
) -> None:
    writer.write(statement)
    assert watched.news() == news
    assert watched.news() == set()


def test_what_foreign_keys_delete_is_told(watched: Watched, writer: Writer) -> None:
    writer.write("PRAGMA foreign_keys = ON", "DELETE FROM product WHERE id = 1")
    assert watched.news() == {("product", 1), ("stock", ("x", 1)), ("stock", ("y", 1))}


def test_what_is_rolled_back_or_not_yet_committed_is_no_news(watched: Watched, writer: Writer) -> None:
    writer.write("BEGIN", "UPDATE product SET price = 0")
    assert watched.watch.header is not None
    assert watched.watch.header.is_unchanged()
    writer.write("ROLLBACK")
    assert watched.watch.header.is_unchanged()
    writer.write("BEGIN", "UPDATE product SET price = 0 WHERE id = 1")
    writer.write("COMMIT")
    assert watched.news() == {("product", 1)}


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_a_checkpoint_is_no_news(watched: Watched, writer: Writer, mode: str) -> None:
    writer.write("UPDATE product SET price = 0 WHERE id = 1")
    watched.news()
    writer.write(f"PRAGMA wal_checkpoint({mode})")
    assert watched.news() == set()
    writer.write("UPDATE product SET price = 0 WHERE id = 2")  # begins the log anew
    assert watched.news() == {("product", 2)}


def test_a_commit_that_notes_nothing_drops_everything(
    watched: Watched, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    writer.write("INSERT INTO other VALUES (1)")
    assert watched.news() == {EVERYTHING}
    writer.write("INSERT INTO other VALUES (2)")
    assert watched.news() == {EVERYTHING}
    assert caplog.text.count("unlogged='ignore'") == 1


def test_unless_it_is_to_be_ignored(path: Path, writer: Writer) -> None:
    watched = Watched(path, unlogged="ignore")
    writer.write("INSERT INTO other VALUES (1)", "UPDATE product SET price = 0 WHERE id = 1")
    assert watched.news() == {("product", 1)}
    watched.watch.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE product ADD COLUMN colour",
        "DROP TRIGGER _forecache_after_update_product",
        "DROP TABLE stock",
        "VACUUM",
    ],
)
def test_a_changed_schema_drops_everything_and_what_follows_is_told(
    watched: Watched, writer: Writer, statement: str
) -> None:
    writer.write(statement)
    assert EVERYTHING in watched.news()
    writer.write("UPDATE product SET price = 12 WHERE id = 1")
    assert watched.news() == {("product", 1)}


def test_whoever_is_too_far_behind_drops_everything(watched: Watched, writer: Writer) -> None:
    writer.write(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 70000) "
        "INSERT INTO product SELECT i, i, i FROM n"
    )
    assert watched.news() == {EVERYTHING}
    writer.write("UPDATE product SET price = 0 WHERE id = 2")
    assert watched.news() == {("product", 2)}


def test_the_log_is_bounded(path: Path, watched: Watched, writer: Writer) -> None:
    fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)"
    writer.write(f"{fill} INSERT INTO {LOG} (tbl, key1) SELECT 'product', i FROM n")
    with sqlite3.connect(path) as connection:
        assert connection.execute(f"SELECT count(*) FROM {LOG}").fetchone()[0] <= KEPT + 1024
    connection.close()


def test_a_file_put_in_place_of_the_old_one_is_noticed(path: Path, watched: Watched, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    connection = sqlite3.connect(fresh)
    connection.executescript(SCHEMA)
    connection.close()
    epoch = watched.watch.epoch
    os.replace(fresh, path)
    watched.watch.header.forget()  # type: ignore[union-attr] # as the pulse does, once a second
    assert EVERYTHING in watched.news()
    assert watched.watch.epoch != epoch
    with Writer(path) as writer:
        writer.write("UPDATE product SET price = 0 WHERE id = 2")
        assert watched.news() == {("product", 2)}


def test_a_killed_writer_leaves_no_news(watched: Watched, writer: Writer) -> None:
    writer.write("BEGIN IMMEDIATE", "UPDATE product SET price = 0 WHERE id = 1")
    writer.kill()
    assert watched.news() == set()
    with pytest.raises((BrokenPipeError, AssertionError, OSError)):
        writer.write("COMMIT")


def test_closing_the_watch_leaves_other_connections_their_locks(path: Path, watched: Watched) -> None:
    """A descriptor that is closed takes all locks of the process along; another process would delete the log."""
    mine = sqlite3.connect(path, isolation_level=None)
    mine.execute("SELECT * FROM product").fetchall()
    watched.watch.close()
    with Writer(path) as writer:
        writer.write("UPDATE product SET price = 77 WHERE id = 1")
    assert Path(f"{path}-wal").exists()
    assert mine.execute("SELECT price FROM product WHERE id = 1").fetchone() == (77,)
    mine.close()


def test_a_child_begins_anew_and_loses_nothing(path: Path, watched: Watched) -> None:
    """A child that inherits a connection believes that it has locks, and its commits can be deleted by the parent."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            noticed = watched.news()
            connection = sqlite3.connect(path, isolation_level=None)
            os.write(tell, b"a" if EVERYTHING in noticed else b"b")
            connection.execute("UPDATE product SET price = 88 WHERE id = 1")
            seen = watched.news()
            os.write(tell, b"c" if ("product", 1) in seen else b"d")
        finally:
            os._exit(0)
    assert os.read(told, 1) == b"a"
    watched.watch.close()
    os.waitpid(child, 0)
    assert os.read(told, 1) == b"c"
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT price FROM product WHERE id = 1").fetchone() == (88,)
    connection.close()
    os.close(told)
    os.close(tell)


def test_where_memory_cannot_be_mapped_the_database_is_asked(
    path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecache.coherence.sqlite.watch.map_header", lambda path: None)
    watched = Watched(path)
    assert watched.watch.header is None
    writer.write("UPDATE product SET price = 0 WHERE id = 1")
    assert watched.news() == {("product", 1)}
    assert watched.watch.proven_at() >= 0
    writer.write("INSERT INTO other VALUES (1)")
    assert watched.news() == {EVERYTHING}
    watched.watch.close()


def test_files_that_other_machines_write_are_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / {tmp_path} rw shared:1 - nfs4 host:/x rw\n")
    monkeypatch.setattr("forecache.coherence.sqlite.wal.MOUNTS", mounts)
    assert file_system_of(path) == "nfs4"
    assert file_system_of(Path("/elsewhere")) == "ext4"
    with pytest.raises(ConfigurationError, match="nfs4"):
        refuse_network_file(str(path))


def test_a_file_kept_by_one_process_alone_is_refused(path: Path) -> None:
    alone = sqlite3.connect(path, isolation_level=None)
    alone.execute("PRAGMA locking_mode = EXCLUSIVE")
    alone.execute("PRAGMA journal_mode = WAL")
    alone.execute("UPDATE product SET price = 1")
    with pytest.raises(Exception, match="locked"):
        Watched(path)
    alone.close()


def test_a_restart_is_told_from_a_commit() -> None:
    def header(commits: int, frames: int, salt: int) -> bytes:
        words = (3_007_000).to_bytes(4, "little") + bytes(4) + commits.to_bytes(4, "little") + bytes(4)
        return (
            words + frames.to_bytes(4, "little") + bytes([9, 0, 0, 0]) + bytes(8) + salt.to_bytes(4, "big") + bytes(12)
        )

    assert is_restart(header(5, 8, 1), header(5, 0, 2))
    assert not is_restart(header(5, 8, 1), header(6, 0, 2))
    assert not is_restart(header(5, 8, 1), header(5, 1, 2))
    assert not is_restart(header(5, 8, 1), header(5, 0, 3))
