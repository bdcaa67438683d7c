"""Rounds of a sequencer: what a sample saw is known before its message is told, and nobody waits for that."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterator

import pytest

from forecache.coherence.beacons.effects import Sample
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import Change, Commit, Identity, Message, Snapshot
from forecache.serve.leading import Leading
from forecache.serve.tiers.lanes import Lanes
from forecache.serve.tiers.valkey import ValkeyTier
from tests.contracts.tiers import until
from tests.servers import Valkey

PATIENCE_ROUNDS = 2_000


class Slow:
    """A database whose log is quicker than its answers, which come when the test says so."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        self.log: list[Commit | Message] = []
        self.asked: list[bytes | None] = []
        self.answer: Snapshot | None = None
        self.acknowledged: list[int] = []
        self.is_open = True

    def fileno(self) -> int:
        return self.reads

    def poll(self, _: float) -> list[Commit | Message]:
        log, self.log = self.log, []
        return log

    def acknowledge(self, position: int) -> None:
        self.acknowledged.append(position)

    def begin(self, message: bytes | None = None) -> None:
        self.asked.append(message)

    def ended(self) -> Snapshot | None:
        answer, self.answer = self.answer, None
        return answer


@pytest.fixture
def source() -> Iterator[Slow]:
    made = Slow()
    yield made
    os.close(made.reads)
    os.close(made.writes)


def test_a_message_waits_for_its_sample_and_what_came_before_it_does_not(source: Slow, valkey: Valkey) -> None:
    tier = ValkeyTier.connect(valkey.url, namespace=secrets.token_hex(4))
    routes = tier.routes()
    machine = Sequencer(1, lambda _: 0, name="m", new_epoch=lambda: secrets.token_hex(16))
    with Lanes(routes) as lanes:
        leading = Leading(machine, source, lanes, past="")  # type: ignore[arg-type]
        leading.looks = source  # type: ignore[assignment]
        leading.carry_out([*machine.source_opened(Identity(1, 1, "now", "slot")), *machine.start()])
        rounds = iter(range(PATIENCE_ROUNDS))
        while not source.asked and next(rounds) is not None:
            leading.step(list)
        (content,) = source.asked
        assert content is not None
        row = Change("t", b"1")
        source.log = [Commit(5, 50, (row,)), Message(60, content), Commit(6, 70, (row,))]
        for _ in range(5):
            leading.step(list)
        assert machine.backlog == 1  # the first of them, which is not visible
        source.answer = Snapshot(7, 7, frozenset())  # sees both
        while source.acknowledged[-1:] != [70] and next(rounds) is not None:
            leading.step(list)
    routes.close()


def test_one_is_asked_after_the_other(source: Slow, valkey: Valkey) -> None:
    routes = ValkeyTier.connect(valkey.url).routes()
    machine = Sequencer(1, lambda _: 0, name="m", new_epoch=lambda: secrets.token_hex(16))
    with Lanes(routes) as lanes:
        leading = Leading(machine, source, lanes, past="")  # type: ignore[arg-type]
        leading.looks = source  # type: ignore[assignment]
        leading.carry_out([Sample(b"one"), Sample(b"two"), Sample(b"three")])
        assert source.asked == [b"one"]
        for asked in ([b"one", b"two"], [b"one", b"two", b"three"]):
            source.answer = Snapshot(7, 7, frozenset())
            leading.step(list)
            assert source.asked == asked
    routes.close()


def test_a_tier_that_fails_is_told_once_and_that_it_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "forecache")
    with Valkey() as server:
        routes = ValkeyTier.connect(server.url).routes()
        server.kill()
        with Lanes(routes) as lanes:
            lanes.connect(0)
            assert until(lambda: list(lanes.connected()) or "nothing is proven there" in caplog.text)
            time.sleep(0.3)  # three more attempts
            assert list(lanes.connected()) == []
            server.start()
            assert until(lambda: list(lanes.connected()))
            lanes.send(0, ("PING",))
            lanes.flush()
            assert until(lambda: list(lanes.answers())) == [(0, b"PONG")]
        routes.close()
    told = [record.getMessage() for record in caplog.records]
    assert [text.partition(",")[0] for text in told] == [
        f"the shared tier at 127.0.0.1:{server.port} fails",
        f"the shared tier at 127.0.0.1:{server.port} answers again",
    ]
    assert "refused" in told[0]
