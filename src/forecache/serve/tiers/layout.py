"""Layout: how a shared tier's places look in Valkey, and the scripts that change them.

    {namespace:s00}:e:<table>         epoch|history                 what is valid in this table and shard
    {namespace:s00}:k:<table>:<key>   L|epoch|token                 a lease; expires soon
                                      V|epoch|stamp|payload         a value; expires with its ttl
    {namespace:s00}:meta              epoch|begun|done|xmin|last|term|settled   a sequencer's, if it is there
    {namespace:s00}:past              the past of the database that the sequencer follows, a newline, and its history
    {namespace:s00}:log               a stream, whose ids are numbers of invalidations (`beacons.py`)
    {namespace:s00}:readers           a hash of processes that answer strongly: how far, and of what (`tables.py`)

Epoch and token are random, 128 bits in hexadecimal digits; the stamp has 64 bits. The braces keep a shard's keys in
one slot of a cluster, so that one script may touch them.

A value or lease of another epoch counts as nothing. The epoch of a table is renewed, and so all of it forgotten, by
deleting it; when a server begins another history (`master_replid`), as it does after a restart and as a replica that
was promoted, since such a server may have lost invalidations; when a sequencer begins an epoch of the shard, which is
a part of the history; and when the server itself evicts it. A random epoch
never comes back, and a token is made by the client, so that no server that was set back can issue it twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final, NamedTuple

from forecache.coherence.beacons.shard import Meta, Reading
from forecache.coherence.beacons.tables import written
from forecache.serve.tier import Busy, Found, Lease, Place, Unavailable, Value

__all__ = [
    "FILL",
    "RELEASE",
    "SCRIPTS",
    "STATE",
    "Layout",
    "Script",
    "Told",
    "found_at",
    "milliseconds",
    "new_token",
    "reading_of",
    "value_of",
]

RANDOM_BYTES: Final = 16  # of epochs and tokens
PAYLOAD_AT: Final = 52  # V|epoch|stamp| are 1 + 1 + 32 + 1 + 16 + 1 bytes
LARGEST_STAMP: Final = 2**64 - 1
LEASED: Final = 0  # what the script says of a place that is leased to us


class Script:
    """A script of Valkey, run by its hash, or as text where the server does not know it yet."""

    def __init__(self, text: str) -> None:
        """Makes the hash by which the server knows it."""
        self.text = text
        self.hash = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: Sequence[bytes], arguments: Sequence[bytes | int | str]) -> tuple[Any, ...]:
        """The command that runs it by its hash."""
        return ("EVALSHA", self.hash, len(keys), *keys, *arguments)

    def in_full(self, command: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same command with the text in place of the hash."""
        return ("EVAL", self.text, *command[2:])


# Tells `history` and `meta`. A replica refuses, as what it holds may be late.
STATE: Final = """
local info = redis.pcall('INFO', 'replication')
local history = 'unknown'
if type(info) == 'string' then
  history = string.match(info, 'master_replid:(%x+)') or history
  if string.match(info, 'role:(%a+)') == 'slave' then
    return redis.error_reply("READONLY You can't write against a read only replica.")
  end
end
local meta = redis.call('GET', KEYS[1]) or ''
"""

# KEYS: meta, the epoch's, the places'. ARGV: a new epoch, our token, milliseconds of a lease, the lowest stamp to take.
# Returns the epoch, the history, meta, and for each place {value, milliseconds left}, 0 if leased to us, how many
# milliseconds another's lease has left, or the error that kept us from leasing.
READ: Final = Script(
    STATE
    + """
local valid = history .. string.sub(meta, 1, 32)
local written = redis.call('GET', KEYS[2])
local epoch = written and string.sub(written, 34) == valid and string.sub(written, 1, 32)
local refused = nil
if not epoch then
  epoch = ARGV[1]
  refused = redis.pcall('SET', KEYS[2], epoch .. '|' .. valid)['err']
end
local lease = 'L|' .. epoch .. '|' .. ARGV[2]
local found = {epoch, history, meta}
for i = 3, #KEYS do
  local there = redis.pcall('GET', KEYS[i])
  local kind = type(there) == 'string' and string.sub(there, 3, 34) == epoch and string.sub(there, 1, 1)
  if kind == 'V' and string.sub(there, 36, 51) >= ARGV[4] then
    found[i + 1] = {there, redis.call('PTTL', KEYS[i])}
  elseif kind == 'L' and there ~= lease then
    found[i + 1] = math.max(1, redis.call('PTTL', KEYS[i]))
  else
    found[i + 1] = refused or redis.pcall('SET', KEYS[i], lease, 'PX', ARGV[3])['err'] or 0
  end
end
return found
"""
)

