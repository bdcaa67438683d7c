"""A fake Valkey, as far as the protocol uses it: the scripts of a tier and of a sequencer, over keys that expire.

What it answers is compared with a real server in `test_valkey.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forecache.serve.tiers.beacons import APPLY, BEGIN, DISTRUST, END, EXPEL, MARK, OPEN, POLL, ROLL
from forecache.serve.tiers.layout import FILL, READ, RELEASE

__all__ = ["FakeValkey"]

GONE, FENCED = -1, -2


class FakeValkey:
    """One server; `now` in seconds is an argument of every command."""

    def __init__(self, history: str, kept: int = 100_000) -> None:
        """Empty; of a log the last entries are kept, exactly so many."""
        self.history, self.kept = history, kept
        self.is_up = True
        self.values: dict[bytes, bytes] = {}
        self.ends: dict[bytes, float] = {}
        self.logs: dict[bytes, list[tuple[int, bytes, bytes]]] = {}
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}
        self.listeners: list[Callable[[bytes, bytes], None]] = []

    def copy(self, history: str) -> FakeValkey:
        """A server that begins with what this one holds."""
        other = FakeValkey(history, self.kept)
        other.values, other.ends = dict(self.values), dict(self.ends)
        other.logs = {key: list(entries) for key, entries in self.logs.items()}
        other.hashes = {key: dict(fields) for key, fields in self.hashes.items()}
        return other

    def run(self, command: tuple[Any, ...], now: float) -> Any:
        """What the server answers."""
        if command[0] == "PUBLISH":
            return self.publish(*command[1:])
        _, script, count, *rest = command
        arguments = [part if isinstance(part, bytes) else str(part).encode() for part in rest[count:]]
        return getattr(self, COMMANDS[script])(rest[:count], arguments, now)

    def get(self, key: bytes, now: float) -> bytes | None:
        if self.ends.get(key, now + 1) <= now:
            self.delete(key)
        return self.values.get(key)

    def set(self, key: bytes, value: bytes, ends: float | None = None) -> None:
        self.values[key] = value
        if ends is None:
            self.ends.pop(key, None)
        else:
            self.ends[key] = ends

    def delete(self, key: bytes) -> bool:
        self.ends.pop(key, None)
        return self.values.pop(key, None) is not None

    def open(self, keys: list[bytes], arguments: list[bytes], _: float) -> int:
        self.logs.pop(keys[1], None)
        self.hashes[keys[2]] = {b"": arguments[0]}
        self.set(keys[0], arguments[0] + b"|0|0|0|0|0|0")
        return 1

    def mine(self, meta: bytes, epoch: bytes) -> list[bytes] | int:
        """Numbers of the state, or why there are none."""
        written = self.values.get(meta)
        if written is None:
            return GONE
        parts = written.split(b"|")
        return parts if self.is_of(parts[0], epoch) else FENCED

    def is_of(self, there: bytes, epoch: bytes) -> bool:
        return there == epoch

    def apply(self, keys: list[bytes], arguments: list[bytes], _: float) -> int:
        parts = self.mine(keys[0], arguments[0])
        if isinstance(parts, int):
            return parts
        number = int(arguments[1])
        if number != int(parts[4]) + 1:
            return GONE
        for key in keys[2:]:
            self.delete(key)
        self.note(keys, parts, arguments[1], (arguments[2], arguments[3]))
        return 1

    def note(self, keys: list[bytes], parts: list[bytes], number: bytes, entry: tuple[bytes, bytes]) -> None:
        entries = self.logs.setdefault(keys[1], [])
        entries.append((int(number), *entry))
        del entries[: -self.kept]
        self.set(keys[0], b"|".join([*parts[:4], number, *parts[5:]]))

    def mark(self, keys: list[bytes], arguments: list[bytes], _: float) -> Any:
        parts = self.mine(keys[0], arguments[0])
        if isinstance(parts, int):
            return parts
        if int(arguments[1]) != int(parts[4]) + 1:
            return GONE
        self.note(keys, parts, arguments[1], (b"", arguments[2]))
        self.publish(keys[1], arguments[4])
        return self.readers(keys[2], arguments[0])

    def publish(self, channel: bytes, content: bytes | str) -> int:
        """Tells all who listen, to whatever it is."""
        for listener in self.listeners:
            listener(channel, content.encode() if isinstance(content, str) else content)
        return len(self.listeners)

    def readers(self, key: bytes, epoch: bytes) -> Any:
        fields = self.hashes.get(key, {})
        if fields.get(b"") != epoch:
            return GONE
        return [1, [part for name, value in fields.items() if name for part in (name, value)]]

    def roll(self, keys: list[bytes], arguments: list[bytes], _: float) -> Any:
        parts = self.mine(keys[0], arguments[0])
        return parts if isinstance(parts, int) else self.readers(keys[1], arguments[0])

    def expel(self, keys: list[bytes], arguments: list[bytes], _: float) -> int:
        parts = self.mine(keys[0], arguments[0])
        if isinstance(parts, int):
            return parts
        fields = self.hashes.get(keys[1], {})
        for name, heard in zip(arguments[1::2], arguments[2::2], strict=True):
            if fields.get(name) == heard:
                del fields[name]
        return 1

    def begin(self, keys: list[bytes], arguments: list[bytes], _: float) -> Any:
        parts, readers = self.mine(keys[0], arguments[0]), self.readers(keys[1], arguments[0])
        if isinstance(parts, int):
            return parts
        if readers == GONE:
            return GONE
        begun = int(parts[1]) + 1
        self.set(keys[0], b"|".join([parts[0], b"%d" % begun, *parts[2:]]))
        return [begun, readers[1]]

    def end(self, keys: list[bytes], arguments: list[bytes], _: float) -> int:
        parts = self.mine(keys[0], arguments[0])
        if isinstance(parts, int):
            return parts
        self.set(keys[0], b"|".join([*parts[:2], *arguments[1:3], parts[4], *arguments[3:5]]))
        return 1

    def poll(self, keys: list[bytes], arguments: list[bytes], _: float) -> list[Any]:
        first, most = int(arguments[0]), int(arguments[1])
        meta, readers = self.values.get(keys[0], b""), self.hashes.get(keys[2], {})
        is_known = len(arguments) > 2 and meta != b"" and readers.get(b"") == meta[:32]
        is_known = is_known and self.is_position_in(meta[:32], arguments[4])
        is_known = is_known and self.is_later(arguments[3], readers.get(arguments[2], b"0|0"))
        if is_known:
            readers[arguments[2]] = arguments[3]
        entries = [entry for entry in self.logs.get(keys[1], ()) if entry[0] >= first][:most]
        told = [[b"%d-1" % number, [b"i", ended, b"h", held]] for number, ended, held in entries]
        return [self.history.encode(), meta, told, int(is_known)]

    def is_later(self, record: bytes, there: bytes) -> bool:
        """Or of the same request."""
        return int(record.split(b"|")[1]) >= int(there.split(b"|")[1])

    def is_position_in(self, epoch: bytes, of: bytes) -> bool:
        return epoch == of

    def distrust(self, keys: list[bytes], arguments: list[bytes], _: float) -> int:
        return int(self.values.get(keys[0], b"")[:32] == arguments[0] and self.delete(keys[0]))

    def read(self, keys: list[bytes], arguments: list[bytes], now: float) -> list[Any]:
        fresh, token, milliseconds, since = arguments
        meta = self.values.get(keys[0], b"")
        valid = self.history.encode() + meta[:32]
        written = self.get(keys[1], now)
        epoch = written[:32] if written is not None and written[33:] == valid else b""
        if not epoch:
            epoch = fresh
            self.set(keys[1], epoch + b"|" + valid)
        lease = b"L|" + epoch + b"|" + token
        found: list[Any] = [epoch, self.history.encode(), meta]
        for key in keys[2:]:
            there = self.get(key, now)
            kind = there[:1] if there is not None and there[2:34] == epoch else b""
            if there is not None and kind == b"V" and there[35:51] >= since:
                found.append([there, self.left(key, now)])
            elif kind == b"L" and there != lease:
                found.append(max(1, self.left(key, now)))
            else:
                self.set(key, lease, now + int(milliseconds) / 1000)
                found.append(0)
        return found

    def left(self, key: bytes, now: float) -> int:
        return round((self.ends[key] - now) * 1000) if key in self.ends else -1

    def fill(self, keys: list[bytes], arguments: list[bytes], now: float) -> list[int]:
        stored = []
        for at, key in enumerate(keys):
            lease, value, milliseconds = arguments[3 * at : 3 * at + 3]
            stored.append(int(self.holds(key, lease, now)))
            if stored[-1]:
                self.set(key, value, now + int(milliseconds) / 1000)
        return stored

    def holds(self, key: bytes, lease: bytes, now: float) -> bool:
        return self.get(key, now) == lease

    def release(self, keys: list[bytes], arguments: list[bytes], now: float) -> int:
        pairs = zip(keys, arguments, strict=True)
        return sum(self.delete(key) for key, lease in pairs if self.get(key, now) == lease)


COMMANDS = {  # methods, by their names, so that a mutant may lack one
    OPEN.hash: "open",
    APPLY.hash: "apply",
    MARK.hash: "mark",
    ROLL.hash: "roll",
    EXPEL.hash: "expel",
    BEGIN.hash: "begin",
    END.hash: "end",
    POLL.hash: "poll",
    DISTRUST.hash: "distrust",
    READ.hash: "read",
    FILL.hash: "fill",
    RELEASE.hash: "release",
}
