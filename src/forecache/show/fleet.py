"""The demo on servers: several processes serve a shop from one database, a shared tier between, through outages."""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol, Self

from forecache.coherence.level import Level
from forecache.errors import CapacityError, ConfigurationError
from forecache.show.catalogue import create, divided, lost, versions
from forecache.show.outages import Keeper, Outage, check_outages
from forecache.show.servers import SERVERS, Sequencer, Server
from forecache.show.serving import READY, TABLE, Done, Note, Tick, Work, serve
from forecache.study.workloads import shop
from forecache.units import Capacity, parse_duration

__all__ = ["Fleet", "Report", "Served", "run_fleet"]

TTL: Final = "2s"  # of copies whose age nobody asks for: how long others may serve what was
LONG_TTL: Final = "5m"
HEAL_SECONDS: Final = 6.0  # after which circuit breakers have tried again, once a server is back
JOIN_SECONDS: Final = 3.0  # for a process to close its connections
START_SECONDS: Final = 60.0  # for processes to import what they need, and to connect


@dataclass(frozen=True)
class Fleet:
    """What is served, and by whom."""

    origin: str  # 'sqlite' or 'postgresql'
    shared: str | None  # 'valkey', or none
    processes: int
    requests: int
    rate: float  # requests a second, of all processes together
    capacity: str  # rows in each process, or a share of the products that are asked for
    level: str
    ttl: str
    stale_on_error: str | None = None
    outages: tuple[Outage, ...] = ()
    seed: int = 0

    @classmethod
    def planned(
        cls, origin: str, shared: str | None, level: str | None, stale_on_error: str | None, **settings: Any
    ) -> Self:
        """With the level that is proven at little cost; where none is asked for, copies live shortly.

        Raises:
            ConfigurationError: a setting cannot be used, as is found before anything is started.
        """
        if origin == "sqlite" and shared is not None:
            raise ConfigurationError(
                "a tier is shared in front of a database that is a server, and a file of SQLite is read faster than a "
                "tier; leave --shared out, or take --origin postgresql"
            )
        there = [name for name in (origin, shared) if name in SERVERS]
        check_outages(settings.get("outages", ()), [*there, *(["sequencer"] if len(there) > 1 else [])])
        if stale_on_error is not None:
            parse_duration(stale_on_error)
        wanted = Level.parse(level or ("strong" if origin == "sqlite" else "bounded(1s)"))
        ttl = TTL if stale_on_error is None and math.isinf(wanted.seconds) else LONG_TTL
        return cls(origin, shared, level=str(wanted), stale_on_error=stale_on_error, ttl=ttl, **settings)

    @property
    def oldest(self) -> float:
        """Seconds that no answer may be older than."""
        excused = 0.0 if self.stale_on_error is None else parse_duration(self.stale_on_error)
        return max(Level.parse(self.level).seconds, excused)


class Report(Protocol):
    """Is told how it goes."""

    def say(self, text: str) -> None:
        """Something happened."""

    def tick(self, phase: str, tick: Tick) -> None:
        """A process got so far."""


