"""The service answers as its database does, whatever stands before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache import POLICIES, _core
from forecache.show.database import Database
from forecache.show.service import Service, front_of
from forecache.study.oracle import next_lookups

PRODUCTS = 12


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    Database.create(tmp_path / "shop.sqlite", PRODUCTS)
    with Database(tmp_path / "shop.sqlite") as opened:
        yield opened


def test_a_page_holds_what_five_tables_know_of_a_product(database: Database) -> None:
    page = json.loads(Service(database, front_of(None, 1, memoryview(b""), 0)).handle("GET /product/8"))
    assert (page["id"], page["name"], page["category"], page["brand"], page["country"]) == (
        8,
        "product 8",
        "category 9",
        "brand 137",
        "FR",
    )
    assert (page["price"], page["pieces"], page["reviews"], page["stars"]) == (63_452, 86, 4, 3.25)


def test_equal_numbers_of_products_give_equal_databases(tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        Database.create(tmp_path / name, PRODUCTS)
        with Database(tmp_path / name) as opened:
            pages.append([opened.load(product) for product in range(PRODUCTS + 2)])
    assert pages[0] == pages[1]
    assert [page is None for page in pages[0]] == [True, *[False] * PRODUCTS, True]


@pytest.mark.parametrize("policy", [None, *POLICIES])
def test_after_a_write_nobody_reads_the_old_price(database: Database, policy: str | None) -> None:
    service = Service(database, front_of(policy, 4, memoryview(b""), 0))
    for price in (1, 1999, 2):
        service.handle("GET /product/3")
        assert json.loads(service.handle(f"PUT /product/3 price={price}")) == {"id": 3, "price": price}
        assert json.loads(service.handle("GET /product/3"))["price"] == price


def test_a_read_that_hits_asks_the_database_nothing(database: Database) -> None:
    service = Service(database, front_of("lru", 4, memoryview(b""), 0))
    answers = [service.handle("GET /product/5") for _ in range(3)]
    assert database.queries == 1
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    "request_",
    ["", "GET", "GET /product/", "GET /product/x", "GET /product/1 price=2", "PUT /product/1", "DELETE /product/1"],
)
def test_what_is_no_request_is_told_what_is(database: Database, request_: str) -> None:
    answer = json.loads(Service(database, front_of("lru", 4, memoryview(b""), 0)).handle(request_))
    assert answer["error"].endswith("expected GET /product/7, or PUT /product/7 price=1999 in cents")


def test_what_is_no_product_is_said_to_be_none(database: Database) -> None:
    answer = json.loads(Service(database, front_of("lru", 4, memoryview(b""), 0)).handle("GET /product/99"))
    assert answer == {"error": "there is no product 99"}


requests = st.lists(st.tuples(st.integers(1, PRODUCTS), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests, st.integers(1, 5))
def test_any_policy_gives_the_answers_of_the_database(
    tmp_path: Path, stream: list[tuple[int, bool]], capacity: int
) -> None:
    key, written = (np.array(column) for column in zip(*stream, strict=True))
    oracle = next_lookups(key.astype(np.uint64), written).data
    path = tmp_path / "shop.sqlite"
    if not path.exists():
        Database.create(path, PRODUCTS)
    sent = [
        f"PUT /product/{product} price={at + 1}" if is_write else f"GET /product/{product}"
        for at, (product, is_write) in enumerate(stream)
    ]
    answers = {}
    for policy in (None, *POLICIES, *_core.OFFLINE_POLICIES):
        with Database(path) as database:
            for product in range(1, PRODUCTS + 1):
                database.set_price(product, 100_000)
            service = Service(database, front_of(policy, capacity, oracle, 0))
            answers[policy] = [service.handle(request) for request in sent]
    assert all(given == answers[None] for given in answers.values())
