"""The fake Valkey of the simulation answers as a real one does, to any sequence of the scripts that it knows."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import valkey as client

from forecache.coherence.beacons.tables import named, record_of
from forecache.serve.tier import Place
from forecache.serve.tiers.beacons import (
    APPLY,
    BEACON_SCRIPTS,
    BEGIN,
    DISTRUST,
    END,
    EXPEL,
    MARK,
    OPEN,
    ROLL,
    Asker,
    poll,
    tell,
)
from forecache.serve.tiers.layout import FILL, READ, RELEASE, SCRIPTS, Layout
from tests.servers import Valkey
from tests.simulation.valkey import FakeValkey

LONG = 1_000_000  # milliseconds, of which none pass in a test
COMMANDS = 400


def a_command(chance: Random, layout: Layout, epochs: list[str], fills: list[bytes], number: int) -> tuple[Any, ...]:
    """Any command that is known, often of a state or a lease that is there."""
    meta, log, readers = layout.meta(), layout.log(), layout.readers()
    keys = [layout.place(Place("t", name)) for name in (b"a", b"b")]
    epoch, lease = chance.choice(epochs), chance.choice(fills or [b"none"])
    ended = chance.sample([*keys, layout.epoch("t")], chance.randrange(3))
    token, value = f"{chance.getrandbits(128):032x}", b"V|" + lease[2:34] + b"|%016x|payload" % chance.randrange(5)
    reads = layout.read("t", chance.sample([b"a", b"b"], 2), token=token, lease=1000, since=chance.randrange(5))
    record = record_of(chance.randrange(6), chance.randrange(4), named(chance.sample(["t", "u|,*"], 1)))
    commands = [
        (1, OPEN.command([meta, log, readers], [token])),
        (6, APPLY.command([meta, log, *ended], [epochs[-1], number, b"entry", b"held", 100_000])),
        (1, APPLY.command([meta, log, *ended], [epoch, number + chance.randrange(2), b"entry", b"", 100_000])),
        (2, MARK.command([meta, log, readers], [epochs[-1], number, b"held", 100_000, b"said"])),
        (1, MARK.command([meta, log, readers], [epoch, number + chance.randrange(2), b"held", 100_000, b""])),
        (1, ROLL.command([meta, readers], [epoch])),
        (1, EXPEL.command([meta, readers], [epoch, "left", record, "right", "9|9|*"])),
        (1, tell(layout, epoch, "left", 1)),
        (3, BEGIN.command([meta, readers], [epoch])),
        (3, END.command([meta], [epoch, chance.randrange(9), chance.randrange(99), 300, chance.randrange(9)])),
        (4, FILL.command([chance.choice(keys)], [lease, value, LONG])),
        (4, poll(layout, chance.randrange(6), most=chance.choice([1, 3, 1000]))),
        (2, poll(layout, chance.randrange(6), Asker(chance.choice(["left", "right"]), record, chance.choice(epochs)))),
        (1, DISTRUST.command([meta], [epoch])),
        (1, RELEASE.command(keys, [lease, chance.choice(fills or [b"none"])])),
        (8, reads),
    ]
    return chance.choices([command for _, command in commands], [weight for weight, _ in commands])[0]


def without_time(answer: Any) -> Any:
    """What is left of a time to live is not compared; all in a test are long."""
    if isinstance(answer, list):
        return [without_time(each) for each in answer]
    return "long" if isinstance(answer, int) and answer > LONG // 2 else answer


@pytest.mark.parametrize("seed", range(10))
def test_it_answers_as_a_real_one(seed: int, valkey: Valkey) -> None:
    chance = Random(seed)
    with client.from_url(valkey.url) as real:
        real.flushall()
        for script in (*BEACON_SCRIPTS, *SCRIPTS.values()):
            real.script_load(script.text)
        fake = FakeValkey(real.info("replication")["master_replid"])
        epochs, fills, number = ["0" * 32], [], 1
        for _ in range(COMMANDS):
            command = a_command(chance, Layout("n", 0), epochs, fills, number)
            expected, found = real.execute_command(*command), fake.run(command, 0.0)
            assert without_time(found) == without_time(expected), command
            if command[1] == OPEN.hash:
                number = 1
                epochs.append(command[-1])
            elif (command[1] == APPLY.hash and expected == 1) or (
                command[1] == MARK.hash and isinstance(expected, list)
            ):
                number += 1
            elif command[1] == READ.hash and 0 in expected[3:]:
                fills.append(b"L|" + expected[0] + b"|" + command[-3].encode())
                del fills[:-4]
