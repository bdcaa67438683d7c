"""Fuzzing of what comes from outside: stored payloads, key names, logs. `python -m tests.fuzz --inputs 10000000`.

Five kinds of input take turns, each made from valid ones by mutation:

- damaged: any bytes of a payload changed; it must be unreadable, or the very row it was;
- forged: the body changed and its checksum made right again; it must be unreadable, or a row of the right shape;
- keys: two keys; they must have one name if they are the same, and two otherwise;
- names: any bytes of a name changed; it must be no name, or that of a key which comes back by its own name;
- log: a message of a replication stream changed; it must be refused, or a record.

An input that raises, takes over a second, or gives a wrong value ends the run with its seed and bytes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from forecache.codec import HEADER, UNREADABLE, ZSTD, Codec
from forecache.coherence.postgresql.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Deleted,
    End,
    Inserted,
    Logged,
    Record,
    Relation,
    Truncated,
    Updated,
    decode,
)
from forecache.errors import ChangeLogError
from forecache.keys import LONGEST, decode_key, encode_key
from tests.coherence.stream import encode

SLOWEST = 1.0  # seconds for one input, on a machine that does other things too
COLUMNS = ("id", "name", "price", "made", "tags", "note")
ROWS: list[dict[str, Any] | None] = [
    None,
    dict(zip(COLUMNS, (1, "lamp", 19.5, None, [], b""), strict=True)),
    dict(
        zip(COLUMNS, (-(2**70), "lämp", Decimal("19.50"), date(2026, 1, 1), ("a", {"b": [1]}), b"\0" * 9), strict=True)
    ),
    dict(zip(COLUMNS, (UUID(int=7), "\ud800", -0.0, datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, True), strict=True)),
    dict(zip(COLUMNS, (2**63, "x" * 700, 1e300, timedelta(days=-1), frozenset(["q"]), None), strict=True)),
    dict(
        zip(
            COLUMNS, (0, "y" * 3000, 0, datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")), (), [[[]]]), strict=True
        )
    ),
]
RECORDS: list[Record] = [
    Begin(7),
    End(8),
    Relation(1, "public", "product", (Column("id", True, 23), Column("name", False, 25))),
    Inserted(1, [b"1", None, UNCHANGED, b"x" * 300]),
    Updated(1, [b"1", None], [b"2", b"lamp"]),
    Deleted(1, [b"1"]),
    Truncated((1, 2, 3)),
    Logged(False, 9, "forecache", b"beacon"),
]
TELLING = (
    b"\xc1",
    b"\xc7",
    b"\xc9\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\x7f\xff\xff\xff",
)
TELLING += (b"\xd8\x01", b"\xd4\x02", b"E999999999", b"\x91" * 40, b"\x00\x00\x00\x00", b"../", b"9" * 400, b" 0 ")


class Finding(Exception):  # noqa: N818 - what a run looks for
    """An input that does what none may do."""


def mutated(chance: random.Random, data: bytes) -> bytes:
    """One to four changes: bits, bytes, telling sequences, cuts, repeats."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0 if changed:
                changed[at - 1] ^= 1 << chance.randrange(8)
            case 1 if changed:
                changed[at - 1] = chance.randrange(256)
            case 2:
                changed[at:at] = chance.choice(TELLING)
            case 3:
                changed[at : at + chance.randint(1, 9)] = b""
            case 4:
                changed[at:at] = changed[at : at + chance.randint(1, 30)]
            case _:
                changed[at : at + 4] = chance.choice(TELLING)
    return bytes(changed)


class Payloads:
    """Mutants of valid payloads."""

    def __init__(self) -> None:
        self.codec = Codec(COLUMNS)
        self.valid = [(self.codec.encode(row) or b"", row) for row in ROWS]
        assert all(payload for payload, _ in self.valid)
        self.shape: bytes = HEADER.unpack_from(self.valid[0][0])[2]

    def damaged(self, chance: random.Random) -> tuple[str, bytes]:
        payload, row = chance.choice(self.valid)
        mutant = mutated(chance, payload)
        found = self.codec.decode(mutant)
        if found is not UNREADABLE and (mutant != payload or found != row):
            raise Finding(f"a wrong value, {found!r}, of {mutant!r}")
        return "unreadable" if found is UNREADABLE else "unchanged", mutant

    def forged(self, chance: random.Random) -> tuple[str, bytes]:
        payload, _ = chance.choice(self.valid)
        packing = payload[1]
        body = mutated(chance, payload[HEADER.size :])
        if packing == ZSTD and chance.random() < 0.5:  # half of them get past the decompression
            packing, body = 0, mutated(chance, self.codec._body(payload))
        mutant = HEADER.pack(1, packing, self.shape, zlib.crc32(body, zlib.crc32(self.shape, packing))) + body
        found = self.codec.decode(mutant)
        if not (found is UNREADABLE or found is None or (type(found) is dict and tuple(found) == COLUMNS)):
            raise Finding(f"not a row of the shape, {found!r}, of {mutant!r}")
        return "unreadable" if found is UNREADABLE else "absent" if found is None else "a row", mutant


