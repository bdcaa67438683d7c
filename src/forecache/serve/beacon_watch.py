"""`BeaconWatch`: follows the logs of a shared tier's shards, and so knows as of when all copies here are current."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Final

from forecache import _core
from forecache._core import now
from forecache.coherence.beacons.reader import Drop, Effect, Flush, Prove, Reader, Ticket
from forecache.coherence.beacons.shard import Entry, Reading
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.changes import EVERY, Change
from forecache.coherence.level import Level
from forecache.coherence.token import Token, differs
from forecache.coherence.watch import Holder
from forecache.forks import renew_after_fork
from forecache.keys import encode_key
from forecache.serve.tier import Place
from forecache.serve.tiers.beacons import distrust, entries_of, key_of
from forecache.serve.tiers.lane import Lane, LaneError
from forecache.serve.tiers.routes import Node
from forecache.serve.tiers.valkey import ValkeyTier
from forecache.serve.vouching import Following, Vouching

__all__ = ["BeaconWatch"]

POLL_SECONDS: Final = 0.01  # between two looks at the log
IDLE_SECONDS: Final = 0.25  # the same, where no sequencer is
RETRY_SECONDS: Final = 0.05  # after a connection failed
KNOWN_AT: Final = 3  # where an answer says whether the sequencer waits for us
DROPPED: Final = 16  # rows that ended last, remembered for an audit


class BeaconWatch:
    """A watch whose proofs come from a sequencer, wherever that runs; without one, nothing is proven."""

    header = None
    tells = False
    _threads: list[threading.Thread]

    def __init__(self, tier: ValkeyTier, tables: Iterable[str], holder: Holder) -> None:
        """Begins to follow.

        Args:
            tier: the shared tier; its shards are followed on connections of their own.
            tables: names of those of which copies are kept.
            holder: who keeps copies; is told from any thread.
        """
        self.proof, self._grants = _core.Proof(), {table: _core.Proof() for table in tables}
        self._tier, self._holder, self._routes = tier, holder, tier.routes()
        self.standing = _core.Standing("", None, self._routes.shards)
        self._renew()
        renew_after_fork(self)
        self._ensure()

    @property
    def epoch(self) -> str:
        """Of the first shard."""
        return self._readers[0].epoch

    @property
    def proves(self) -> bool:
        """Whether a sequencer was seen."""
        self._ensure()
        return any(reader.epoch for reader in self._readers)

    def epoch_of(self, shard: int) -> str:
        """The epoch of a shard."""
        return self._readers[shard].epoch

    def contains(self, token: Token) -> bool:
        """Whether all copies surely contain what a token stands for: its transactions, of the same past."""
        self._ensure()
        with self._lock:
            has_passed = self.contained >= max(1, token.number)
            return has_passed and not any(differs(reader.epoch, token.past) for reader in self._readers)

    def refuses(self, table: str, key: Hashable, past: str) -> bool:
        """Whether a row is of another past than the epoch that its copy would be in."""
        return differs(self._readers[self.shard_of(table, key)].epoch, past)

    def take_dropped(self) -> list[tuple[str, Hashable]]:
        """Rows that ended lately, each told once, and not all if they are many."""
        return list(dict.fromkeys(self._dropped.popleft() for _ in range(len(self._dropped))))

    def grant(self, table: str) -> _core.Proof:
        """Until when copies of a table are what the database shows."""
        return self._grants[table]

    def vouches(self, table: str, at: float) -> bool:
        """Whether copies of a table that are looked up from now on are what the database shows at that time."""
        return self._vouching.reaches(table, at)

    def holds(self, table: str, key: Hashable) -> bool:
        """Whether no copy of a row may be made, as a commit wrote it that cannot be seen yet."""
        if not any(reader.held for reader in self._readers):
            return False
        with self._lock:
            return self._readers[self.shard_of(table, key)].holds(Change(table, encode_key(key)))

    def proven_at(self) -> float:
        """The latest moment at which all copies were surely current."""
        self._ensure()
        return self.proof.at

    def catch_up(self, since: float) -> None:
        """Beacons come by themselves."""

    def check(self, level: Level) -> None:
        """Every level can be kept: by proof, or by asking the database."""

    def shard_of(self, table: str, key: Hashable) -> int:
        """The shard of a row."""
        return 0 if len(self._readers) == 1 else self.shard_named(table, encode_key(key))

    def shard_named(self, table: str, name: bytes) -> int:
        """The shard of a row whose key has this name."""
        return 0 if len(self._readers) == 1 else self._tier.shard(Place(table, name))

    def ticket(self, table: str, name: bytes) -> Ticket:
        """To be taken before the shared tier is asked for a row whose key has this name."""
        with self._lock:
            return self._readers[self.shard_named(table, name)].ticket()

    def proven(self, table: str, name: bytes, reading: Reading) -> float:
        """As of when a value is current that came with a reading; minus infinity if unknown."""
        with self._lock:
            return self._readers[self.shard_named(table, name)].proven(reading)

    def may_keep(self, table: str, name: bytes, ticket: Ticket, reading: Reading | None) -> bool:
        """Whether a copy of such a value may stay here."""
        with self._lock:
            return self._readers[self.shard_named(table, name)].may_keep(ticket, Change(table, name), reading)

    def confirms(self, shard: int, epoch: str, at: float) -> bool | None:
        """Whether an epoch of a shard proves something as of a moment; None if not yet, False if it is over."""
        with self._lock:
            reader = self._readers[shard]
            if reader.epoch != epoch:
                return False
            return True if reader.proven_at >= at else None

    def events(self, shard: int) -> list[tuple[object, ...]]:
        """The last events of the protocol in a shard, the newest last."""
        with self._lock:
            return list(self._readers[shard].events)

    def fence(self, shard: int) -> bool:
        """Ends the epoch of a shard, everywhere; whether it could be reached."""
        epoch = self._readers[shard].epoch
        with suppress(LaneError):
            if epoch:
                self._routes.ask(shard, distrust(self._routes.layout(shard), epoch))
                return True
        return False

    def close(self) -> None:
        """Stops following; the next question begins anew."""
        with self._lock:
            self._stop.set()
            threads, self._threads = self._threads, []
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(1.0)
        self._routes.close()
        self._renew()

    def after_fork(self) -> None:
        """In the child nobody follows; the next question begins."""
        self._routes = self._tier.routes()
        self._renew()

    def _renew(self) -> None:
        self.proof.tell(UNKNOWN)
        self._lock = threading.RLock()
        self._readers = [Reader() for _ in range(self._routes.shards)]
        self._vouching = Vouching(self._routes, self._grants)
        self._proven = [UNKNOWN] * len(self._readers)
        for shard in range(len(self._readers)):
            self.standing.tell("", None, shard)
        self.contained = 0  # all transactions below this number are
        self._dropped: deque[tuple[str, Hashable]] = deque(maxlen=DROPPED)
        self._stop = threading.Event()
        self._threads = []

    def _ensure(self) -> None:
        """Follows, if nobody does."""
        if self._threads:
            return
        with self._lock:
            if not self._threads:
                self._threads = [
                    threading.Thread(
                        target=self._follow, args=(server, self._stop), name=f"forecache-follow-{server}", daemon=True
                    )
                    for server in self._routes.servers()
                ]
                for thread in self._threads:
                    thread.start()

    def _follow(self, server: int, stop: threading.Event) -> None:
        """One server or cluster, until told to stop."""
        lanes: dict[Node, Following] = {}
        missing = dict.fromkeys(self._routes.shards_of(server))
        retry_at = UNKNOWN
        while not stop.is_set():
            if missing and now() >= retry_at:
                retry_at = now() + RETRY_SECONDS
                self._connect(server, lanes, missing)
            is_more = self._poll_all(lanes, missing)
            until = now() + POLL_SECONDS
            if not is_more and not self._vouching.hear(until, server, lanes, self._readers, self._hear):
                leads = any(self._readers[shard].epoch for shard in self._routes.shards_of(server))
                stop.wait(POLL_SECONDS if leads else IDLE_SECONDS)
        self._vouching.close(server)
        for lane, _ in lanes.values():
            lane.close()

    def _hear(self, shard: int, epoch: str, entry: Entry) -> bool:
        """An entry that was published; whether it is the next, or is known."""
        reader = self._readers[shard]
        with self._lock:
            effects = reader.heard(epoch, entry)
            self._carry_out(shard, effects)
        if effects:  # or it was told when the log brought it
            self._vouching.applied(shard, [entry])
        return reader.contains(epoch, entry)

    def _connect(self, server: int, lanes: dict[Node, Following], missing: dict[int, None]) -> None:
        """Connects to the nodes that have what is missing."""
        for shard in list(missing):
            try:
                node = self._routes.node(shard)
                if node not in lanes:
                    lanes[node] = self._routes.connect(node), {}
            except LaneError as error:
                self._routes.forget(server, error)
                continue
            with self._lock:
                lanes[node][1][shard] = self._readers[shard].connected()
            del missing[shard]

    def _poll_all(self, lanes: dict[Node, Following], missing: dict[int, None]) -> bool:
        """Asks all nodes; whether there is more to come."""
        is_more = False
        for node, (lane, connections) in list(lanes.items()):
            try:
                is_more = self._poll(lane, connections) or is_more
            except LaneError as error:
                lane.close()
                del lanes[node]
                missing.update(dict.fromkeys(connections))
                self._routes.forget(node.server, error)
        return is_more

    def _poll(self, lane: Lane, connections: dict[int, int]) -> bool:
        """Asks one node for its shards; whether an answer did not hold all."""
        sent_at = now()
        wanted = self._vouching.ask(lane, connections, self._readers)
        is_more = False
        for shard, connection in connections.items():
            (reading, entries), reader = entries_of(answer := lane.receive()), self._readers[shard]
            with self._lock:
                effects = reader.polled(connection, sent_at, reading, entries, known=wanted if answer[KNOWN_AT] else ())
                self._carry_out(shard, effects)
                self._vouching.applied(shard, entries)
                is_more = is_more or (reading.meta is not None and reading.meta.last > reader.position)
        self._vouching.tell(lane, connections, self._readers)
        return is_more

    def _carry_out(self, shard: int, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Flush():
                    self.contained = 0
                    self._holder.forget_all()
                case Drop(changes):
                    for change in changes:
                        self._drop(change)
                case Prove(at, beacon, strong_until):
                    self._proven[shard] = at
                    self._vouching.prove(shard, strong_until)
                    self.proof.tell(min(self._proven))
                    self.contained = min(reader.xmin for reader in self._readers)
                    self.standing.tell(self._readers[shard].epoch, beacon, shard)

    def _drop(self, change: Change) -> None:
        table, name = change
        if table not in self._grants:  # of which no copies are kept
            return
        key = key_of(name)
        if key is EVERY:
            self._holder.forget_table(table)
        else:
            self._holder.forget(table, key)
            self._dropped.append((table, key))
