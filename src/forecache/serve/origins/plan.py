"""Plans: what to ask a database, one statement after the other, without saying how it is asked.

A plan is a generator that yields statements and is sent answers. What is decided stands in it once; threads and tasks
only carry statements to a connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

__all__ = ["Answer", "Plan", "Statement", "arun", "run"]

T = TypeVar("T")


class Statement(NamedTuple):
    """One statement in the words of its driver, and the values of its placeholders."""

    sql: Any
    parameters: Any = ()


class Answer(NamedTuple):
    """What a statement returned."""

    rows: Sequence[Sequence[Any]]
    columns: tuple[str, ...] = ()
    types: tuple[object, ...] = ()  # of the columns, in the driver's words; None where it has none


Plan: TypeAlias = Generator[Statement, Answer, T]


def run(plan: Plan[T], ask: Callable[[Statement], Answer]) -> T:
    """Carries a plan out; an error of a statement is raised inside the plan."""
    try:
        statement = next(plan)
        while True:
            try:
                answer = ask(statement)
            except BaseException as error:  # noqa: BLE001 - the plan passes on what it does not handle
                statement = plan.throw(error)
            else:
                statement = plan.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def arun(plan: Plan[T], ask: Callable[[Statement], Awaitable[Answer]]) -> T:
    """The same in a task."""
    try:
        statement = next(plan)
        while True:
            try:
                answer = await ask(statement)
            except BaseException as error:  # noqa: BLE001 - the plan passes on what it does not handle
                statement = plan.throw(error)
            else:
                statement = plan.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
