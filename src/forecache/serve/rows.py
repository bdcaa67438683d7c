"""`Rows`: one table of a database, read through its copies and written through to the database."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, overload

from forecache._core import CopyReader, now
from forecache.coherence.certificate import Certificate, Certified
from forecache.coherence.level import Level, LevelLike
from forecache.coherence.token import Token
from forecache.errors import KeyTypeError
from forecache.serve.copies import Copies, Found
from forecache.serve.origin import Key
from forecache.serve.plan import ReadPath
from forecache.serve.sessions import read_after, teller_of
from forecache.serve.shell import Plan, arun, run
from forecache.serve.signal import MISSING
from forecache.serve.writes import AsyncDatabaseTransaction, DatabaseTransaction

__all__ = ["Rows"]

PRESENT: Final = -1.0  # the age of what must be what the database shows: nothing is below none at all


class Began(NamedTuple):
    """The moment when a read begins, and what was known then."""

    at: float
    names: tuple[tuple[str, int | None], ...]  # epoch and beacon of each shard, contained in all copies


class Rows:
    """The rows of a table by primary key; a dict that is returned is yours to change.

    A key is as the database has it: 7 and '7' are two. A row that is not there is remembered, too.
    """

    def __init__(
        self,
        name: str,
        path: ReadPath,
        copies: Copies,
        level: Level,
        *,
        transaction: Callable[[], DatabaseTransaction],
        atransaction: Callable[[], AsyncDatabaseTransaction],
        audit: int = 0,
    ) -> None:
        """Reads at `level` unless told otherwise; of `audit` hits one is sampled, or none if it is 0."""
        self.name = name
        self._path = path
        self._copies = copies
        self._level = level
        self._transaction = transaction
        self._atransaction = atransaction
        self._audit = audit
        self._past_hits = 0
        self._renew()

    @overload
    def get(
        self,
        key: Key,
        default: Any = None,
        *,
        level: LevelLike | None = None,
        after: str | None = None,
        with_certificate: Literal[False] = False,
    ) -> Any: ...
    @overload
    def get(
        self,
        key: Key,
        default: Any = None,
        *,
        level: LevelLike | None = None,
        after: str | None = None,
        with_certificate: Literal[True],
    ) -> Certified: ...
    def get(
        self,
        key: Key,
        default: Any = None,
        *,
        level: LevelLike | None = None,
        after: str | None = None,
        with_certificate: bool = False,
    ) -> Any:
        """The row of a key, or `default` if there is none.

        Args:
            key: its primary key; a tuple where that has several columns.
            default: what to return for a row that is absent.
            level: what the answer keeps to; by default as the database was opened.
            after: a token of `Database.token`, maybe of another process: the answer contains all that was committed
                when it was made.
            with_certificate: whether to return a `Certified` instead, which says what is proven of the row.

        Raises:
            LevelError: the database cannot keep the level, or has no tokens.
            SessionLostError: the database was replaced since the token was made, and may lack what it stands for.
            KeyTypeError: the key cannot be one of this table, or only resembles the key of a row.
            OriginUnavailableError: the database is needed, and cannot be asked.
        """
        if after is None and not with_certificate:
            row = self._read(key) if level is None else self._within(level, self._read, key)
            if row is not MISSING:
                return default if row is None else row
        elif after is None:
            answer = self._certify(key) if level is None else self._within(level, self._certify, key)
            if answer is not MISSING:
                return answer if default is None else or_else(answer, default)
        began, plan = self._begin((key,), level, after)
        found = run(plan)[key]
        return self._answer(found, default, began, with_certificate)

    async def aget(
        self,
        key: Key,
        default: Any = None,
        *,
        level: LevelLike | None = None,
        after: str | None = None,
        with_certificate: bool = False,
    ) -> Any:
        """`get`, for tasks."""
        if after is None and not with_certificate:
            row = self._read(key) if level is None else self._within(level, self._read, key)
            if row is not MISSING:
                return default if row is None else row
        elif after is None:
            answer = self._certify(key) if level is None else self._within(level, self._certify, key)
            if answer is not MISSING:
                return answer if default is None else or_else(answer, default)
        began, plan = self._begin((key,), level, after)
        found = (await arun(plan))[key]
        return self._answer(found, default, began, with_certificate)

    def get_many(
        self,
        keys: Iterable[Key],
        *,
        level: LevelLike | None = None,
        after: str | None = None,
        with_certificate: bool = False,
    ) -> dict[Key, Any]:
        """The rows that there are, by their keys; those that have to be read are read by one query.

        With certificates, every key has an answer, and that of an absent row has None as its row.
        """
        keys = several(keys)
        began, plan = self._begin(keys, level, after)
        found = run(plan)
        return self._answers(found, keys, began, with_certificate)

    async def aget_many(
        self,
        keys: Iterable[Key],
        *,
        level: LevelLike | None = None,
        after: str | None = None,
        with_certificate: bool = False,
    ) -> dict[Key, Any]:
        """`get_many`, for tasks."""
        keys = several(keys)
        began, plan = self._begin(keys, level, after)
        found = await arun(plan)
        return self._answers(found, keys, began, with_certificate)

    def put(self, row: Mapping[str, Any] | Any) -> Key:
        """Inserts a row, or overwrites the columns given of the one that has its key; returns the key."""
        with self._transaction() as transaction:
            key: Key = transaction.put(self.name, row)
        return key

    async def aput(self, row: Mapping[str, Any] | Any) -> Key:
        """`put`, for tasks."""
        async with self._atransaction() as transaction:
            key: Key = await transaction.put(self.name, row)
        return key

    def update(self, key: Key, values: Mapping[str, Any]) -> bool:
        """Overwrites some columns of a row; False if there is none."""
        with self._transaction() as transaction:
            was_there: bool = transaction.update(self.name, key, values)
        return was_there

    async def aupdate(self, key: Key, values: Mapping[str, Any]) -> bool:
        """`update`, for tasks."""
        async with self._atransaction() as transaction:
            was_there: bool = await transaction.update(self.name, key, values)
        return was_there

    def delete(self, key: Key) -> bool:
        """Deletes a row; False if there is none."""
        with self._transaction() as transaction:
            was_there: bool = transaction.delete(self.name, key)
        return was_there

    async def adelete(self, key: Key) -> bool:
        """`delete`, for tasks."""
        async with self._atransaction() as transaction:
            was_there: bool = await transaction.delete(self.name, key)
        return was_there

    @property
    def hits(self) -> int:
        """Reads answered without a plan."""
        return self._past_hits + self._reader.hits

    def __repr__(self) -> str:
        """The table, and its database without a password."""
        return f"<Rows of {self.name!r}: {self._path.origin.name}>"

    def _take_sampled(self) -> list[tuple[str, Key]]:
        """Rows that hits were answered with since this was asked last, some of them."""
        return [(self.name, key) for key in self._reader.take_sampled()]

    def _renew(self) -> None:
        """A native reader for what is known of the database now."""
        watch, level = self._path.watch, self._level
        self._header = watch.header
        self._reader = CopyReader(
            self._copies.cache,
            self.name,
            MISSING,
            header=self._header,
            proof=watch.proof,
            grant=watch.grant(self.name),
            standing=watch.standing,
            max_age=PRESENT if watch.tells or level.kind in {"strong", "snapshot"} else level.seconds,
            every=self._audit,
        )
        self._read, self._certify = self._reader.read, self._reader.certify

    def _within(self, level: LevelLike, read: Callable[[Key, float], Any], key: Key) -> Any:
        """What is natively read of a copy that is good enough for a level, where proofs say how old copies are."""
        wanted = Level.parse(level)
        if self._path.watch.proof is None or wanted.kind == "snapshot":
            return MISSING
        return read(key, PRESENT if wanted.kind == "strong" else wanted.seconds)

    def _begin(
        self, keys: Iterable[Key], level: LevelLike | None, after: str | None
    ) -> tuple[Began, Plan[dict[Key, Found]]]:
        """When a read begins and what is known then, and how it is carried out."""
        wanted = self._level if level is None else Level.parse(level)
        self._path.watch.check(wanted)
        if self._header is not self._path.watch.header:
            self._past_hits += self._reader.hits
            self._renew()
        watch = self._path.watch
        began = Began(now(), watch.standing.known())
        if after is None:
            return began, self._path.read(self.name, keys, wanted, began.at)
        teller_of(self._path.origin)
        return began, read_after(self._path, self.name, keys, level=wanted, token=Token.parse(after), began=began.at)

    def _answer(self, found: Found, default: Any, began: Began, with_certificate: bool) -> Any:
        row = default if found.copy.row is None else found.copy.give()
        return Certified(row, self._certificate(found, began)) if with_certificate else row

    def _answers(
        self, found: Mapping[Key, Found], keys: Iterable[Key], began: Began, with_certificate: bool
    ) -> dict[Key, Any]:
        answers = {key: self._answer(found[key], None, began, with_certificate) for key in keys}
        return answers if with_certificate else {key: row for key, row in answers.items() if row is not None}

    def _certificate(self, found: Found, began: Began) -> Certificate:
        """What is proven of an answer."""
        stamp, shard = found.copy.stamp, found.copy.shard
        epoch, number = began.names[shard]
        if math.isinf(found.as_of):
            return Certificate("shared", epoch, shard, None, None)
        # Numbers of changes, which stamps are, and beacons are not.
        if self._path.watch.proof is None and stamp is not None:
            number = max(stamp - 1, stamp - 1 if number is None else number)
        return Certificate(found.tier, epoch, shard, number, max(0.0, began.at - found.as_of))


def several(keys: Iterable[Key]) -> list[Key]:
    """Keys, of which there may be none.

    Raises:
        KeyTypeError: it is one str, whose letters would be taken for keys.
    """
    if isinstance(keys, (str, bytes)):
        raise KeyTypeError(f"keys is {keys!r}; expected several keys, as in [{keys!r}]")
    return list(keys)


def or_else(answer: Certified, default: Any) -> Certified:
    """The answer, with a default in place of a row that is absent."""
    return answer if answer.row is not None else Certified(default, answer.certificate)
