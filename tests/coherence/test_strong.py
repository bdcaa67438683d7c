"""Strong answers from copies of this process, while programs that know nothing of caches write, and anything fails."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import forecache
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.show.commands import app
from tests.coherence.strong import Observed, Setting, answers_here, until
from tests.servers import PostgreSQL, Valkey

AWHILE = 1.0  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as started:
        yield started


@pytest.fixture
def setting(server: PostgreSQL) -> Iterator[Setting]:
    with Valkey() as valkey, Setting(server, valkey) as made:
        yield made


def test_copies_answer_strongly_and_nobody_reads_what_was_before_a_commit(setting: Setting) -> None:
    candidates = [setting.candidate() for _ in range(2)]
    databases = [setting.open() for _ in range(2)]
    with setting.waiting():
        until(lambda: all(map(answers_here, databases)))
        with Observed(setting, databases) as observed:
            time.sleep(AWHILE)
            candidates[0].kill()
            until(lambda: setting.followers() == 1)
            time.sleep(AWHILE)
            candidates[1].pause()
            candidates[0].start()
            time.sleep(AWHILE)
            candidates[1].resume()
            until(lambda: all(map(answers_here, databases)))
            time.sleep(AWHILE)
            setting.valkey.kill()
            setting.valkey.start()
            until(lambda: all(map(answers_here, databases)))
    assert not observed.violations, observed.violations[:3]
    assert observed.writes > 100
    assert observed.here > 100


def test_whoever_asks_for_more_than_usual_is_answered_here_too(setting: Setting) -> None:
    setting.candidate()
    tier = ValkeyTier.connect(setting.valkey.url)
    with setting.waiting(), forecache.open(setting.url, ["item"], shared=tier, level="bounded(1s)") as database:
        rows = database["item"]
        until(lambda: rows.get(1, level="strong", with_certificate=True).certificate.tier == "process")
        before, row = rows.hits, rows.get(1, level="strong")
        assert (rows.hits, row) == (before + 1, {"id": 1, "version": 0})
        assert rows.get(1, level="snapshot", with_certificate=True).certificate.tier == "database"


def test_what_another_standby_holds_back_is_nowhere_seen(setting: Setting) -> None:
    setting.candidate()
    databases = [setting.open() for _ in range(2)]
    with setting.slow_standby("slow", 0.05), setting.waiting("FIRST 2 (slow, forecache)"):
        until(lambda: all(map(answers_here, databases)))
        with Observed(setting, databases) as observed:
            time.sleep(2 * AWHILE)
    assert not observed.violations, observed.violations[:3]
    assert observed.writes > 10
    assert observed.here > 10


def test_an_operator_switches_back(setting: Setting) -> None:
    setting.candidate()
    databases = [setting.open()]
    until(lambda: setting.followers() == 1)
    switch = ["doctor", "--origin", setting.url, "--table", "item", "--synchronous"]
    CliRunner().invoke(app, [*switch, "on"])
    until(lambda: answers_here(databases[0]))
    with Observed(setting, databases) as observed:
        time.sleep(AWHILE)
        CliRunner().invoke(app, [*switch, "off"])
        assert setting.ask("SHOW synchronous_standby_names") == [("",)]
        before = observed.here
        time.sleep(AWHILE)
    assert not observed.violations, observed.violations[:3]
    assert observed.here == before > 0
    assert not answers_here(databases[0])