@dataclass
class Served:
    """What came of it."""

    fleet: Fleet
    products: int
    ticks: list[tuple[str, Tick]] = field(default_factory=list)  # with the phase in which each was
    lost: int = 0  # writes that were acknowledged and are not in the database
    unfinished: int = 0  # processes that ended before their work

    @property
    def forgotten(self) -> int:
        """Answers older than a commit of the very process that gave them."""
        return sum(tick.forgotten for _, tick in self.ticks)

    @property
    def too_old(self) -> int:
        """Answers older than their level allows."""
        return sum(tick.too_old for _, tick in self.ticks)

    @property
    def unexcused(self) -> int:
        """Requests that failed while the database was up."""
        return sum(sum(tick.failures.values()) for phase, tick in self.ticks if self.fleet.origin not in phase)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was broken."""
        return not (self.lost or self.forgotten or self.too_old or self.unexcused or self.unfinished)


def run_fleet(fleet: Fleet, report: Report) -> Served:
    """Starts the servers and the processes, serves all requests, and looks at what is in the database then.

    Raises:
        MissingExtraError: a server's package is not installed.
        ConfigurationError: a setting cannot be used.
        OSError: a server does not start.
    """
    trace = shop(fleet.requests, seed=fleet.seed).trace
    products = int(trace.key.max())
    wanted = Capacity.parse(fleet.capacity)
    if wanted.unit == "bytes":
        raise CapacityError(f"capacity {fleet.capacity!r} is in bytes; the demo counts entries: write '2%' or '500'")
    capacity = wanted.resolve(trace)
    with ExitStack() as stack:
        servers = started(fleet, stack, report)
        source = source_of(fleet, servers, stack)
        create(source, products)
        if fleet.origin == "postgresql" and fleet.shared:
            servers["sequencer"] = stack.enter_context(Sequencer(source, servers[fleet.shared].url, TABLE))
            report.say(f"sequencer is up ({servers['sequencer'].place})")
        keeper = Keeper(servers, fleet.outages, report.say)
        stack.callback(keeper.close)
        report.say(f"{products:,} products, {fleet.processes} processes, {fleet.rate:,.0f} requests a second in all")
        settings: dict[str, Any] = {"capacity": capacity, "level": fleet.level, "ttl": fleet.ttl}
        settings |= {"stale_on_error": fleet.stale_on_error, "seed": fleet.seed}
        settings |= {"shared": servers[fleet.shared].url if fleet.shared else None}
        team = Team(fleet, stack, report, keeper, Served(fleet, products))
        promised = team.run(source, settings, divided(trace, fleet.processes))
        keeper.wait()
        team.served.lost = lost(promised, versions(source))
        return team.served


class Team:
    """The processes."""

    def __init__(self, fleet: Fleet, stack: ExitStack, report: Report, keeper: Keeper, served: Served) -> None:
        """Not started."""
        self.served = served
        self._fleet, self._stack, self._report, self._keeper = fleet, stack, report, keeper
        self._pipes: dict[Connection, int] = {}

    def run(self, source: str, settings: dict[str, Any], requests: Sequence[Sequence[str]]) -> list[Done]:
        """Starts all, lets them begin together, and listens until they are done."""
        context = multiprocessing.get_context("spawn")
        latest = context.RawArray("Q", self.served.products + 1)
        rate = self._fleet.rate / self._fleet.processes
        for number, mine in enumerate(requests):
            here, there = context.Pipe()
            work = Work(number, self._fleet.processes, source, tuple(mine), rate, self._fleet.oldest, settings)
            process = context.Process(target=serve, args=(work, there, latest), daemon=True)
            with uninterrupted():
                process.start()
            there.close()
            self._pipes[here] = number
            self._stack.callback(process.terminate)
            self._stack.callback(process.join, JOIN_SECONDS)
            self._stack.callback(close, here)
        for pipe in self._pipes:
            answer = pipe.recv() if pipe.poll(START_SECONDS) else Note("a process of the demo did not start in time")
            if answer != READY:
                raise ConfigurationError(answer.text)
        began = time.monotonic()
        self._keeper.start(began)
        for pipe in self._pipes:
            pipe.send(began)
        return self._listen()

    def _listen(self) -> list[Done]:
        """Until every process is done, or gone."""
        done: list[Done] = []
        open_pipes = dict(self._pipes)
        while open_pipes:
            for pipe in wait(list(open_pipes)):
                if not isinstance(pipe, Connection):
                    continue
                try:
                    message = pipe.recv()
                except (EOFError, ConnectionResetError):
                    message = None
                if isinstance(message, Note):
                    self._report.say(f"process {open_pipes[pipe]}: {message.text}")
                elif isinstance(message, Tick):
                    self._count(message)
                else:
                    self._leave(open_pipes.pop(pipe), message, done)
        return done

    def _leave(self, number: int, message: Done | None, done: list[Done]) -> None:
        if message is not None:
            done.append(message)
        else:
            self.served.unfinished += 1
            self._report.say(f"process {number} is gone")

    def _count(self, tick: Tick) -> None:
        down = self._keeper.down_between(tick.began, tick.ended)
        healing = [
            name for name in self._keeper.down_between(tick.began - HEAL_SECONDS, tick.ended) if name not in down
        ]
        phase = "all up"
        if down:
            phase = f"without {' and '.join(down)}"
        elif healing:
            phase = f"just after {' and '.join(healing)}"
        self.served.ticks.append((phase, tick))
        self._report.tick(phase, tick)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets what is started here hear no Ctrl-C, and whoever starts it a little later; a child would tell of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would undo what follows, if it were started then
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def close(pipe: Connection) -> None:
    """Lets a process end."""
    with suppress(OSError):  # it has
        pipe.send(None)
    pipe.close()


def started(fleet: Fleet, stack: ExitStack, report: Report) -> dict[str, Server]:
    """The servers, which end with the stack."""
    servers: dict[str, Server] = {}
    for name in (fleet.origin, fleet.shared):
        if name in SERVERS:
            servers[name] = stack.enter_context(SERVERS[name]())
            report.say(f"{name} is up ({servers[name].place})")
    return servers


def source_of(fleet: Fleet, servers: dict[str, Server], stack: ExitStack) -> str:
    """URL of the database."""
    if fleet.origin == "postgresql":
        return servers["postgresql"].url
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="forecache-demo-")))
    return f"sqlite:///{folder / 'shop.db'}"
