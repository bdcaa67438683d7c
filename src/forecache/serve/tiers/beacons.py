"""Beacons: the scripts by which a sequencer changes a shard, and a process follows it.

    OPEN     begins an epoch: nothing is there          APPLY    ends places and tables, and notes them in the log
    BEGIN    begins a beacon, and tells its number and  END      ends it
             who reads strongly
    POLL     tells the state and what is new in the log, of one moment; and notes who reads strongly, and how far he is
    MARK     notes in the log what is held, and tells who reads strongly; ROLL tells that alone
    EXPEL    strikes those who were not heard of since

Those of the sequencer answer `GONE` if the state is lost, and `FENCED` if it is another sequencer's. Each has its keys
in one slot. The log keeps its last entries; who is further behind than that finds a gap. What is published tells sooner
what is also found where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from forecache.coherence.beacons.effects import Apply, Begin, Effect, End, Expel, Mark, Open, Roll
from forecache.coherence.beacons.shard import Entry, Reading
from forecache.coherence.changes import EVERY, Change
from forecache.keys import decode_key
from forecache.serve.tier import Place
from forecache.serve.tiers.entries import packed, saying, unpacked
from forecache.serve.tiers.layout import STATE, Layout, Script, reading_of

__all__ = [
    "BEACON_SCRIPTS",
    "Asker",
    "answer_of",
    "command_of",
    "distrust",
    "entries_of",
    "key_of",
    "poll",
    "tell",
]

KEPT: Final = 100_000  # entries of the log, about
MOST_ENTRIES: Final = 1_000  # of one answer

# KEYS: meta, the log, the readers, and maybe the past. ARGV: the epoch, and maybe of which past it is.
OPEN: Final = Script("""
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[3], '', ARGV[1])
redis.call('SET', KEYS[1], ARGV[1] .. '|0|0|0|0|0|0')
if KEYS[4] then redis.call('SET', KEYS[4], ARGV[2]) end
return 1
""")

MINE: Final = """
local meta = redis.call('GET', KEYS[1])
if not meta then return -1 end
local epoch, begun, done, xmin, last, term, settled =
  string.match(meta, '^(%x+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$')
if epoch ~= ARGV[1] then return -2 end
local function write(begun, done, xmin, last, term, settled)
  redis.call('SET', KEYS[1], table.concat({epoch, begun, done, xmin, last, term, settled}, '|'))
end
"""

# Who reads strongly: a hash from names to records (`tables.py`); and the epoch, under no name, so that a server that
# evicts the hash is found out.
READERS: Final = """
local function readers(key)
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if all[i] == '' and all[i + 1] == ARGV[1] then
      table.remove(all, i + 1)
      table.remove(all, i)
      return {1, all}
    end
  end
  return -1
end
"""

# KEYS: meta, the log, what ends. ARGV: the epoch, the number of the entry, the entry, what is held, entries to keep.
APPLY: Final = Script(
    MINE
    + """
if tonumber(ARGV[2]) ~= tonumber(last) + 1 then return -1 end
if #KEYS > 2 then redis.call('UNLINK', unpack(KEYS, 3)) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], ARGV[2] .. '-1', 'i', ARGV[3], 'h', ARGV[4])
write(begun, done, xmin, ARGV[2], term, settled)
return 1
"""
)

# KEYS: meta, the log, the readers. ARGV: the epoch, the number of the entry, what is held, entries to keep, and
# what to publish.
MARK: Final = Script(
    MINE
    + READERS
    + """
if tonumber(ARGV[2]) ~= tonumber(last) + 1 then return -1 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], ARGV[2] .. '-1', 'i', '', 'h', ARGV[3])
write(begun, done, xmin, ARGV[2], term, settled)
redis.call('PUBLISH', KEYS[2], ARGV[5])
return readers(KEYS[3])
"""
)

# KEYS: meta, the readers. ARGV: the epoch.
ROLL: Final = Script(
    MINE
    + READERS
    + """
return readers(KEYS[2])
"""
)

# KEYS: meta, the readers. ARGV: the epoch; names of readers, each with what was last heard of it.
EXPEL: Final = Script(
    MINE
    + """
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[2], ARGV[i]) end
end
return 1
"""
)

# KEYS: meta, the readers. ARGV: the epoch.
BEGIN: Final = Script(
    MINE
    + READERS
    + """
local answer = readers(KEYS[2])
if answer == -1 then return -1 end
begun = string.format('%d', begun + 1)
write(begun, done, xmin, last, term, settled)
answer[1] = tonumber(begun)
return answer
"""
)

# KEYS: meta. ARGV: the epoch, the number of the beacon, the xmin of its sample, its term, what is settled.
END: Final = Script(
    MINE
    + """
