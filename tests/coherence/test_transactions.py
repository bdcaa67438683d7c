"""Laws of the machine that puts records together: what a twin tells, and what it cannot know as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.coherence.changes import EVERY, Change, Commit, Message
from forecache.coherence.postgresql.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Deleted,
    End,
    Inserted,
    Logged,
    Record,
    Relation,
    Truncated,
    Updated,
)
from forecache.coherence.postgresql.transactions import PREFIX, SCHEMA_PREFIX, Followed, Transactions
from forecache.errors import ChangeLogError


def numbers(texts: Sequence[bytes]) -> tuple[int, ...] | int:
    found = tuple(map(int, texts))
    return found[0] if len(found) == 1 else found


PRODUCT = Followed("product", ("id",), numbers)
STOCK = Followed("stock", ("place", "product"), numbers)
OF = {1: [PRODUCT], 2: [STOCK], 3: [PRODUCT, STOCK], 4: []}
RELATIONS = [
    Relation(1, "public", "product", (Column("price", False, 23), Column("id", True, 23))),
    Relation(2, "public", "stock", (Column("product", True, 23), Column("place", True, 23))),
    Relation(3, "public", "both", (Column("product", True, 23), Column("place", True, 23), Column("id", True, 23))),
    Relation(4, "public", "other", ()),
]


def machine(most: int = 100_000) -> Transactions:
    made = Transactions(OF.__getitem__, 2**32 + 10, lambda content: ["product"] if content == b"1" else [], most)
    for relation in RELATIONS:
        assert made.feed(relation) is None
    return made


def told(made: Transactions, *records: Record) -> tuple[Change, ...]:
    made.feed(Begin(11))
    for record in records:
        assert made.feed(record) is None
    commit = made.feed(End(99))
    assert commit is None or isinstance(commit, Commit)
    return commit.changes if commit else ()


def test_a_commit_has_its_number_and_its_end() -> None:
    made = machine()
    made.feed(Begin(11))
    assert made.is_open
    made.feed(Inserted(1, [b"5", b"7"]))
    assert made.feed(End(99)) == Commit(2**32 + 11, 99, (Change("product", 7),))
    assert not made.is_open


def test_numbers_go_on_over_four_billion() -> None:
    made = Transactions(OF.__getitem__, 2**32 - 2)
    made.feed(RELATIONS[0])
    found = []
    for xid in (2**32 - 1, 3, 4):
        made.feed(Begin(xid))
        made.feed(Inserted(1, [b"5", b"7"]))
        commit = made.feed(End(1))
        assert isinstance(commit, Commit)
        found.append(commit.xid)
    assert found == [2**32 - 1, 2**32 + 3, 2**32 + 4]


def test_keys_are_in_the_order_of_the_table() -> None:
    assert told(machine(), Inserted(2, [b"5", b"7"])) == (Change("stock", (7, 5)),)
    assert told(machine(), Inserted(3, [b"5", b"7", b"9"])) == (Change("product", 9), Change("stock", (7, 5)))


def test_a_key_that_an_update_did_not_send_is_that_of_the_old_row() -> None:
    new = [b"1", UNCHANGED]
    assert told(machine(), Updated(1, [None, b"7"], new)) == (Change("product", 7),)
    assert told(machine(), Updated(1, None, new)) == (Change("product", EVERY),)


def test_a_key_that_is_not_there_is_any() -> None:
    made = machine()
    made.feed(Relation(1, "public", "product", (Column("price", False, 23),)))
    assert told(made, Inserted(1, [b"5"])) == (Change("product", EVERY),)
    assert told(machine(), Deleted(1, [b"5", None])) == (Change("product", EVERY),)


def test_many_keys_are_told_as_a_whole() -> None:
    rows = [Inserted(1, [None, b"%d" % number]) for number in range(5)]
    assert told(machine(most=4), *rows) == (Change("product", EVERY),)
    assert len(told(machine(most=5), *rows)) == 5


def test_a_changed_table_is_any_row_and_is_noticed() -> None:
    made = machine()
    assert told(made, Logged(True, 5, SCHEMA_PREFIX, b"2"), Logged(False, 5, SCHEMA_PREFIX, b"3")) == ()
    assert made.new_schemas == []
    assert told(made, Logged(True, 5, SCHEMA_PREFIX, b"1")) == (Change("product", EVERY),)
    assert made.new_schemas == [2**32 + 11]


def test_messages_are_told_at_once_and_only_ours() -> None:
    made = machine()
    assert made.feed(Logged(False, 5, PREFIX, b"x")) == Message(5, b"x")
    assert made.feed(Logged(False, 5, "another", b"x")) is None
    assert made.feed(Logged(True, 5, PREFIX, b"x")) is None


@pytest.mark.parametrize(
    "records",
    [
        [Inserted(1, [None, b"7"])],
        [End(1)],
        [Begin(1), Begin(2)],
        [Begin(1), Inserted(9, [b"7"])],
        [Begin(1), Truncated((9,))],
    ],
)
def test_what_cannot_come_now_is_refused(records: list[Record]) -> None:
    made = machine()
    with pytest.raises(ChangeLogError, match="out of order"):
        for record in records:
            made.feed(record)


KEYS = st.integers(0, 3)


@st.composite
def writes(draw: st.DrawFn) -> tuple[Record, set[Change]]:
    """A record, and what it says of `product`."""
    key, before = draw(KEYS), draw(KEYS)
    row, old = [None, b"%d" % key], [None, b"%d" % before]
    return draw(
        st.sampled_from(
            [
                (Inserted(1, row), {Change("product", key)}),
                (Deleted(1, row), {Change("product", key)}),
                (Updated(1, None, row), {Change("product", key)}),
                (Updated(1, old, row), {Change("product", key), Change("product", before)}),
                (Truncated((1,)), {Change("product", EVERY)}),
                (Inserted(4, []), set()),
            ]
        )
    )


@settings(deadline=None)
@given(st.lists(st.lists(writes(), max_size=6), max_size=4))
def test_it_tells_what_its_twin_tells(transactions: list[list[tuple[Record, set[Change]]]]) -> None:
    made = machine()
    for transaction in transactions:
        expected = set().union(*(changes for _, changes in transaction)) if transaction else set()
        if Change("product", EVERY) in expected:
            expected = {Change("product", EVERY)}
        found = told(made, *(record for record, _ in transaction))
        assert set(found) == expected
        assert len(found) == len(expected)
