"""Beacons: the scripts by which a sequencer changes a shard, and a process follows it; and how entries of the log look.

    OPEN     begins an epoch: nothing is there          APPLY    ends places and tables, and notes them in the log
    BEGIN    begins a beacon, and tells its number      END      ends it
    POLL     tells the state and what is new in the log, of one moment

Those of the sequencer answer `GONE` if the state is lost, and `FENCED` if it is another sequencer's. Each has its keys
in one slot. The log keeps its last entries; who is further behind than that finds a gap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from forecache.coherence.beacons.effects import Apply, Begin, Effect, End, Open
from forecache.coherence.beacons.shard import Entry, Reading
from forecache.coherence.changes import EVERY, Change
from forecache.serve.tier import Place
from forecache.serve.tiers.layout import STATE, Layout, Script, reading_of

__all__ = ["BEACON_SCRIPTS", "command_of", "distrust", "entries_of", "packed", "poll", "unpacked"]

KEPT: Final = 100_000  # entries of the log, about
MOST_ENTRIES: Final = 1_000  # of one answer
HEAD: Final = struct.Struct(">HI")  # bytes of a table's name, bytes of a key's
WHOLE: Final = 0xFFFF_FFFF  # in place of the latter: any row of the table

# KEYS: meta, the log. ARGV: the epoch.
OPEN: Final = Script("""
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1] .. '|0|0|0|0')
return 1
""")

MINE: Final = """
local meta = redis.call('GET', KEYS[1])
if not meta then return -1 end
local epoch, begun, done, xmin, last = string.match(meta, '^(%x+)|(%d+)|(%d+)|(%d+)|(%d+)$')
if epoch ~= ARGV[1] then return -2 end
local function write(begun, done, xmin, last)
  redis.call('SET', KEYS[1], table.concat({epoch, begun, done, xmin, last}, '|'))
end
"""

# KEYS: meta, the log, what ends. ARGV: the epoch, the number of the entry, the entry, entries to keep.
APPLY: Final = Script(
    MINE
    + """
if tonumber(ARGV[2]) ~= tonumber(last) + 1 then return -1 end
if #KEYS > 2 then redis.call('UNLINK', unpack(KEYS, 3)) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], ARGV[2] .. '-1', 'i', ARGV[3])
write(begun, done, xmin, ARGV[2])
return 1
"""
)

# KEYS: meta. ARGV: the epoch.
BEGIN: Final = Script(
    MINE
    + """
begun = string.format('%d', begun + 1)
write(begun, done, xmin, last)
return tonumber(begun)
"""
)

# KEYS: meta. ARGV: the epoch, the number of the beacon, the xmin of its sample.
END: Final = Script(
    MINE
    + """
write(begun, ARGV[2], ARGV[3], last)
return 1
"""
)

# KEYS: meta, the log. ARGV: the first entry to tell, how many at most. Returns the history, meta, the entries.
POLL: Final = Script(
    STATE
    + """
return {history, meta, redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])}
"""
)

# KEYS: meta. ARGV: the epoch. Returns whether it was of this epoch, and is no more: nothing there counts any longer.
DISTRUST: Final = Script("""
local meta = redis.call('GET', KEYS[1])
if not meta or string.sub(meta, 1, 32) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")

BEACON_SCRIPTS: Final = (OPEN, APPLY, BEGIN, END, POLL, DISTRUST)


def command_of(effect: Effect, layout: Layout) -> tuple[Any, ...]:
    """What carries out an effect that is for a shard; the keys of its changes are names, as `keys.py` makes them."""
    match effect:
        case Open(_, epoch):
            return OPEN.command([layout.meta(), layout.log()], [epoch])
        case Apply(_, epoch, number, changes):
            keys = [layout.meta(), layout.log(), *(ended(layout, change) for change in changes)]
            return APPLY.command(keys, [epoch, number, packed(changes), KEPT])
        case Begin(_, epoch):
            return BEGIN.command([layout.meta()], [epoch])
        case End(_, epoch, beacon, xmin):
            return END.command([layout.meta()], [epoch, beacon, xmin])
    raise TypeError(f"{type(effect).__name__} is not for a shard")


def poll(layout: Layout, position: int) -> tuple[Any, ...]:
    """The command that tells what came after a position."""
    return POLL.command([layout.meta(), layout.log()], [position + 1, MOST_ENTRIES])


def distrust(layout: Layout, epoch: str) -> tuple[Any, ...]:
    """The command that ends an epoch."""
    return DISTRUST.command([layout.meta()], [epoch])


def entries_of(answer: Sequence[Any]) -> tuple[Reading, list[Entry]]:
    """What `poll` brought."""
    history, meta, entries = answer
    return reading_of(history, meta), [
        Entry(int(number.partition(b"-")[0]), unpacked(fields[1])) for number, fields in entries
    ]


def ended(layout: Layout, change: Change) -> bytes:
    """The key whose deletion ends what changed."""
    if change.key is EVERY:
        return layout.epoch(change.table)
    return layout.place(Place(change.table, change.key))  # type: ignore[arg-type]  # a name


def packed(changes: Iterable[Change]) -> bytes:
    """Tables and names of keys, as bytes."""
    parts = []
    for table, key in changes:
        name = table.encode("utf-8", "surrogatepass")
        row: bytes = b"" if key is EVERY else key  # type: ignore[assignment]
        parts += [HEAD.pack(len(name), WHOLE if key is EVERY else len(row)), name, row]
    return b"".join(parts)


def unpacked(data: bytes) -> tuple[Change, ...]:
    """The same back."""
    changes, at = [], 0
    while at < len(data):
        table_bytes, key_bytes = HEAD.unpack_from(data, at)
        at += HEAD.size
        table = data[at : at + table_bytes].decode("utf-8", "surrogatepass")
        at += table_bytes
        if key_bytes == WHOLE:
            changes.append(Change(table, EVERY))
        else:
            changes.append(Change(table, data[at : at + key_bytes]))
            at += key_bytes
    return tuple(changes)
