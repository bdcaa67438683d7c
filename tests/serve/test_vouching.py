"""What a process says to a sequencer whose commits wait for it: at once, and without asking for the log."""

from __future__ import annotations

from forecache._core import Proof, now
from forecache.coherence.beacons.effects import Apply, Mark, Open
from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.shard import Entry
from forecache.coherence.changes import Change
from forecache.serve.tiers.beacons import command_of, entries_of
from forecache.serve.tiers.ears import Ear
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.serve.vouching import Vouching
from tests.servers import Valkey

EPOCH, ROW, OTHER = "a" * 32, Change("item", b"i1"), Change("item", b"i2")
SOON, PATIENCE = 0.5, 30.0


def test_a_row_that_is_held_is_told_at_once_unless_something_is_missing(valkey: Valkey) -> None:
    routes = ValkeyTier.connect(valkey.url, namespace="vouching").routes()
    layout, node = routes.layout(0), routes.node(0)
    lane, sequencer = routes.connect(node), routes.connect(node)
    ear = Ear(routes.connect(node), [layout.readers()])
    sequencer.ask([command_of(Open(0, EPOCH), layout)])
    reader, vouching, heard = Reader(), Vouching(routes, {"item": Proof()}), list[Entry]()
    lanes = {node: (lane, {0: reader.connected()})}

    def drop(_: int, epoch: str, entry: Entry) -> bool:
        heard.append(entry)
        reader.heard(epoch, entry)
        vouching.applied(0, [entry])
        return reader.contains(epoch, entry)

    def ask() -> None:
        known = vouching.ask(lane, [0], [reader])
        reading, entries = entries_of(lane.receive())
        reader.polled(1, now(), reading, entries, known=known)

    assert not vouching.hear(now() + PATIENCE, node.server, lanes, [reader], drop), "nobody reads strongly"
    assert not vouching.reaches("item", now())
    ask()
    assert vouching.hear(now(), node.server, lanes, [reader], drop)
    assert vouching.hear(now() + 0.01, node.server, lanes, [reader], drop), "it listens from now on"

    sequencer.ask([command_of(Mark(0, EPOCH, 1, (ROW,)), layout)])
    assert vouching.hear(now() + SOON, node.server, lanes, [reader], drop)
    assert heard == [Entry(1, (), (ROW,))]
    assert lane.waiting == 1, "it told, and asked for nothing"
    assert ear.wait(PATIENCE)
    (told,) = ear.heard()
    assert told[1].startswith(EPOCH.encode())
    assert told[1].endswith(b"|1")

    sequencer.ask([command_of(Apply(0, EPOCH, 2, (ROW,)), layout), command_of(Mark(0, EPOCH, 3, (ROW,)), layout)])
    began = now()
    assert vouching.hear(began + PATIENCE, node.server, lanes, [reader], drop)
    assert now() < began + PATIENCE, "what is missing is asked for at once"
    assert reader.position == 1
    ask()
    assert (reader.position, reader.held, lane.waiting) == (3, {ROW}, 0)

    ended = Entry(4, (ROW,))
    sequencer.ask([command_of(Apply(0, EPOCH, *ended), layout)])
    sequencer.ask([command_of(Mark(0, EPOCH, 5, (OTHER,), (ended,)), layout)])
    assert vouching.hear(now() + SOON, node.server, lanes, [reader], drop)
    assert (reader.position, reader.held) == (5, {OTHER}), "what came before it is told again"
    assert lane.waiting == 1, "so nothing is asked for"
    for each in (lane, sequencer, ear):
        each.close()
    vouching.close(node.server)
    routes.close()
