"""Faults of a Valkey and of the network before it, each followed by a write; used by `near_cache_faults`."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.rivals import LATE, Contestant, Ours, World


def killed_inside_multi(world: World, who: Contestant) -> None:
    """All connections are killed while one is inside MULTI; then the row is written."""
    who.killed(world, 1)


def half_open(world: World, who: Contestant) -> None:
    """The network swallows what readers and server send, and tells nobody; then the row is written."""
    world.readers.goes_dark()
    who.write(1)


def slow_consumer(world: World, who: Contestant) -> None:
    """Whatever the server sends arrives half a second late; then the row is written."""
    world.readers.delay = LATE
    who.write(1)


def output_buffer(world: World, who: Contestant) -> None:
    """The server closes connections whose output is larger than 16 kB; all rows are read, and written at once."""
    who.read_all()
    with world.admin() as admin:
        admin.config_set("client-output-buffer-limit", "normal 16kb 0 0 pubsub 16kb 0 0")
    if isinstance(who, Ours):
        who.read_all()  # which is what has large answers here
    who.write(1, everything=True)


def flushed(world: World, who: Contestant) -> None:
    """FLUSHALL; then the row is written."""
    with world.admin() as admin:
        admin.flushall()
    time.sleep(LATE)
    who.write(1)


def restarted_empty(world: World, who: Contestant) -> None:
    """The server is killed and starts empty; then the row is written."""
    world.server.kill()
    world.server.start()
    who.write(1)


def restarted_from_snapshot(world: World, who: Contestant) -> None:
    """The row is written after the last snapshot; then the server is killed, and starts with the snapshot."""
    with world.admin() as admin:
        admin.save()
    who.write(1)
    time.sleep(LATE)
    world.server.kill()
    world.server.start()


def lagging_replica(world: World, who: Contestant) -> None:
    """The row is written when the replica is cut off; then the primary is killed, and the replica promoted."""
    replica, between = world.replica()
    between.goes_dark()
    who.write(1)
    time.sleep(LATE)
    world.server.kill()
    world.promote(replica)


def old_primary(world: World, who: Contestant) -> None:
    """A replica is promoted; readers stay connected to the old primary; then the row is written."""
    replica, between = world.replica()
    between.goes_dark()
    world.promote(replica)
    world.writers.reset()
    world.sequencers.reset()
    who.write(1)


def overtaken(world: World, who: Contestant) -> None:
    """An answer with the row is half a second late, and its next write is announced before it arrives."""
    who.marks(world.readers, 1)
    who.write(1)
    time.sleep(LATE / 2)
    who.write(2)


FAULTS: dict[str, Callable[[World, Contestant], None]] = {
    "killed inside MULTI": killed_inside_multi,
    "half-open": half_open,
    "slow consumer": slow_consumer,
    "output buffer": output_buffer,
    "FLUSHALL": flushed,
    "restart, empty": restarted_empty,
    "restart, snapshot": restarted_from_snapshot,
    "failover, lagging": lagging_replica,
    "failover, split": old_primary,
    "answer overtaken": overtaken,
}