# KEYS: places. ARGV: for each its lease, the value, milliseconds to keep it. Returns for each 1 if it was stored.
# A server that is full keeps neither the value nor the lease, for which others would wait in vain.
FILL: Final = Script("""
local stored = {}
for i, key in ipairs(KEYS) do
  stored[i] = 0
  if redis.pcall('GET', key) == ARGV[3 * i - 2] then
    if redis.pcall('SET', key, ARGV[3 * i - 1], 'PX', ARGV[3 * i])['err'] then
      redis.call('DEL', key)
    else
      stored[i] = 1
    end
  end
end
return stored
""")

# KEYS: places. ARGV: for each its lease. Returns how many were given back.
RELEASE: Final = Script("""
local released = 0
for i, key in ipairs(KEYS) do
  if redis.pcall('GET', key) == ARGV[i] then
    released = released + redis.call('DEL', key)
  end
end
return released
""")

SCRIPTS: Final = {script.hash: script for script in (READ, FILL, RELEASE)}


def new_token() -> str:
    """A random token or epoch."""
    return secrets.token_hex(RANDOM_BYTES)


class Told(NamedTuple):
    """What an answer of the read script tells of the shard."""

    epoch: bytes  # of the table
    reading: Reading


class Layout(NamedTuple):
    """Names of keys in one shard."""

    namespace: str
    shard: int

    def epoch(self, table: str) -> bytes:
        """The key of a table's epoch."""
        return f"{self._tag()}:e:{written(table)}".encode()

    def meta(self) -> bytes:
        """The key of the shard's state."""
        return f"{self._tag()}:meta".encode()

    def log(self) -> bytes:
        """The key of the shard's log."""
        return f"{self._tag()}:log".encode()

    def past(self) -> bytes:
        """The key of what the sequencer knows of the database's past."""
        return f"{self._tag()}:past".encode()

    def readers(self) -> bytes:
        """The key of those who answer strongly."""
        return f"{self._tag()}:readers".encode()

    def place(self, place: Place) -> bytes:
        """The key of a place."""
        return f"{self._tag()}:k:{written(place.table)}:".encode() + place.key

    def read(self, table: str, keys: Sequence[bytes], *, token: str, lease: float, since: int) -> tuple[Any, ...]:
        """The command that reads places of one table, and leases those that are empty for `lease` seconds."""
        names = [self.meta(), self.epoch(table), *(self.place(Place(table, key)) for key in keys)]
        return READ.command(names, [new_token(), token, milliseconds(lease), f"{since:016x}"])

    def _tag(self) -> str:
        return f"{{{written(self.namespace)}:s{self.shard:02d}}}"


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, at least 1 and at most some 30 years."""
    return max(1, int(min(seconds, 1e9) * 1000))


def reading_of(history: bytes, meta: bytes) -> Reading:
    """What a script told of the shard."""
    if not meta:
        return Reading(history.decode(), None)
    epoch, *numbers = meta.decode().split("|")
    return Reading(history.decode(), Meta(epoch, *map(int, numbers)))


def found_at(place: Place, shard: Told, entry: Any, *, token: str, lease: float, chance: float) -> Found:
    """What the read script's answer for one place means.

    Args:
        place: that was read.
        shard: what the answer tells of all places.
        entry: the answer for this place.
        token: with which it was asked.
        lease: seconds that leases last.
        chance: in [0, 1), which spreads those who wait.
    """
    if isinstance(entry, list):
        value, left = entry
        left = left / 1000 if left >= 0 else float("inf")
        return Value(value[PAYLOAD_AT:], left, int(value[35:51], 16), shard.reading)
    if entry == LEASED:
        return Lease(place, b"L|" + shard.epoch + b"|" + token.encode(), shard.reading)
    if isinstance(entry, bytes):  # such as OOM, of a server that is full
        return Unavailable(entry.decode(errors="replace").lstrip("-").split(" ")[0])
    return Busy(retry_after(lease - entry / 1000, lease, chance))


def retry_after(held: float, lease: float, chance: float) -> float:
    """Seconds to wait for a lease that was held for so long: as long again, more or less; loads take similar times."""
    return (0.5 + chance) * min(max(held, SHORTEST_WAIT), lease / 8)


SHORTEST_WAIT: Final = 0.005  # seconds


def value_of(lease: Lease, payload: bytes, stamp: int) -> bytes:
    """What is stored for a fill: of the epoch in which the lease was granted, whatever happened since."""
    return b"V|" + lease.token[2:34] + b"|%016x|" % min(max(stamp, 0), LARGEST_STAMP) + payload
