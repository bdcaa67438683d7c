"""Every origin that can be written, as the parameter `subject`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import NullPool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

from forecache.serve.origins.alchemy import AlchemyOrigin
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


def alchemy_sqlite(*, tasks: bool) -> Make:
    def make(directories: pytest.TempPathFactory, _: PostgreSQL) -> Subject:
        path = str(directories.mktemp("sqlite") / "alchemy.db")
        engine = create_engine(f"sqlite:///{path}")
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        subject = SqliteSubject(path, lambda: AlchemyOrigin(engine), tasks=tasks)
        return behind_engine(subject, engine.dispose)

    return make


def alchemy_postgresql(*, tasks: bool) -> Make:
    def make(_: pytest.TempPathFactory, server: PostgreSQL) -> Subject:
        url = server.database()
        form = url.replace("postgresql://", "postgresql+psycopg://")
        if tasks:
            tasked = create_async_engine(form, poolclass=NullPool)
            subject, dispose = (
                PostgresqlSubject(url, lambda: AlchemyOrigin(tasked), tasks=True),
                tasked.sync_engine.dispose,
            )
        else:
            engine = create_engine(form)
            subject, dispose = PostgresqlSubject(url, lambda: AlchemyOrigin(engine), tasks=False), engine.dispose
        subject.casts_keys = False
        return behind_engine(subject, dispose)

    return make


def behind_engine(subject: Subject, dispose: Callable[[], None]) -> Subject:
    """SQLAlchemy numbers no changes, and asks for columns by name."""
    subject.numbers_changes = subject.notices_new_columns = False
    subject.dispose = dispose
    return subject


SUBJECTS = {
    "sqlite": sqlite(tasks=False),
    "sqlite-tasks": sqlite(tasks=True),
    "postgresql": postgresql(tasks=False),
    "postgresql-tasks": postgresql(tasks=True),
    "alchemy-sqlite": alchemy_sqlite(tasks=False),
    "alchemy-sqlite-tasks": alchemy_sqlite(tasks=True),
    "alchemy-postgresql": alchemy_postgresql(tasks=False),
    "alchemy-postgresql-tasks": alchemy_postgresql(tasks=True),
}


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL
) -> Iterator[Subject]:
    made = SUBJECTS[request.param](tmp_path_factory, postgresql)
    yield made
    made.close()
    made.dispose()
