"""`forecache doctor`: what it finds on real servers, what it mends, and how it exits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.notes_source import NotesSource
from forecache.errors import ConfigurationError, OriginUnavailableError
from forecache.show import doctor
from tests.coherence.following import Database, changes
from tests.servers import PostgreSQL

app = typer.Typer()
doctor.attach(app)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL(max_replication_slots="2", max_wal_senders="2") as started:
        yield started


@pytest.fixture
def database(server: PostgreSQL) -> Iterator[Database]:
    made = Database(server, LogSource)
    made.sql("CREATE TABLE product (id int PRIMARY KEY, price int)", "CREATE TABLE log (at int)")
    yield made
    made.drop_slots()
    settings = ("max_slot_wal_keep_size", "synchronous_standby_names", "restart_after_crash")
    made.sql(*(f"ALTER SYSTEM RESET {name}" for name in settings), "SELECT pg_reload_conf()")


def invoke(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--origin", database.url, *arguments])


def findings(database: Database, *arguments: str) -> dict[str, dict[str, Any]]:
    return {row["what"]: row for row in json.loads(invoke(database, "--json", *arguments).stdout)}


def test_what_is_missing_is_named_and_nothing_is_changed(database: Database) -> None:
    result = invoke(database, "--table", "product", "--table", "log", "--table", "absent")
    assert result.exit_code == 1
    for text in ("max_slot_wal_keep_size", "unbounded", "CREATE PUBLICATION", "no primary key", "no table 'absent'"):
        assert text in result.stdout
    assert database.sql("SELECT count(*) FROM pg_publication") == [(0,)]
    assert database.sql("SELECT count(*) FROM pg_event_trigger") == [(0,)]


def test_what_is_missing_is_made(database: Database) -> None:
    result = invoke(database, "--table", "product", "--fix")
    assert "ran CREATE PUBLICATION" in result.stderr
    found = findings(database, "--table", "product")
    assert {row["what"] for row in found.values() if row["state"] == "error"} == set()
    assert found["max_slot_wal_keep_size"]["found"] == "8GB"
    assert found["schema trigger"]["state"] == "ok"
    assert result.exit_code == 0
    with database.following("product", create=False) as following:
        database.sql("INSERT INTO product VALUES (1)")
        assert following.changes() == [changes("product", 1)]
        (slot,) = (row for what, row in findings(database).items() if what.startswith("slot "))
        assert slot["state"] == "ok"
    assert invoke(database, "--fix").exit_code == 0


def test_a_slot_of_another_kind_is_not_touched(database: Database) -> None:
    database.sql("SELECT pg_create_physical_replication_slot('theirs')")
    found = findings(database, "--slot", "theirs", "--fix")
    assert found["slot theirs"]["found"] == "physical, of no database"
    with pytest.raises(ConfigurationError, match="choose another name"):
        database.source(["product"], slot="theirs").open()
    database.sql("SELECT pg_drop_replication_slot('theirs')")


def test_roles_without_rights_are_told(database: Database) -> None:
    database.sql("CREATE ROLE clerk LOGIN")
    clerk = Database(database.server, LogSource, database.url.replace("postgres@", "clerk@"))
    result = invoke(clerk, "--table", "product", "--fix")
    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert findings(clerk)["role"]["advice"] == 'ALTER ROLE "clerk" REPLICATION'
    database.sql("DROP ROLE clerk")


def test_synchronous_mode_is_switched_on_and_off(database: Database) -> None:
    invoke(database, "--table", "product", "--fix")
    result = invoke(database, "--synchronous", "on")
    assert isinstance(result.exception, ConfigurationError)
    assert "nobody follows" in str(result.exception)
    with database.following("product", create=False, standby="forecache"):
        found = findings(database, "--synchronous", "on")
        assert (found["synchronous mode"]["state"], found["restart_after_crash"]["state"]) == ("ok", "warning")
    result = invoke(database)
    assert result.exit_code == 1
    assert "every commit of the server waits" in " ".join(result.stdout.split())
    assert findings(database, "--synchronous", "off")["synchronous mode"]["found"] == "off"


def test_triggers_are_made_where_the_log_cannot_be_read(database: Database) -> None:
    assert invoke(database, "--without-slot", "--table", "product").exit_code == 1
    assert invoke(database, "--without-slot", "--table", "product", "--fix").exit_code == 0
    found = findings(database, "--without-slot")
    assert found["triggers"]["found"] == "of product"
    assert "wal_level" not in found
    notes = Database(database.server, NotesSource, database.url)
    with notes.following("product", create=False) as following:
        database.sql("INSERT INTO product VALUES (1)")
        assert following.changes() == [changes("product", 1)]


def test_other_databases_are_refused() -> None:
    result = CliRunner().invoke(app, ["--origin", "sqlite:///shop.db"])
    assert isinstance(result.exception, ConfigurationError)
    result = CliRunner().invoke(app, ["--origin", "postgresql://127.0.0.1:1/shop"])
    assert isinstance(result.exception, OriginUnavailableError)
