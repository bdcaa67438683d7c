"""Every origin that can be written, as the parameter `subject`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from forecache.serve.origins.postgresql import PostgresqlOrigin
from forecache.serve.origins.sqlite import SqliteOrigin
from tests.contracts.subjects import PostgresqlSubject, SqliteSubject, Subject
from tests.servers import PostgreSQL

Make = Callable[[pytest.TempPathFactory, PostgreSQL], Subject]


def sqlite(*, tasks: bool) -> Make:
    def make(directories: pytest.TempPathFactory, _: PostgreSQL) -> Subject:
        path = str(directories.mktemp("sqlite") / "a b%20#?.db")
        return SqliteSubject(path, lambda: SqliteOrigin(path), tasks=tasks)

    return make


def postgresql(*, tasks: bool) -> Make:
    def make(_: pytest.TempPathFactory, server: PostgreSQL) -> Subject:
        url = server.database()
        return PostgresqlSubject(url, lambda: PostgresqlOrigin(url), tasks=tasks)

    return make


SUBJECTS = {
    "sqlite": sqlite(tasks=False),
    "sqlite-tasks": sqlite(tasks=True),
    "postgresql": postgresql(tasks=False),
    "postgresql-tasks": postgresql(tasks=True),
}


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL
) -> Iterator[Subject]:
    made = SUBJECTS[request.param](tmp_path_factory, postgresql)
    yield made
    made.close()