write(begun, ARGV[2], ARGV[3], last, ARGV[4], ARGV[5])
return 1
"""
)

# KEYS: meta, the log, the readers. ARGV: the first entry to tell, how many at most; who reads strongly, his record, and
# in which epoch, or nothing. In another epoch his position is that of another log, and a request that comes after a
# later one may not name all tables. Returns the history, meta, the entries, and 1 if the sequencer will wait for him.
POLL: Final = Script(
    STATE
    + """
local known = 0
local epoch = string.sub(meta, 1, 32)
if ARGV[3] and meta ~= '' and ARGV[5] == epoch then
  local there = redis.call('HMGET', KEYS[3], '', ARGV[3])
  local function request(record) return tonumber(string.match(record, '^%d+|(%d+)')) end
  if there[1] == epoch and not (there[2] and request(there[2]) > request(ARGV[4])) then
    if type(redis.pcall('HSET', KEYS[3], ARGV[3], ARGV[4])) == 'number' then known = 1 end
  end
end
return {history, meta, redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2]), known}
"""
)

# KEYS: meta. ARGV: the epoch. Returns whether it was of this epoch, and is no more: nothing there counts any longer.
DISTRUST: Final = Script("""
local meta = redis.call('GET', KEYS[1])
if not meta or string.sub(meta, 1, 32) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")

BEACON_SCRIPTS: Final = (OPEN, APPLY, MARK, ROLL, EXPEL, BEGIN, END, POLL, DISTRUST)


def command_of(effect: Effect, layout: Layout, past: str = "") -> tuple[Any, ...]:
    """What carries out an effect that is for a shard; the keys of its changes are names, as `keys.py` makes them.

    An epoch says of which past it is, if that is given, with its history.
    """
    meta, log, readers = layout.meta(), layout.log(), layout.readers()
    command: tuple[Any, ...]
    match effect:
        case Open(_, epoch):
            told = ([layout.past()], [past]) if past else ([], [])
            command = OPEN.command([meta, log, readers, *told[0]], [epoch, *told[1]])
        case Apply(_, epoch, number, changes, held):
            keys = [meta, log, *(ended(layout, change) for change in changes)]
            command = APPLY.command(keys, [epoch, number, packed(changes), packed(held), KEPT])
        case Begin(_, epoch):
            command = BEGIN.command([meta, readers], [epoch])
        case End():
            command = END.command([meta], effect[1:])
        case Mark(_, epoch, number, held, before):
            said = saying(epoch, [*before, Entry(number, (), held)])
            command = MARK.command([meta, log, readers], [epoch, number, packed(held), KEPT, said])
        case Roll(_, epoch):
            command = ROLL.command([meta, readers], [epoch])
        case Expel(_, epoch, others):
            command = EXPEL.command([meta, readers], [epoch, *(part for pair in others for part in pair)])
        case _:
            raise TypeError(f"{type(effect).__name__} is not for a shard")
    return command


class Asker(NamedTuple):
    """A process that reads strongly, as it says so with a request."""

    name: str
    record: str  # as `record_of` makes it
    epoch: str  # whose log its position is of


def poll(layout: Layout, position: int, who: Asker | None = None, *, most: int = MOST_ENTRIES) -> tuple[Any, ...]:
    """The command that tells what came after a position, so many entries at most; and who asks, if strongly."""
    return POLL.command([layout.meta(), layout.log(), layout.readers()], [position + 1, most, *(who or ())])


def tell(layout: Layout, epoch: str, reader: str, position: int) -> tuple[Any, ...]:
    """The command that tells the sequencer up to where a reader has dropped, and holds, everything."""
    return "PUBLISH", layout.readers(), f"{epoch}|{reader}|{position}"


def answer_of(answer: Any) -> tuple[int, dict[str, str]]:
    """What a script of the sequencer answered, and who reads strongly, if it told."""
    if not isinstance(answer, list):
        return int(answer), {}
    told = [part.decode() for part in answer[1]]
    return int(answer[0]), dict(zip(told[::2], told[1::2], strict=True))


def distrust(layout: Layout, epoch: str) -> tuple[Any, ...]:
    """The command that ends an epoch."""
    return DISTRUST.command([layout.meta()], [epoch])


def entries_of(answer: Sequence[Any]) -> tuple[Reading, list[Entry]]:
    """What `poll` brought."""
    history, meta, entries, *_ = answer
    return reading_of(history, meta), [
        Entry(int(number.partition(b"-")[0]), unpacked(fields[1]), unpacked(fields[3])) for number, fields in entries
    ]


def key_of(name: Any) -> Any:
    """The key of a name; `EVERY` for that, and for a long key, of which only a digest is told."""
    try:
        return EVERY if name is EVERY else decode_key(name)
    except ValueError:
        return EVERY


def ended(layout: Layout, change: Change) -> bytes:
    """The key whose deletion ends what changed."""
    if change.key is EVERY:
        return layout.epoch(change.table)
    return layout.place(Place(change.table, change.key))  # type: ignore[arg-type]  # a name
