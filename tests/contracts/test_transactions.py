"""The contract of origins, transactions beside each other and after each other: none is lost, and changes are exact."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache.errors import WriteConflictError
from forecache.serve.origin import Table
from tests.contracts.subjects import Subject, products, rows


def test_a_row_that_was_got_is_not_written_by_others_until_the_end(subject: Subject) -> None:
    """Four writers that read, add one and write lose no addition."""
    table = products(subject)
    subject.sql(f"INSERT INTO {table.name} VALUES (1, 'a', 0)")

    def add() -> None:
        origin = subject.make()
        for _ in range(15):
            with origin.transaction() as transaction:
                row = transaction.get(table, 1)
                transaction.update(table, 1, {"price": row["price"] + 1})
        origin.close()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(subject, table) == {1: ("a", 60)}


def test_of_transactions_that_conflict_one_is_rolled_back_and_says_so(subject: Subject) -> None:
    """Two that lock two rows in opposite orders; where there is one writer at a time, they follow each other."""
    table = products(subject)
    subject.sql(f"INSERT INTO {table.name} VALUES (1, 'a', 0), (2, 'b', 0)")
    both = threading.Barrier(2)
    ended: list[tuple[bool, int]] = []

    def write(first: int, second: int) -> None:
        origin = subject.make()
        transaction = origin.transaction()
        try:
            if subject.has_types:
                with transaction:
                    transaction.update(table, first, {"price": first})
                    both.wait(30)
                    transaction.update(table, second, {"price": first})
            else:
                both.wait(30)
                with transaction:
                    transaction.update(table, first, {"price": first})
                    transaction.update(table, second, {"price": first})
        except WriteConflictError:
            ended.append((False, len(transaction.changes)))
        else:
            ended.append((True, len(transaction.changes)))
        origin.close()

    threads = [threading.Thread(target=write, args=order) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ([(False, 0), (True, 2)] if subject.has_types else [(True, 2), (True, 2)])
    assert {price for _, price in rows(subject, table).values()} in ({1}, {2})


keys = st.integers(0, 4)
steps = st.one_of(
    st.tuples(st.just("put"), keys, st.integers(0, 9)),
    st.tuples(st.just("update"), keys, st.integers(0, 9)),
    st.tuples(st.just("move"), keys, keys),
    st.tuples(st.just("delete"), keys, st.none()),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(work=st.lists(st.tuples(st.lists(steps, max_size=6), st.booleans()), max_size=4))
def test_transactions_do_what_they_do_to_a_dict(subject: Subject, work: list[tuple[list[Any], bool]]) -> None:
    """And their changes are exactly the keys that were written, if they were committed."""
    table = subject.emptied("id BIGINT PRIMARY KEY, n BIGINT")
    model: dict[int, int] = {}
    for todo, fails in work:
        after, touched = dict(model), set()
        transaction = subject.origin.transaction()
        try:
            with transaction:
                for step, key, value in todo:
                    touched |= do(transaction, table, after, step, key, value)
                if fails:
                    raise InterruptedError
        except InterruptedError:
            assert transaction.changes == ()
        else:
            model = after
            assert {change.key for change in transaction.changes} == touched
        assert rows(subject, table) == {key: (n,) for key, n in sorted(model.items())}


def do(transaction: Any, table: Table, model: dict[int, int], step: str, key: int, value: int) -> set[int]:
    """The same to both; returns the keys that were written."""
    if step == "put":
        transaction.put(table, {"id": key, "n": value})
        model[key] = value
        return {key}
    if step == "move":
        if key not in model or value in model:  # else a constraint would end the transaction
            return set()
        assert transaction.update(table, key, {"id": value})
        model[value] = model.pop(key)
        return {key, value}
    there = key in model
    if step == "update":
        assert transaction.update(table, key, {"n": value}) is there
        model.update({key: value} if there else {})
    else:
        assert transaction.delete(table, key) is there
        model.pop(key, None)
    return {key} if there else set()
