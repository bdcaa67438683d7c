"""What can be seen is asked, and not waited for: other questions come after it, and an answer must come in time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from forecache.coherence.changes import Message, Snapshot
from forecache.coherence.postgresql.asking import Asking
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.looks import Looks
from forecache.errors import OriginUnavailableError
from tests.coherence.following import PATIENCE, Database
from tests.servers import PostgreSQL


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with PostgreSQL() as server:
        made = Database(server, LogSource)
        made.sql("CREATE TABLE product (id int PRIMARY KEY)")
        yield made


def answered(looks: Looks) -> Snapshot:
    """The answer, when it is there."""
    deadline = time.monotonic() + PATIENCE
    while (found := looks.ended()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return found


def test_what_is_told_by_a_sample_comes_after_it(database: Database) -> None:
    with database.following("product") as following:
        looks = following.source.looks
        looks.begin()
        first = answered(looks)
        looks.begin(b"told \xff")  # which is no text
        second = answered(looks)
        assert second.xmin >= first.xmin
        assert not second.waits
        following.until(lambda item: isinstance(item, Message) and item.content == b"told \xff")


def test_other_questions_wait_until_it_is_answered(database: Database) -> None:
    with database.following("product") as following:
        following.source.looks.begin()
        assert following.source.snapshot().xmax > 0
        assert not following.source.looks.is_open
        assert following.source.sample(b"next").xmax > 0
        assert following.source.looks.ended() is None  # nobody waits for the first one any more


def test_an_answer_that_does_not_come_in_time_is_an_error(database: Database) -> None:
    slow = "SELECT pg_current_snapshot()::text FROM pg_sleep(20)"
    parameters = psycopg.conninfo.conninfo_to_dict(database.server.url)
    asking = Asking.to("a database", parameters, 0.2)
    looks = Looks("a database", asking, slow, "SELECT pg_current_snapshot()::text, $1", None)
    looks.begin()
    assert looks.ended() is None
    with pytest.raises(OriginUnavailableError, match="no answer within 0.2 seconds"):
        looks.finish()
    asking.close()


def test_what_the_server_refuses_is_an_error(database: Database) -> None:
    parameters = psycopg.conninfo.conninfo_to_dict(database.server.url)
    asking = Asking.to("a database", parameters, PATIENCE)
    looks = Looks("a database", asking, "SELECT (1 / 0)::text", "SELECT pg_current_snapshot()::text, $1", None)
    with pytest.raises(OriginUnavailableError, match="division by zero"):
        looks.ask()
    asking.close()
