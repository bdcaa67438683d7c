"""`Tables`: those of which a process reads rows strongly; a shard notes them with how far the process is.

position|request              of a process that names none, as it is older than that: all tables
position|request|*            all tables, since they would be too many to name
position|request|a,b          those of these names, written as in a URL
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from forecache.coherence.changes import EVERY, Every

__all__ = ["ALL", "NONE", "Record", "Tables", "meet", "named", "record_of", "written"]

Tables = frozenset[str | Every]  # names; `EVERY` stands for all tables

NONE: Final[Tables] = frozenset()
ALL: Final[Tables] = frozenset({EVERY})
MOST_NAMED: Final = 32  # of one process; the names go out with each request for the log


class Record(NamedTuple):
    """What a shard knows of a process that reads strongly."""

    position: int  # up to which it has dropped, and holds, everything
    tables: Tables

    @classmethod
    def parse(cls, text: str) -> Record:
        """The same back."""
        position, _, rest = text.partition("|")
        return cls(int(position), parsed(rest.partition("|")[2]))


def record_of(position: int, request: int, tables: Tables) -> str:
    """What a process tells a shard of itself with a request; the number is higher than those of its requests before."""
    names = "*" if EVERY in tables else ",".join(sorted(written(table) for table in tables if table is not EVERY))
    return f"{position}|{request}|{names}"


def named(tables: Iterable[str]) -> Tables:
    """As a process names tables: all, if they are many."""
    found: Tables = frozenset(tables)
    return found if len(found) <= MOST_NAMED else ALL


def meet(tables: Tables, others: Tables) -> bool:
    """Whether a table is in both."""
    if EVERY in tables or EVERY in others:
        return bool(tables) and bool(others)
    return not tables.isdisjoint(others)


@lru_cache(maxsize=1024)
def written(name: str) -> str:
    """A name without characters that have a meaning here."""
    return quote(name, safe="", errors="surrogatepass")


@lru_cache(maxsize=1024)
def parsed(names: str) -> Tables:
    """Tables by their names."""
    if names in {"", "*"}:
        return ALL
    return frozenset(unquote(name, errors="surrogatepass") for name in names.split(","))
