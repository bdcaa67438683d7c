"""Keys: the texts of a key, as a database's log has them, as the values that rows have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from forecache.coherence.changes import EVERY, Every, Key
from forecache.coherence.postgresql.asking import Asking
from forecache.coherence.postgresql.coverage import quoted
from forecache.extras import extra

with extra("postgresql"):
    import psycopg
    from psycopg.adapt import Transformer
    from psycopg.pq import Format

__all__ = ["loader"]


def loader(asking: Asking, address: str, key: Sequence[str]) -> Callable[[Sequence[bytes]], Key | Every]:
    """What makes a key of the texts of its columns; `EVERY` where a row has no such key.

    The types are asked of a query, as rows are, which tells the base of a domain.
    """
    columns = ", ".join(map(quoted, key))
    result = asking.execute(f"SELECT {columns} FROM {address} LIMIT 0").pgresult  # noqa: S608 - names are quoted
    assert result is not None  # noqa: S101 - tells the type checker
    transformer = Transformer(asking)
    loads: list[Callable[[bytes], Any]] = [
        transformer.get_loader(result.ftype(at), Format.TEXT).load for at in range(len(key))
    ]

    def one(texts: Sequence[bytes]) -> Key | Every:
        try:
            found: Key = loads[0](texts[0])
            hash(found)
        except (psycopg.Error, ValueError, OverflowError, TypeError):
            return EVERY
        return found

    def several(texts: Sequence[bytes]) -> Key | Every:
        try:
            found = tuple(load(part) for load, part in zip(loads, texts, strict=True))
            hash(found)
        except (psycopg.Error, ValueError, OverflowError, TypeError):
            return EVERY
        return found

    return one if len(key) == 1 else several
