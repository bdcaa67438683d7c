"""The scripts of beacons on a real server: they do what the protocol's own model of a shard does."""

from __future__ import annotations

import valkey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache.coherence.beacons.effects import FENCED, GONE, Apply, Begin, Effect, End, Mark, Open, Roll
from forecache.coherence.beacons.tables import ALL, Record, record_of
from forecache.coherence.changes import EVERY, Change
from forecache.serve.tier import Fill, Lease, Value
from forecache.serve.tiers.beacons import (
    BEACON_SCRIPTS,
    Asker,
    answer_of,
    command_of,
    distrust,
    entries_of,
    poll,
)
from forecache.serve.tiers.lane import Lane
from forecache.serve.tiers.layout import Layout
from tests.coherence.actors import Server
from tests.serve.tiers.asking import HOUR, KEY, Tiers, fill, look
from tests.servers import Valkey

EPOCHS = ("a" * 32, "b" * 32)
epochs = st.sampled_from(EPOCHS)
numbers, held = st.integers(0, 300), st.sampled_from([(), (Change("t", b"i1"),), (Change("t", EVERY),)])
effects = st.lists(
    st.one_of(
        st.builds(Open, st.just(0), epochs),
        st.builds(Begin, st.just(0), epochs),
        st.builds(End, st.just(0), epochs, st.integers(0, 9), st.integers(0, 2**40), numbers, numbers),
        st.builds(Apply, st.just(0), epochs, st.just(0), st.just((Change("t", b"i1"),)), held),
        st.builds(Mark, st.just(0), epochs, st.just(0), held, st.just(())),
        st.builds(Roll, st.just(0), epochs),
        st.none(),
    ),
    max_size=12,
)


def lane(server: Valkey) -> Lane:
    return Lane(valkey.Connection(port=server.port, socket_timeout=5), BEACON_SCRIPTS)


@given(effects)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_server_does_what_the_model_of_a_shard_does(server: Valkey, wanted: list[Effect | None]) -> None:
    model, layout, real = Server(), Layout("model", 0), lane(server)
    real.ask([("FLUSHALL",)])
    for each in wanted:
        if each is None:  # somebody distrusts the first epoch
            [gone] = real.ask([distrust(layout, EPOCHS[0])])
            assert gone == int(model.meta is not None and model.meta.epoch == EPOCHS[0])
            model.meta = None if gone else model.meta
            continue
        number = 1 if model.meta is None else model.meta.last + 1
        effect = each._replace(number=number) if isinstance(each, (Apply, Mark)) else each
        assert real.ask([command_of(effect, layout)]) == [model.run(effect)]
        [answer] = real.ask([poll(layout, 0)])
        reading, entries = entries_of(answer)
        assert reading.meta == model.meta
        assert model.meta is None or entries == model.log
    real.close()


def test_an_entry_out_of_turn_is_refused_and_ends_nothing(server: Valkey, connect: Tiers) -> None:
    tier, real, layout = connect(server.url), lane(server), Layout("forecache", 0)
    assert real.ask([command_of(Open(0, EPOCHS[0]), layout)]) == [1]
    fill(tier)
    assert real.ask([command_of(Apply(0, EPOCHS[0], 2, (Change("t", KEY),)), layout)]) == [GONE]
    assert real.ask([command_of(Apply(0, EPOCHS[1], 1, (Change("t", KEY),)), layout)]) == [FENCED]
    assert isinstance(look(tier), Value)


def test_a_position_counts_in_the_epoch_whose_log_it_is_of(server: Valkey) -> None:
    real, layout = lane(server), Layout("positions", 0)
    for epoch, known in ((EPOCHS[0], [1, 0]), (EPOCHS[1], [0, 1])):
        real.ask([command_of(Open(0, epoch), layout)])
        asked = [poll(layout, 7, Asker("somebody", record_of(7, 1, ALL), mine)) for mine in EPOCHS[:2]]
        assert [answer[3] for answer in real.ask(asked)] == known
    real.ask(
        [command_of(Open(0, EPOCHS[0]), layout), poll(layout, 7, Asker("somebody", record_of(7, 1, ALL), EPOCHS[1]))]
    )
    [marked] = real.ask([command_of(Mark(0, EPOCHS[0], 1, (Change("t", KEY),)), layout)])
    assert answer_of(marked) == (1, {}), "a process at entry 7 of another log has not applied this one"


def test_a_request_that_comes_late_takes_no_table_back(server: Valkey) -> None:
    real, layout = lane(server), Layout("late", 0)
    real.ask([command_of(Open(0, EPOCHS[0]), layout)])
    for request, tables, is_known in ((2, {"t", "|,*"}, 1), (1, {"t"}, 0), (3, {"t", "|,*"}, 1)):
        asker = Asker("somebody", record_of(7, request, frozenset(tables)), EPOCHS[0])
        assert real.ask([poll(layout, 7, asker)])[0][3] == is_known
        [(_, readers)] = map(answer_of, real.ask([command_of(Roll(0, EPOCHS[0]), layout)]))
        assert Record.parse(readers["somebody"]) == Record(7, frozenset({"t", "|,*"}))


def test_an_entry_ends_values_and_leases_and_an_epoch_ends_all(server: Valkey, connect: Tiers) -> None:
    tier, real, layout = connect(server.url), lane(server), Layout("forecache", 0)
    real.ask([command_of(Open(0, EPOCHS[0]), layout)])
    fill(tier)
    fill(tier, key=b"i2")
    lease = look(tier, b"i3")
    assert isinstance(lease, Lease)
    real.ask([command_of(Apply(0, EPOCHS[0], 1, (Change("t", KEY), Change("t", b"i3"))), layout)])
    assert isinstance(look(tier), Lease)
    assert tier.fill([Fill(lease, b"read before", HOUR)]) == [False]
    assert isinstance(look(tier, b"i2"), Value)
    real.ask([command_of(Apply(0, EPOCHS[0], 2, (Change("t", EVERY),)), layout)])
    assert isinstance(look(tier, b"i2"), Lease)
    fill(tier, key=b"i4")
    real.ask([command_of(Open(0, EPOCHS[1]), layout)])
    assert isinstance(look(tier, b"i4"), Lease)


def test_an_epoch_says_of_which_past_it_is_if_the_sequencer_does(server: Valkey, connect: Tiers) -> None:
    tier, real, layout = connect(server.url), lane(server), Layout("forecache", 0)
    real.ask([command_of(Open(0, EPOCHS[0]), layout)])
    assert tier.pasts() == []
    for number, past in enumerate(("9-2\n1\t0/3000000\twhy\n", "9-1\n")):
        real.ask([command_of(Open(0, EPOCHS[number]), layout, past)])
        assert tier.pasts() == [past]


def test_values_come_with_the_state_of_their_shard(server: Valkey, connect: Tiers) -> None:
    tier, real, layout = connect(server.url), lane(server), Layout("forecache", 0)
    fill(tier)
    found = look(tier)
    assert isinstance(found, Value)
    assert found.reading is not None
    assert found.reading.meta is None
    real.ask([command_of(each, layout) for each in (Open(0, EPOCHS[0]), Begin(0, EPOCHS[0]), End(0, EPOCHS[0], 1, 77))])
    fill(tier, key=b"i2")
    found = look(tier, b"i2")
    assert isinstance(found, Value)
    assert found.reading is not None
    assert found.reading.meta == (EPOCHS[0], 1, 1, 77, 0, 0, 0)
