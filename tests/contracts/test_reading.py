"""The contract of origins, reading: rows come back as they were written, by exactly their keys, out of one snapshot."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache.errors import KeyTypeError, TableError
from tests.contracts.subjects import Subject

several = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
binaries = st.binary(max_size=20)
VALUES = {"BIGINT": integers, "TEXT": texts, "BYTES": binaries}


@several
@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)))
def test_every_key_and_value_comes_back(subject: Subject, kind: str, data: st.DataObject) -> None:
    column = subject.bytes_type if kind == "BYTES" else kind
    table = subject.emptied(f"id {column} PRIMARY KEY, number BIGINT, text TEXT, bytes {subject.bytes_type}")
    rows = data.draw(
        st.dictionaries(
            VALUES[kind], st.tuples(st.none() | integers, st.none() | texts, st.none() | binaries), max_size=5
        )
    )
    written = {key: {"id": key, "number": n, "text": t, "bytes": b} for key, (n, t, b) in rows.items()}
    with subject.origin.transaction() as transaction:
        keys = [transaction.put(table, row) for row in written.values()]
    assert keys == list(written)
    others = data.draw(st.sets(VALUES[kind], max_size=5))
    assert subject.origin.read(table, {*rows, *others}).rows == written


@several
@given(keys=st.sets(st.tuples(integers, texts, binaries), max_size=5), data=st.data())
def test_composite_keys_are_tuples_in_the_order_of_the_primary_key(
    subject: Subject, keys: set[tuple[Any, ...]], data: st.DataObject
) -> None:
    table = subject.emptied(f"c {subject.bytes_type}, v TEXT, a BIGINT, b TEXT, PRIMARY KEY (a, b, c)")
    assert table.key == ("a", "b", "c")
    with subject.origin.transaction() as transaction:
        for a, b, c in keys:
            transaction.put(table, {"a": a, "b": b, "c": c, "v": "x"})
    absent = data.draw(st.sets(st.tuples(integers, texts, binaries), max_size=3))
    found = subject.origin.read(table, [*keys, *(absent - keys)]).rows
    assert found == {(a, b, c): {"a": a, "b": b, "c": c, "v": "x"} for a, b, c in keys}


odd_names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: not name.lower().startswith("sqlite_") and len(name.encode()) < 60
)


@several
@given(table_name=odd_names, columns=st.lists(odd_names, min_size=2, max_size=4, unique_by=str.lower), seed=integers)
def test_names_may_hold_anything(subject: Subject, table_name: str, columns: list[str], seed: int) -> None:
    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    name = f"{seed}{table_name}"[:60]
    names = ", ".join(f"{quoted(column)} BIGINT" for column in columns)
    subject.sql(f"CREATE TABLE {quoted(name)} ({names}, PRIMARY KEY ({quoted(columns[0])}))")
    try:
        table = subject.origin.table(name)
        row = {column: number for number, column in enumerate(columns)}
        with subject.origin.transaction() as transaction:
            assert transaction.put(table, row) == 0
            assert transaction.update(table, 0, {columns[1]: 7})
            assert transaction.get(table, 0) == row | {columns[1]: 7}
        assert subject.origin.read(table, [0]).rows == {0: row | {columns[1]: 7}}
        with subject.origin.transaction() as transaction:
            assert transaction.delete(table, 0)
    finally:
        subject.sql(f"DROP TABLE {quoted(name)}")


def test_ten_thousand_keys_are_read_at_once(subject: Subject) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY, half BIGINT")
    rows = ", ".join(f"({key}, {key // 2})" for key in range(0, 20_000, 2))
    subject.sql(f"INSERT INTO {name} VALUES {rows}")
    keys = random.Random(1).sample(range(20_000), 10_000)
    found = subject.origin.read(subject.origin.table(name), keys).rows
    assert found == {key: {"id": key, "half": key // 2} for key in keys if key % 2 == 0}


def test_ten_thousand_composite_keys_are_read_at_once(subject: Subject) -> None:
    name = subject.fresh("a BIGINT, b TEXT, PRIMARY KEY (a, b)")
    rows = ", ".join(f"({key}, 'k{key % 7}')" for key in range(10_000))
    subject.sql(f"INSERT INTO {name} VALUES {rows}")
    keys = [(key, f"k{key % 5}") for key in range(10_000)]
    found = subject.origin.read(subject.origin.table(name), keys).rows
    assert set(found) == {(a, b) for a, b in keys if b == f"k{a % 7}"}


@pytest.mark.parametrize("key", [None, 2**63, -(2**200), 10**30])
def test_a_key_that_no_row_can_have_is_absent(subject: Subject, key: object) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY")
    subject.sql(f"INSERT INTO {name} VALUES (1)")
    assert subject.origin.read(subject.origin.table(name), [key, 1]).rows == {1: {"id": 1}}


@pytest.mark.parametrize("key", ["\ud800", "a\0b"])
def test_text_that_no_row_has_is_absent(subject: Subject, key: str) -> None:
    name = subject.fresh("id TEXT PRIMARY KEY")
    subject.sql(f"INSERT INTO {name} VALUES ('a')")
    assert subject.origin.read(subject.origin.table(name), [key, "a"]).rows == {"a": {"id": "a"}}


def test_nothing_is_found_by_no_key(subject: Subject) -> None:
    table = subject.origin.table(subject.fresh("id BIGINT PRIMARY KEY"))
    assert subject.origin.read(table, []).rows == {}


@pytest.mark.parametrize("like", ["7", 7.0, True, b"7", (7,)])
def test_what_only_resembles_a_key_finds_nothing(subject: Subject, like: object) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY")
    subject.sql(f"INSERT INTO {name} VALUES (7), (1)")
    table = subject.origin.table(name)
    try:
        assert subject.origin.read(table, [like]).rows == {}
    except KeyTypeError as error:
        assert repr(name) in str(error)


def test_a_key_that_finds_the_row_of_another_is_refused_with_the_right_one(subject: Subject) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY")
    subject.sql(f"INSERT INTO {name} VALUES (7)")
    with pytest.raises(KeyTypeError, match=r"ask for it as 7$|cannot be one of table"):
        subject.origin.read(subject.origin.table(name), ["7"])


@pytest.mark.parametrize("keys", [[1, True], [(1, 2)], [1.0, 1]])
def test_keys_that_cannot_be_told_apart_or_have_other_parts_are_refused(subject: Subject, keys: list[object]) -> None:
    table = subject.origin.table(subject.fresh("id BIGINT PRIMARY KEY"))
    with pytest.raises(KeyTypeError):
        subject.origin.read(table, keys)


@pytest.mark.parametrize("key", [1, (1,), (1, 2, 3), "ab"])
def test_a_composite_key_needs_all_its_parts(subject: Subject, key: object) -> None:
    table = subject.origin.table(subject.fresh("a BIGINT, b BIGINT, PRIMARY KEY (a, b)"))
    with pytest.raises(KeyTypeError, match="a, b"):
        subject.origin.read(table, [key])


def test_a_table_without_a_primary_key_and_one_that_is_not_there_are_refused(subject: Subject) -> None:
    with pytest.raises(TableError, match="no primary key"):
        subject.origin.table(subject.fresh("id BIGINT"))
    with pytest.raises(TableError, match="no_such_table"):
        subject.origin.table("no_such_table")


def test_a_batch_is_one_snapshot(subject: Subject) -> None:
    """While money moves between two accounts, no reader sees it twice or not at all."""
    name = subject.fresh("id BIGINT PRIMARY KEY, money BIGINT NOT NULL")
    subject.sql(f"INSERT INTO {name} VALUES (1, 100), (2, 100)")
    keys = [1, *range(3, 3_000), 2]  # far apart, so that a read of several statements would be caught
    table = subject.origin.table(name)
    writer = subject.make()
    done = threading.Event()

    def move() -> None:
        account = writer.table(name)
        for amount in range(60):
            with writer.transaction() as transaction:
                transaction.update(account, 1, {"money": 100 - amount})
                transaction.update(account, 2, {"money": 100 + amount})
        done.set()

    thread = threading.Thread(target=move)
    thread.start()
    sums, read_at = set(), 0.0
    while not done.is_set():
        batch = subject.origin.read(table, keys)
        sums.add(sum(row["money"] for row in batch.rows.values()))
        assert batch.read_at > read_at
        read_at = batch.read_at
    thread.join()
    writer.close()
    assert sums == {200}


class Item(msgspec.Struct, frozen=True):
    price: float
    name: str
    kept: bool = True


def test_rows_may_be_structs_of_some_columns(subject: Subject) -> None:
    boolean = "BOOLEAN" if subject.has_types else "INTEGER"
    name = subject.fresh(f"id BIGINT PRIMARY KEY, name TEXT, other TEXT, price BIGINT, kept {boolean}")
    table = subject.origin.table(name, Item)
    assert table.columns == ("price", "name", "kept")
    plain = subject.origin.table(name)
    with subject.origin.transaction() as transaction:
        transaction.put(plain, {"id": 1, "name": "a", "price": 3, "kept": subject.has_types and False})
        assert transaction.get(table, 1) == Item(3.0, "a", kept=False)
        assert transaction.update(table, 1, {"price": 4})
    assert subject.origin.read(table, [1, 2]).rows == {1: Item(4.0, "a", kept=False)}


def test_a_struct_that_does_not_fit_is_refused_with_its_field(subject: Subject) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY, name TEXT, price TEXT")
    with pytest.raises(TableError, match="'kept'.*Item"):
        subject.origin.table(name, Item)
    subject.sql(f"ALTER TABLE {name} ADD COLUMN kept BIGINT", f"INSERT INTO {name} VALUES (1, 'a', 'much', 1)")
    with pytest.raises(TableError, match=r"price"):
        subject.origin.read(subject.origin.table(name, Item), [1])


@pytest.mark.parametrize("keys", [[1], [2], [1, *range(3, 3_000)]], ids=["there", "absent", "many"])
def test_a_change_of_the_columns_is_noticed_by_the_next_read(subject: Subject, keys: list[int]) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY, name TEXT")
    subject.sql(f"INSERT INTO {name} VALUES (1, 'a')")
    table = subject.origin.table(name)
    for _ in range(8):  # the driver may have prepared the statement
        assert subject.origin.read(table, [1]).table == table
    subject.sql(f"ALTER TABLE {name} ADD COLUMN price BIGINT DEFAULT 5")
    if subject.notices_new_columns:
        batch = subject.origin.read(table, keys)
        table = batch.table
        assert table.columns == ("id", "name", "price")
        assert batch.rows == ({1: {"id": 1, "name": "a", "price": 5}} if 1 in keys else {})
    subject.sql(f"ALTER TABLE {name} RENAME COLUMN name TO title")
    if subject.notices_new_columns:
        with subject.origin.transaction() as transaction:
            assert transaction.get(table, 1) == {"id": 1, "title": "a", "price": 5}
    batch = subject.origin.read(table, keys)
    assert batch.table.columns == ("id", "title", "price")
    assert batch.rows == ({1: {"id": 1, "title": "a", "price": 5}} if 1 in keys else {})


def test_a_table_that_is_gone_or_has_another_key_is_an_error(subject: Subject) -> None:
    name = subject.fresh("id BIGINT PRIMARY KEY, name TEXT")
    table = subject.origin.table(name)
    subject.sql(
        f"DROP TABLE {name}", f"CREATE TABLE {name} (id BIGINT, name TEXT, more BIGINT, PRIMARY KEY (id, name))"
    )
    subject.sql(f"INSERT INTO {name} VALUES (1, 'a', 0), (1, 'b', 0)")
    with pytest.raises(TableError, match="primary key"):
        subject.origin.read(table, [1])
    subject.sql(f"DROP TABLE {name}")
    with pytest.raises(TableError):
        subject.origin.read(table, [1])


def test_a_batch_with_a_stamp_above_a_change_has_it(subject: Subject) -> None:
    """And a batch that has it reaches such a stamp, once every transaction that began before the change has ended."""
    table = subject.origin.table(subject.fresh("id BIGINT PRIMARY KEY, n BIGINT"))
    for n in range(5):
        before = subject.origin.read(table, [1])
        transaction = subject.origin.transaction()
        with transaction:
            transaction.put(table, {"id": 1, "n": n})
        after = subject.origin.read(table, [1])
        assert after.rows[1]["n"] == n
        if not subject.numbers_changes:
            assert (before.stamp, transaction.number, after.stamp) == (None, None, None)
            continue
        assert before.stamp <= transaction.number
        until = time.monotonic() + 60
        while after.stamp <= transaction.number:  # others on this server, autovacuum too, hold stamps back
            assert time.monotonic() < until, "a transaction was left open"
            time.sleep(0.01)
            after = subject.origin.read(table, [1])


def test_an_open_transaction_holds_stamps_back(subject: Subject) -> None:
    """A stamp promises no change that a snapshot may lack: here what the other transaction is about to commit."""
    if not subject.numbers_changes:
        pytest.skip("numbers no changes")
    table = subject.origin.table(subject.fresh("id BIGINT PRIMARY KEY, n BIGINT"))
    other, transaction = subject.make(), subject.origin.transaction()
    slow = other.transaction()
    with slow:
        slow.put(table, {"id": 1, "n": 1})
        with transaction:
            transaction.put(table, {"id": 2, "n": 2})
        batch = subject.origin.read(table, [1, 2])
        assert batch.rows == {2: {"id": 2, "n": 2}}
    assert batch.stamp <= slow.number < transaction.number
    other.close()