def scalar(chance: random.Random) -> Any:
    """A key's item; few values, so that pairs are often alike."""
    number = chance.choice([0, 1, -1, 2**64, chance.randrange(1000)])
    text = chance.choice(["", "1", "a", ":", "(", "1:", "i1", "\ud800", "x" * chance.choice([3, 190, 199, 200, 300])])
    kinds: list[Callable[[], Any]] = [
        *(
            lambda: None,
            lambda: number,
            lambda: bool(number),
            lambda: float(number),
            lambda: text,
            lambda: Decimal(number),
        ),
        *(lambda: text.encode("utf-8", "surrogatepass"), lambda: UUID(int=abs(number)), lambda: date(2026, 1, 1)),
        *(lambda: Decimal(number).scaleb(chance.randint(-3, 3)), lambda: datetime(2026, 1, 1 + abs(number) % 28)),
    ]
    return chance.choice(kinds)()


def some_key(chance: random.Random, depth: int = 2) -> Any:
    if depth and chance.randrange(3) == 0:
        return tuple(some_key(chance, depth - 1) for _ in range(chance.randrange(4)))
    return scalar(chance)


def typed(key: Any) -> Any:
    """What two keys have in common if they are the same."""
    return (tuple, *map(typed, key)) if type(key) is tuple else (type(key), key)


def keys(chance: random.Random) -> tuple[str, bytes]:
    one, other = some_key(chance), some_key(chance)
    names, same = (encode_key(one), encode_key(other)), typed(one) == typed(other)
    if (names[0] == names[1]) != same or max(map(len, names)) > LONGEST:
        raise Finding(f"keys {one!r} and {other!r} have the names {names}")
    return "the same" if same else "different", names[0]


def log(chance: random.Random) -> tuple[str, bytes]:
    mutant = mutated(chance, encode(chance.choice(RECORDS)))
    try:
        decode(mutant)
    except ChangeLogError:
        return "refused", mutant
    return "a record", mutant


def name_of(name: bytes) -> bytes | None:
    """The name of a name's key."""
    try:
        return encode_key(decode_key(name))
    except ValueError:
        return None


def names(chance: random.Random) -> tuple[str, bytes]:
    name = encode_key(some_key(chance))
    if chance.random() < 0.8:
        name = mutated(chance, name)
    if (again := name_of(name)) is None:
        return "no name", name
    if not again.startswith(b"#") and name_of(again) != again:
        raise Finding(f"{name!r} is the name of a key that has the name {again!r}, and that is no such name")
    return "a key", name


def fuzz(inputs: int, seed: int) -> Counter[str]:
    """Counts what became of each input.

    Raises:
        Finding: an input did what none may do.
    """
    chance, payloads, seen = random.Random(seed), Payloads(), Counter[str]()
    kinds: dict[str, Callable[[random.Random], tuple[str, bytes]]] = {
        "damaged": payloads.damaged,
        "forged": payloads.forged,
        "keys": keys,
        "log": log,
        "names": names,
    }
    turns = list(kinds)
    for number in range(inputs):
        kind = turns[number % len(turns)]
        started = time.perf_counter()
        outcome, data = kinds[kind](chance)
        if time.perf_counter() - started > SLOWEST:
            raise Finding(f"slow, {time.perf_counter() - started:.1f} s: {data[:2000]!r}")
        seen[f"{kind}: {outcome}"] += 1
    return seen


def main() -> int:
    """Runs, and tells what was seen."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--inputs", type=int, default=10_000_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    started = time.perf_counter()
    try:
        seen = fuzz(chosen.inputs, chosen.seed)
    except Finding as finding:
        sys.stdout.write(f"seed {chosen.seed}: {finding}\n")
        return 1
    seconds = time.perf_counter() - started
    lines = [f"{seen.total():,} inputs in {seconds:.0f} s, seed {chosen.seed}, nothing found"]
    lines += [f"  {outcome:22} {count:>12,}" for outcome, count in sorted(seen.items())]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
