"""The contract of origins, writing: all or nothing, and the transaction says what it changed."""

from __future__ import annotations

from typing import Any

import pytest

from forecache.errors import (
    ConfigurationError,
    ConstraintError,
    OriginError,
    StatementError,
    TableError,
)
from forecache.serve.origin import EVERY, Change
from tests.contracts.subjects import Subject, products, rows


def test_put_keeps_what_is_not_given_and_defaults_what_never_was(subject: Subject) -> None:
    table = products(subject)
    with subject.origin.transaction() as transaction:
        assert transaction.put(table, {"id": 7, "name": "a"}) == 7
        assert transaction.put(table, {"id": 7, "price": 9}) == 7
        assert transaction.put(table, {"name": "b", "id": 8, "price": None}) == 8
        assert transaction.put(table, {"name": "c", "id": 8, "price": 1}) == 8
    assert rows(subject, table) == {7: ("a", 9), 8: ("c", 1)}
    assert transaction.changes == (Change(table.name, 7), Change(table.name, 8))


def test_the_database_chooses_a_key_that_is_not_given(subject: Subject) -> None:
    kind = "SERIAL" if subject.has_types else "INTEGER"
    table = subject.origin.table(subject.fresh(f"id {kind} PRIMARY KEY, name TEXT"))
    transaction = subject.origin.transaction()
    with transaction:
        keys = [transaction.put(table, row) for row in ({"name": "a"}, {"id": None, "name": "b"}, {})]
    assert len(set(keys)) == 3
    assert transaction.changes == tuple(Change(table.name, key) for key in keys)
    assert rows(subject, table) == dict(zip(keys, [("a",), ("b",), (None,)], strict=True))


def test_a_row_of_nothing_but_its_key_can_be_put_twice(subject: Subject) -> None:
    table = subject.origin.table(subject.fresh("a BIGINT, b TEXT, PRIMARY KEY (a, b)"))
    with subject.origin.transaction() as transaction:
        for _ in range(2):
            assert transaction.put(table, {"a": 1, "b": "x"}) == (1, "x")
    assert subject.sql(f"SELECT * FROM {table.name}") == [(1, "x")]


def test_update_and_delete_say_whether_there_was_a_row(subject: Subject) -> None:
    table = products(subject)
    subject.sql(f"INSERT INTO {table.name} VALUES (1, 'a', 1), (2, 'b', 2)")
    transaction = subject.origin.transaction()
    with transaction:
        assert transaction.update(table, 1, {"price": 3}) is True
        assert transaction.update(table, 9, {"price": 3}) is False
        assert transaction.update(table, 9, {"id": 10}) is False
        assert transaction.update(table, 1, {}) is False
        assert transaction.delete(table, 2) is True
        assert transaction.delete(table, 2) is False
        assert transaction.get(table, 2) is None
    assert rows(subject, table) == {1: ("a", 3)}
    assert transaction.changes == (Change(table.name, 1), Change(table.name, 2))


def test_a_changed_key_is_two_changes(subject: Subject) -> None:
    table = products(subject)
    subject.sql(f"INSERT INTO {table.name} VALUES (1, 'a', 1)")
    with subject.origin.transaction() as transaction:
        assert transaction.update(table, 1, {"id": 2})
    assert transaction.changes == (Change(table.name, 1), Change(table.name, 2))


def test_changes_have_the_keys_of_the_database_whatever_resembled_them(subject: Subject) -> None:
    table = products(subject)
    with subject.origin.transaction() as transaction:
        like = "7" if subject.casts_keys else 7
        transaction.put(table, {"id": like, "name": "a"})
        transaction.update(table, like, {"price": 1})
    assert transaction.changes == (Change(table.name, 7),)
    assert type(transaction.changes[0].key) is int


def test_rows_that_foreign_keys_change_are_changes(subject: Subject) -> None:
    parent, other = products(subject), products(subject)
    child = subject.fresh(f"id BIGINT PRIMARY KEY, parent BIGINT REFERENCES {parent.name} (id) ON DELETE CASCADE")
    grandchild = subject.fresh(f"id BIGINT PRIMARY KEY, child BIGINT REFERENCES {child} (id) ON DELETE SET NULL")
    subject.fresh(f"id BIGINT PRIMARY KEY, other BIGINT REFERENCES {other.name} (id)")
    parent, other = subject.origin.table(parent.name), subject.origin.table(other.name)
    with subject.origin.transaction() as transaction:
        transaction.put(parent, {"id": 1, "name": "a"})
        transaction.put(other, {"id": 1, "name": "a"})
        assert set(transaction.changes) == {Change(parent.name, 1), Change(other.name, 1)}
        transaction.delete(parent, 1)
        transaction.delete(other, 1)
    expected = {Change(parent.name, 1), Change(other.name, 1), Change(child, EVERY), Change(grandchild, EVERY)}
    assert set(transaction.changes) == expected


