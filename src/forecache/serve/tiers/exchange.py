"""Exchange: one round of commands with some servers, written once for threads and tasks.

It is a generator: it yields what to send, is sent what came back, and returns the replies. Whoever runs it only sends.
Around the commands of the caller it asks each server's breaker, delivers what was postponed, and sends scripts in full
to a server that does not know them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from forecache.serve.breaker import Breaker
from forecache.serve.budget import Budget
from forecache.serve.tier import Unavailable
from forecache.serve.tiers.layout import SCRIPTS
from forecache.serve.tiers.link import TOO_LATE, Answer, Command, Link
from forecache.serve.tiers.postponed import Postponed, Taken, deletions

__all__ = ["Call", "Replies", "Sending", "Server", "Steps", "arun", "exchange", "new_server", "run"]

Result = TypeVar("Result")
Replies = list[Any] | Unavailable

LEFT_ALONE: Final = Unavailable("it failed before, and is left alone for a while")
NO_TIME: Final = Unavailable(TOO_LATE.reason)
FORGOTTEN: Final = "NoScriptError"


class Server(NamedTuple):
    """A server, and what is known about it."""

    name: str
    link: Link
    breaker: Breaker
    postponed: Postponed
    timeout: float  # seconds


class Call(NamedTuple):
    """Commands for a server."""

    server: Server
    commands: Sequence[Command]


class Sending(NamedTuple):
    """What to send, and how long to wait."""

    link: Link
    commands: Sequence[Command]
    budget: Budget
    timeout: float

    def seconds(self) -> float:
        """That may be waited from now on; 0 if others took what there was."""
        return self.budget.within(self.timeout)


Steps = Generator[list[Sending], list[Answer], Result]


class Turn:
    """One server's part of an exchange."""

    def __init__(self, call: Call, budget: Budget) -> None:
        """Asks the breaker, if there is time."""
        self.server, self.budget = call.server, budget
        self.taken: Taken = self.server.postponed.take()
        first = deletions(self.taken)
        self.commands = [*first, *call.commands]
        self.deletions = len(first)
        self.ticket: int | None = None
        self.replies: Replies = NO_TIME
        if not budget.is_spent():
            self.ticket = self.server.breaker.enter()
            self.replies = [] if self.ticket is not None else LEFT_ALONE

    def sending(self, commands: Sequence[Command]) -> Sending:
        """These commands, for as long as time is left."""
        return Sending(self.server.link, commands, self.budget, self.server.timeout)

    def receive(self, answer: Answer) -> None:
        """Keeps replies, or the reason why there are none."""
        self.replies = Unavailable(answer.reason) if answer.replies is None else answer.replies
        self._tell_breaker(answer)

    def forgotten(self) -> list[int]:
        """Places of scripts that the server does not know."""
        if isinstance(self.replies, Unavailable):
            return []
        return [at for at, reply in enumerate(self.replies) if type(reply).__name__ == FORGOTTEN]

    def receive_again(self, places: list[int], answer: Answer) -> None:
        """Puts the replies of scripts sent in full in their places."""
        if answer.replies is None or isinstance(self.replies, Unavailable):
            return self.receive(answer)
        for at, reply in zip(places, answer.replies, strict=True):
            self.replies[at] = reply
        return None

    def result(self) -> Replies:
        """The replies to the caller's commands; none if what was postponed is still there."""
        if isinstance(self.replies, Unavailable):
            return self.replies
        if errors := [reply for reply in self.replies[: self.deletions] if isinstance(reply, Exception)]:
            return Unavailable(type(errors[0]).__name__)
        if self.taken:
            self.server.postponed.confirm(self.taken)
        return self.replies[self.deletions :]

    def _tell_breaker(self, answer: Answer) -> None:
        if self.ticket is None:
            return
        if answer.is_failure:
            self.server.breaker.fail(self.ticket, answer.reason)
        elif answer.replies is None:
            self.server.breaker.leave(self.ticket)
        else:
            self.server.breaker.succeed(self.ticket)


def exchange(calls: Sequence[Call], budget: Budget) -> Steps[list[Replies]]:
    """The replies of each server to its commands; errors among them are exceptions."""
    turns = [Turn(call, budget) for call in calls]
    admitted = [turn for turn in turns if turn.ticket is not None]
    if admitted:
        answers = yield [turn.sending(turn.commands) for turn in admitted]
        for turn, answer in zip(admitted, answers, strict=True):
            turn.receive(answer)
    again = [(turn, places) for turn in admitted if (places := turn.forgotten())]
    if again:
        answers = yield [turn.sending([in_full(turn.commands[at]) for at in places]) for turn, places in again]
        for (turn, places), answer in zip(again, answers, strict=True):
            turn.receive_again(places, answer)
    return [turn.result() for turn in turns]


def in_full(command: Command) -> Command:
    """A script's command with its text."""
    return SCRIPTS[command[1]].in_full(command)


def new_server(name: str, link: Link, timeout: float, seed: int | None) -> Server:
    """A server of which nothing is known yet."""
    return Server(name, link, Breaker(f"shared tier {name}", seed=seed), Postponed(), timeout)


def run(steps: Steps[Result]) -> Result:
    """Runs an exchange in a thread: one server after another."""
    try:
        sendings = next(steps)
        while True:
            sendings = steps.send([sending.link.send(sending.commands, sending.seconds()) for sending in sendings])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def arun(steps: Steps[Result]) -> Result:
    """Runs an exchange in a task: all servers at once."""
    try:
        sendings = next(steps)
        while True:
            sendings = steps.send(
                await asyncio.gather(*(sending.link.asend(sending.commands, sending.seconds()) for sending in sendings))
            )
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
