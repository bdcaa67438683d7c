"""Tokens across a failover that lost nothing: they hold, if anybody can tell, and are refused if nobody can."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest

import forecache
from forecache.coherence.postgresql.notes_source import NotesSource
from forecache.coherence.token import Token
from forecache.errors import OriginUnavailableError, SessionLostError
from forecache.serve import heirs
from forecache.serve.tiers.valkey import ValkeyTier
from tests.contracts.tiers import until
from tests.serve.sites import running
from tests.serve.standby import Pair

MODEST = "CREATE ROLE modest LOGIN; GRANT SELECT, UPDATE ON item TO modest"


@pytest.fixture(name="pair")
def pair_with_roles(pair: Pair) -> Pair:
    pair.ask(pair.primary, MODEST)
    return pair


def opened(pair: Pair, stack: ExitStack, role: str = "postgres", *, shared: bool = False) -> forecache.Database:
    settings = {"shared": pair.valkey.url} if shared else {}
    url = pair.url.replace("postgres@", f"{role}@")
    return stack.enter_context(forecache.open(url, ["item"], timeout="5s", **settings))  # type: ignore[arg-type]


def version_after(database: forecache.Database, token: str, level: str = "session") -> int | None:
    """What a session gets; None while the database cannot be asked."""
    try:
        version: int = database["item"].get(1, level=level, after=token)["version"]
    except OriginUnavailableError:
        return None
    return version


@pytest.mark.parametrize("level", ["session", "strong", "eventual"])
def test_a_role_that_may_replicate_finds_out_by_itself(pair: Pair, level: str) -> None:
    with ExitStack() as stack:
        database = opened(pair, stack)
        database["item"].update(1, {"version": 7})
        token = database.token()
        pair.lags()
        pair.ask(pair.primary, "UPDATE item SET version = 8 WHERE id = 1")
        lost = database.token()
        pair.fails_over()
        assert until(lambda: version_after(database, token, level) == 7)
        found = database["item"].get_many([1, 2], level="snapshot", after=token)
        assert found[1]["version"] == 7
        with pytest.raises(
            SessionLostError, match="began without all that was logged by then.* Read without the token"
        ):
            version_after(database, lost, level)
        with pytest.raises(SessionLostError, match="does not say how far the log was"):
            version_after(database, str(Token.parse(token)._replace(position=None)), level)


async def test_tasks_find_it_out_as_well(pair: Pair) -> None:
    async with await forecache.aopen(pair.url, ["item"], timeout="5s") as database:
        await database["item"].aupdate(1, {"version": 7})
        token = await database.atoken()
        pair.lags()
        await database["item"].aupdate(1, {"version": 8})
        lost = await database.atoken()
        pair.fails_over()
        for _ in range(200):
            try:
                assert (await database["item"].aget(1, after=token, level="session"))["version"] == 7
                break
            except OriginUnavailableError:
                continue
        with pytest.raises(SessionLostError):
            await database["item"].aget(1, after=lost, level="session")


@pytest.mark.parametrize("source", [None, NotesSource], ids=["log", "notes"])
def test_a_sequencer_tells_whoever_may_not_ask_and_copies_answer_again(
    pair: Pair, source: type[NotesSource] | None
) -> None:
    with ExitStack() as stack:
        sources = [source] if source else []
        stack.enter_context(running(pair.url, pair.valkey.url, *sources))
        database, other = (opened(pair, stack, "modest", shared=True) for _ in range(2))
        database["item"].update(1, {"version": 7})
        token = database.token()
        assert until(lambda: other._watch.contains(Token.parse(token)))
        assert version_after(other, token) == 7
        pair.lags()
        database["item"].update(1, {"version": 8})
        lost = database.token()
        pair.fails_over()
        known = other._path.heirs
        assert until(lambda: version_after(other, token) == 7 and len(known.of(Token.parse(token))) > 1)
        (heir,) = known.of(Token.parse(token))[1:]
        assert heir.past == Token.parse(database.token()).past
        assert until(lambda: other._watch.contains(heir))
        assert version_after(other, token) == 7
        answer = other["item"].get(1, level="session", after=token, with_certificate=True)
        assert (answer.row["version"], answer.certificate.tier) == (7, "process")
        with pytest.raises(SessionLostError):
            version_after(other, lost)


def test_where_nobody_tells_a_token_is_refused_and_the_error_says_why(pair: Pair) -> None:
    with ExitStack() as stack:
        database = opened(pair, stack, "modest")
        token = database.token()
        pair.lags()
        pair.fails_over()
        denied = "(permission|replication role)"  # as versions of PostgreSQL say it
        with pytest.raises(SessionLostError, match=rf"is not known \(.*{denied}.*\); a sequencer, or a role"):
            until(lambda: version_after(database, token) == "never")
        pair.ask(pair.standby, "ALTER ROLE modest REPLICATION")
        path = database._path

        def is_told() -> bool:
            try:
                return version_after(database, token) == 0
            except SessionLostError:
                return False

        assert until(is_told), path.heirs._refused


def test_a_sequencer_that_still_follows_the_old_primary_is_waited_for_and_not_for_ever(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heirs, "PATIENCE_SECONDS", 0.3)
    with ExitStack() as stack:
        with running(pair.primary.url, pair.valkey.url):
            database = opened(pair, stack, "modest", shared=True)
            assert until(lambda: database._watch.proves)
        token = database.token()
        pair.lags()
        pair.fails_over()
        with pytest.raises(SessionLostError, match="is not known"):
            until(lambda: version_after(database, token) == "never")
        with running(pair.standby.url, pair.valkey.url):
            assert until(lambda: len(told(pair)) == 1 and told(pair)[0].partition("\n")[2] != "")
            assert version_after(database, token) == 0


def told(pair: Pair) -> list[str]:
    """What sequencers say of the past that they follow."""
    tier = ValkeyTier.connect(pair.valkey.url)
    try:
        return tier.pasts()
    finally:
        tier.close()


def test_what_a_sequencer_tells_is_the_history_of_its_timeline(pair: Pair) -> None:
    with running(pair.primary.url, pair.valkey.url):
        assert until(lambda: told(pair) != [])
        first = told(pair)[0]
        assert first.endswith("-1\n"), "the first timeline has none"
    pair.keeps_up()
    pair.primary.kill()
    pair.standby.promote()
    with running(pair.standby.url, pair.valkey.url):
        assert until(lambda: told(pair) != [first])
        past, _, history = told(pair)[0].partition("\n")
    with psycopg.connect(pair.standby.url) as connection:
        file = connection.execute("SELECT pg_read_file('pg_wal/00000002.history')").fetchone()
    assert past == first.replace("-1\n", "-2")
    assert (history,) == file