def test_a_row_that_was_read_can_be_put_back(subject: Subject) -> None:
    document = "JSONB" if subject.has_types else "TEXT"
    name = subject.fresh(
        f"id INTEGER PRIMARY KEY, n BIGINT, twice BIGINT GENERATED ALWAYS AS (n * 2) STORED, d {document}"
    )
    table = subject.origin.table(name)
    value = {"list": [1, None], "text": "ü"} if subject.has_types else '{"list": [1]}'
    with subject.origin.transaction() as transaction:
        transaction.put(table, {"id": 1, "n": 4, "d": value})
        row = transaction.get(table, 1)
        assert row == {"id": 1, "n": 4, "twice": 8, "d": value}
        transaction.put(table, row | {"n": 5})
        transaction.update(table, 1, row | {"n": 6})
    assert subject.origin.read(table, [1]).rows == {1: row | {"n": 6, "twice": 12}}


def test_execute_returns_rows_and_changes_whole_tables(subject: Subject) -> None:
    table = products(subject)
    mark = "%s" if subject.has_types else "?"
    with subject.origin.transaction() as transaction:
        transaction.put(table, {"id": 1, "name": "100%"})
        assert transaction.execute(f"SELECT id FROM {table.name} WHERE name LIKE '1%'", tables=()) == [(1,)]
        assert transaction.changes == (Change(table.name, 1),)
        transaction.execute(f"UPDATE {table.name} SET price = {mark}", [3], tables=[table.name])
    assert transaction.changes == (Change(table.name, 1), Change(table.name, EVERY))
    assert rows(subject, table) == {1: ("100%", 3)}
    with pytest.raises(TypeError, match="expected several"), subject.origin.transaction() as transaction:
        transaction.execute("SELECT 1", tables="product")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_any_exception_rolls_back_and_reports_no_change(subject: Subject, error: type[BaseException]) -> None:
    table = products(subject)
    transaction = subject.origin.transaction()
    with pytest.raises(error), transaction:
        transaction.put(table, {"id": 1, "name": "a"})
        assert transaction.changes
        assert subject.origin.read(table, [1]).rows == {}  # others do not see it
        raise error
    assert transaction.changes == ()
    assert rows(subject, table) == {}


BREAKING = {
    "not null": {"id": 2, "name": None},
    "unique": {"id": 2, "name": "a"},
    "check": {"id": 2, "name": "b", "price": -1},
    "not null, overwriting": {"id": 1, "name": None},
}


@pytest.mark.parametrize("row", BREAKING.values(), ids=BREAKING)
def test_a_broken_constraint_reaches_the_caller_and_changes_nothing(subject: Subject, row: dict[str, Any]) -> None:
    table = products(subject)
    subject.sql(f"INSERT INTO {table.name} VALUES (1, 'a', 1)")
    transaction = subject.origin.transaction()
    with pytest.raises(ConstraintError) as caught, transaction:
        transaction.update(table, 1, {"price": 2})
        transaction.put(table, row)
    assert caught.value.__cause__ is not None
    assert transaction.changes == ()
    assert rows(subject, table) == {1: ("a", 1)}


def test_a_constraint_that_is_checked_at_the_end_changes_nothing(subject: Subject) -> None:
    parent = products(subject)
    name = subject.fresh(f"id BIGINT PRIMARY KEY, p BIGINT REFERENCES {parent.name} (id) DEFERRABLE INITIALLY DEFERRED")
    table = subject.origin.table(name)
    transaction = subject.origin.transaction()
    with pytest.raises(ConstraintError), transaction:
        transaction.put(table, {"id": 1, "p": 99})
    assert (transaction.changes, rows(subject, table)) == ((), {})
    with subject.origin.transaction() as transaction:
        transaction.put(table, {"id": 1, "p": 99})
        transaction.put(parent, {"id": 99, "name": "late"})
    assert rows(subject, table) == {1: (99,)}


def test_a_transaction_in_which_a_statement_failed_is_not_committed(subject: Subject) -> None:
    """Some databases would commit the rest, others nothing and say nothing."""
    table = products(subject)
    transaction = subject.origin.transaction()
    with pytest.raises(ConstraintError, match="(?i)null"), transaction:
        transaction.put(table, {"id": 1, "name": "a"})
        with pytest.raises(ConstraintError):
            transaction.put(table, {"id": 2, "name": None})
    assert (transaction.changes, rows(subject, table)) == ((), {})


def test_wrong_statements_and_columns_are_errors_of_their_own(subject: Subject) -> None:
    table = products(subject)
    with pytest.raises(TableError, match="no_such"), subject.origin.transaction() as transaction:
        transaction.put(table, {"id": 1, "no_such": 1})
    with pytest.raises(StatementError), subject.origin.transaction() as transaction:
        transaction.execute("SELEKT 1", tables=())
    with pytest.raises(OriginError), subject.origin.transaction() as transaction:
        transaction.put(table, {"id": 1, "name": object()})
    with pytest.raises(TypeError, match="expected a dict"), subject.origin.transaction() as transaction:
        transaction.put(table, ["a"])


def test_a_transaction_is_used_once_and_inside_its_block(subject: Subject) -> None:
    table = products(subject)
    transaction = subject.origin.transaction()
    with transaction, pytest.raises(ConfigurationError, match="entered once"):
        transaction.__enter__()
    with pytest.raises(ConfigurationError):
        transaction.put(table, {"id": 1, "name": "a"})
