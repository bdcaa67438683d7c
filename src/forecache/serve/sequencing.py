"""`Sequencing`: runs a sequencer between a database and a shared tier: one leads, and the others stand by."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from forecache._core import now
from forecache.coherence.beacons.sequencer import BEACON_SECONDS, Sequencer
from forecache.coherence.changes import EVERY, Change, ChangeSource, Commit, Identity, Message
from forecache.coherence.token import mark_of, past_of
from forecache.errors import KeyTypeError, OriginError, SourceBusyError
from forecache.keys import encode_key
from forecache.serve.leading import Leading
from forecache.serve.patience import Patience
from forecache.serve.stillness import Stillness
from forecache.serve.tier import Place
from forecache.serve.tiers.lanes import Lanes
from forecache.serve.tiers.layout import new_token
from forecache.serve.tiers.valkey import ValkeyTier

__all__ = ["Sequencing", "SequencingStats"]

STAND_BY_SECONDS: Final = 0.2  # between two attempts to lead
WATCH_SECONDS: Final = 0.02  # between two looks whether somebody still leads, where that can be seen
EAGER_SECONDS: Final = 0.05  # between two attempts to reach the database, where all commits wait
RETRY_SECONDS: Final = 0.5  # between two attempts to reach the database
logger = logging.getLogger("forecache")


@dataclass(frozen=True, slots=True)
class SequencingStats:
    """What happened since it began."""

    leads: bool = False
    commits: int = 0
    changes: int = 0
    epochs: int = 0  # that began, over all shards
    evaded: int = 0  # commits that were to wait for us, and could be seen before we let them
    backlog: int = 0  # commands without an answer, and commits that cannot be seen yet


class Sequencing:
    """One candidate. Run it in a thread or process of its own; any number may stand by."""

    def __init__(
        self,
        source: ChangeSource,
        tier: ValkeyTier,
        *,
        beacon_seconds: float = BEACON_SECONDS,
        term: float = 0.0,
    ) -> None:
        """Does nothing yet.

        Args:
            source: of the database's commits; who holds it open leads.
            tier: the shared tier, with namespace.
            beacon_seconds: between two beacons: half of it is a part of the age of every answer.
            term: seconds for which processes may answer strongly after a proof, if the source is a synchronous
                standby: then each commit waits until none of them answers with what was there before, which takes at
                most as long. All candidates have to have the same.
        """
        self._source = source
        self._routes = tier.routes()
        self._home = tier.shard
        self._beacon_seconds, self._term = beacon_seconds, term
        self._commits = self._changes = self._epochs = self._evaded = 0
        self._machine: Sequencer | None = None
        self._patience = Patience(getattr(source, "silence", STAND_BY_SECONDS))

    def stats(self) -> SequencingStats:
        """What happened so far."""
        machine = self._machine
        backlog = 0 if machine is None else machine.backlog
        evaded = self._evaded + (0 if machine is None else machine.evaded)
        return SequencingStats(machine is not None, self._commits, self._changes, self._epochs, evaded, backlog)

    def run(self, stop: threading.Event) -> None:
        """Stands by and leads, until told to stop.

        Raises:
            ConfigurationError: the database is not set up for it, or the server of the tier is no such.
        """
        told = ""
        while not stop.is_set():
            try:
                self._lead(stop)
                told = ""
            except SourceBusyError:
                if told != "busy":
                    logger.info("another sequencer leads; this one stands by")
                told = "busy"
                self._stand_by(stop)
            except OriginError as error:  # unavailable, or another than it was: its tables, its log
                if told != "away":
                    logger.warning("the database cannot be followed, and nothing is proven until it can: %s", error)
                told = "away"
                stop.wait(EAGER_SECONDS if self._term else RETRY_SECONDS)
        self._source.close()
        self._routes.close()

    def _stand_by(self, stop: threading.Event) -> None:
        """Until it is worth another attempt."""
        is_busy = getattr(self._source, "is_busy", None)
        if is_busy is None:
            stop.wait(STAND_BY_SECONDS)
            return
        while not stop.wait(WATCH_SECONDS) and is_busy():
            pass

    def _lead(self, stop: threading.Event) -> None:
        """From the moment when the source is ours until it is not, or another took a shard."""
        if hasattr(self._source, "silence"):
            self._source.silence = self._patience.seconds
        identity = self._source.open()
        self._patience.began(now())
        with Stillness() as stillness:
            try:
                if not self._lead_over(identity, stop):
                    self._lose(stillness)
            except OriginError:
                self._lose(stillness)
                raise

    def _lead_over(self, identity: Identity, stop: threading.Event) -> bool:
        """Whether nobody else took a shard until it ended."""
        taken_at = now()
        logger.info("this sequencer leads")
        past = past_of(identity.system, identity.timeline)
        machine = Sequencer(
            self._routes.shards,
            self._shard_of,
            name=secrets.token_hex(8),
            new_epoch=partial(self._new_epoch, mark_of(past)),
            beacon_seconds=self._beacon_seconds,
            term=self._term,
        )
        # The source is closed first, and at once, since another may lead already.
        with Lanes(self._routes, hears=self._term > 0) as lanes, closing(self._source):
            leading = Leading(machine, self._source, lanes, past=f"{past}\n{identity.history}")
            leading.carry_out([*machine.source_opened(identity, taken_at), *machine.start()])
            self._machine = machine
            leading.looks = getattr(self._source, "looks", None)  # from now on, when it is known who runs
            try:
                while not (stop.is_set() or machine.stopped or self._patience.is_over(now())):
                    leading.step(self._named)
            finally:
                self._machine = None
                self._evaded += machine.evaded
        if machine.stopped:
            logger.warning("this sequencer steps back: %s", machine.stopped)
        return not machine.stopped

    def _lose(self, stillness: Stillness) -> None:
        """Asks for more time, if the source was taken from us while we were merely slow."""
        before, at = self._patience.seconds, now()
        self._patience.lost(at, stillness.settled())
        if self._patience.seconds > before:
            logger.warning("this sequencer was given up soon; from now on after %g seconds", self._patience.seconds)

    def _new_epoch(self, mark: str) -> str:
        """Random, but for its beginning, which tells the past of which it is."""
        self._epochs += 1
        return mark + new_token()[len(mark) :]

    def _shard_of(self, change: Change) -> int:
        return self._home(Place(change.table, change.key))  # type: ignore[arg-type]  # a name

    def _named(self, items: Iterable[Commit | Message]) -> list[Commit | Message]:
        """Commits with names in the place of keys."""
        found: list[Commit | Message] = []
        for item in items:
            if isinstance(item, Message):
                found.append(item)
            else:
                self._commits += 1
                self._changes += len(item.changes)
                found.append(Commit(item.xid, item.position, tuple(map(named, item.changes))))
        return found


def named(change: Change) -> Change:
    """The change with the name of its key; the whole table, if the key cannot have one."""
    if change.key is EVERY:
        return change
    try:
        return Change(change.table, encode_key(change.key))
    except KeyTypeError:
        return Change(change.table, EVERY)
