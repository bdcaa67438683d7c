"""The native core of forecache."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from types import GenericAlias
from typing import Any, ClassVar, Final, Generic, Literal, Self, TypeVar, final, overload

from typing_extensions import Buffer, disjoint_base

_K = TypeVar("_K")
_V = TypeVar("_V")
_D = TypeVar("_D")
_Duration = str | float | timedelta

__all__ = [
    "FEATURES",
    "FEATURE_CODES",
    "HORIZON",
    "MODULUS",
    "OFFLINE_POLICIES",
    "OPS",
    "POLICIES",
    "Accesses",
    "Certificate",
    "Certified",
    "Copy",
    "CopyReader",
    "Curve",
    "Entry",
    "Predictor",
    "Proof",
    "Reader",
    "Recorder",
    "Simulation",
    "Standing",
    "Store",
    "WalHeader",
    "context",
    "now",
    "sampled",
    "targets",
    "training_rows",
]

POLICIES: Final[tuple[str, ...]]
OFFLINE_POLICIES: Final[tuple[str, ...]]
FEATURES: Final[tuple[str, ...]]  # what a row is made of
FEATURE_CODES: Final[int]  # values from here on are no numbers, but tell why there is none
HORIZON: Final[int]  # capacities up to which waits are told apart
OPS: Final[tuple[str, ...]]
MODULUS: Final[int]

@final
class Entry(Generic[_V]):
    """What a cache keeps about one key; times are seconds of the cache's clock."""

    @property
    def value(self) -> _V: ...
    @property
    def weight(self) -> int: ...
    @property
    def stored_at(self) -> float | None: ...
    @property
    def fresh_until(self) -> float | None: ...
    @property
    def expires_at(self) -> float | None: ...

@final
class Reader:
    """Reads a store, and counts what it found."""

    def __new__(cls, store: Store[Any, Any], missing: object, due: object) -> Self: ...
    def read(self, key: Any, /) -> Any:
        """The value if it is fresh; `due` if it may be served while a refresh runs; else `missing`."""

    def reset(self) -> None:
        """Begins both counts anew."""

    @property
    def hits(self) -> int:
        """Reads that found something."""

    @property
    def misses(self) -> int:
        """Reads that found nothing."""

@final
class Recorder:
    """Recent accesses, in a buffer of fixed length."""

    def __new__(
        cls,
        capacity: int,
        sample: float,
        secret: bytes,
        *,
        wake: Callable[[], object] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> Self: ...
    def drain(self) -> tuple[int, tuple[int, int], dict[str, bytes]]:
        """Takes what was recorded: the number of accesses, the times of the first and the last, and the columns."""

    def fingerprint(self, key: Any, /) -> int | None:
        """The 64 bits that stand for a key in the log; None if it cannot be recorded."""

    def reset(self) -> None:
        """Begins anew: after a fork, what was recorded is the parent's to write."""

    def close(self) -> None:
        """Records nothing from now on; what was recorded can still be drained."""

    @property
    def threshold(self) -> int:
        """The sample holds the keys whose fingerprint modulo `MODULUS` is below this."""

    @property
    def pending(self) -> int:
        """Accesses that wait to be drained."""

    @property
    def dropped(self) -> int:
        """Accesses that found no room."""

    @property
    def unrecordable(self) -> int:
        """Accesses to keys that have no fingerprint."""

@disjoint_base
class Store(Generic[_K, _V]):
    """A bounded table of Python objects."""

    def __new__(
        cls,
        capacity: int,
        policy: str,
        *,
        seed: int = 0,
        shards: int = 1,
        ttl: float | None = None,
        stale_ttl: float = 0.0,
        jitter: float = 0.0,
        clock: Callable[[], float] | None = None,
        weigher: Callable[[_K, _V], int] | None = None,
        listener: Callable[[_K, _V, str], object] | None = None,
        oracle: Buffer | None = None,
        objective: Literal["objects", "bytes"] = "objects",
        in_background: bool = False,
        recorder: Recorder | None = None,
        model: bytes | None = None,
    ) -> Self: ...
    @property
    def capacity(self) -> int: ...
    @property
    def weight(self) -> int:
        """Total weight of the entries; never above `capacity`."""

    @overload
    def get(self, key: _K, default: None = None, /) -> _V | None:
        """The value of a fresh entry, else `default`."""

    @overload
    def get(self, key: _K, default: _D, /) -> _V | _D: ...
    def get_many(self, keys: Iterable[_K], /) -> dict[_K, _V]:
        """The values of the keys that have a fresh one."""

    def peek(self, key: _K, /) -> Entry[_V] | None:
        """What is kept about a key, or None; counts nothing and changes nothing."""

    def set(
        self,
        key: _K,
        value: _V,
        *,
        ttl: _Duration | None = None,
        stale_ttl: _Duration | None = None,
        tags: Iterable[str] | None = None,
        weight: int | None = None,
    ) -> bool:
        """Stores a value; true when it stayed."""

    def delete(self, key: _K, /) -> bool:
        """Removes a key; true when it was there."""

    def invalidate_tag(self, tag: str, /) -> int:
        """Removes all entries that carry a tag, and says how many."""

    def clear(self) -> None:
        """Removes everything."""

    def _read(self, key: _K, missing: Any, due: Any, /) -> Any: ...
    def _begin(self, key: _K, ticket: Any, tags: Iterable[str] | None = None) -> Any: ...
    def _land(
        self,
        key: _K,
        ticket: Any,
        value: _V,
        load_seconds: float,
        *,
        ttl: _Duration | None = None,
        stale_ttl: _Duration | None = None,
        tags: Iterable[str] | None = None,
    ) -> bool: ...
    def _abandon(self, key: _K, ticket: Any) -> bool: ...
    def _ground(self) -> None: ...
    def _counts(self) -> dict[str, int]: ...
    def _explain(self, key: _K, /) -> dict[str, Any] | None: ...
    def _watch(self, bytes: int) -> None: ...
    def _window(self, shard: int) -> dict[str, Any] | None: ...
    def _foresee(self, keys: Sequence[_K]) -> list[float]: ...
    def _lore(self) -> bytes | None: ...
    def _go_on(self, lore: bytes) -> None: ...
    def _learning(self, shard: int) -> dict[str, Any] | None: ...
    def _timetable(self) -> list[tuple[int, int | None]]: ...
    @property
    def _shards(self) -> int: ...
    def _snapshot(self) -> list[tuple[_K, _V]]: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __getitem__(self, key: _K, /) -> _V: ...
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None: ...
    def __iter__(self) -> Iterator[_K]: ...
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

@final
class Accesses:
    """The columns of a trace that decide hits, with what can be known ahead: who comes back, and when."""

    def __new__(cls, keys: Buffer, sizes: Buffer | None = None, contexts: Buffer | None = None) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def unique(self) -> int:
        """Number of distinct keys."""

    @property
    def unique_bytes(self) -> int:
        """Bytes of the distinct keys, each at its first size."""

@final
class Simulation:
    """One policy at one capacity over one trace."""

    def __new__(
        cls,
        accesses: Accesses,
        policy: str,
        capacity: int,
        *,
        weights: Literal["unit", "size"] = "unit",
        seed: int = 0,
        objective: Literal["objects", "bytes"] = "objects",
        model: bytes | None = None,
        timetable: Sequence[tuple[int, int | None]] | None = None,
        without: Sequence[str] | None = None,  # parts of the learned policy, for experiments
        aside: bool = False,  # it learns on another thread, waited for: its own tells the time of the rest
    ) -> Self: ...
    def run(self, steps: int) -> tuple[int, int, int, int]:
        """Replays the next `steps` accesses; returns accesses, hits, bytes and hit bytes so far."""

    def run_hits(self, steps: int) -> bytes:
        """Replays the next `steps` accesses; returns a byte for each, 1 where it hit."""

@final
class Curve:
    """What LRU would hit at every capacity, from the reuse distances of all keys or of a sample."""

    def __new__(cls, *, rate: float = 1.0, most: int | None = None, share: float = 1.0, seed: int = 0) -> Self: ...
    def survey(self, some: Buffer, accesses: int) -> None:
        """Looks at some of the accesses that will be fed, so many in all: more is looked at of popular keys."""

    def feed(self, keys: Buffer, weights: Buffer | None = None) -> None:
        """The next accesses in order, and the weight of each; without, every key weighs 1."""

    def hits(self, capacities: Sequence[int]) -> tuple[list[float], list[float]]:
        """Hits at each of these capacities, which must grow, and the standard error of each."""

    @property
    def accesses(self) -> int:
        """Accesses fed."""

    @property
    def kept(self) -> int:
        """Those among them that were to kept keys."""

    @property
    def keys(self) -> int:
        """Distinct keys that are kept."""

    @property
    def rate(self) -> float:
        """Share of the keys that is kept by now."""

@final
class Predictor:
    """What predicts the time until the next access, in a form that the core asks at every eviction."""

    @staticmethod
    def shipped() -> tuple[Predictor, str]:
        """The prior that is part of the package, and its metadata."""

    @staticmethod
    def forest(
        rows: Buffer,
        targets: Buffer,
        *,
        trees: int,
        depth: int,
        rate: float,
        ridge: float,
        share: float,
        seed: int = 0,
    ) -> Predictor:
        """Oblivious trees, boosted to fit targets in octaves."""

    @staticmethod
    def trees(
        base: float, roots: Buffer, feature: Buffer, threshold: Buffer, left: Buffer, right: Buffer, value: Buffer
    ) -> Predictor:
        """Binary trees on flat arrays; a leaf is its own left and right child, children come after their parents."""

    @staticmethod
    def network(
        scaling: list[tuple[float, float]],
        flags: list[tuple[int, int]],
        layers: list[tuple[list[float], list[float]]],
    ) -> Predictor:
        """A multilayer perceptron: mean and factor of each feature, pairs of feature and code, weights and biases."""

    @staticmethod
    def from_bytes(data: bytes) -> tuple[Predictor, str]:
        """The predictor in a model file, and its metadata."""

    def to_bytes(self, metadata: str) -> bytes:
        """The model file of the predictor."""

    @property
    def kind(self) -> str:
        """Its form."""

    def scores(self, rows: Buffer) -> bytes:
        """Predictions for rows, in octaves: 32-bit floating numbers, as bytes."""

def training_rows(
    accesses: Accesses,
    capacity: int,
    *,
    weights: str = "unit",
    seed: int = 0,
    most: int | None = None,
    policy: str = "learned",
    model: bytes | None = None,
) -> list[bytes]:
    """The samples that a learned policy takes on a trace: rows, positions, waits, capacities in entries."""

def targets(waits: Buffer, entries: Buffer) -> bytes:
    """What is to be predicted of waits, for capacities in entries: octaves, as 32-bit floating numbers in bytes."""

@final
class Copy:
    """A row as it was read from the database; None if there was none."""

    def __new__(cls, row: Any, read_at: float, stamp: int | None, shard: int = 0) -> Self: ...
    @property
    def row(self) -> Any: ...
    @property
    def read_at(self) -> float: ...
    @property
    def stamp(self) -> int | None: ...
    @property
    def shard(self) -> int: ...
    def give(self) -> Any:
        """The row, for somebody to keep: a dict is copied, as he may change it."""

@final
class Certificate:
    """Where an answer came from, and how old it is at most.

    The answer was the committed value at some moment not earlier than `max_age` seconds before the read began. That
    is proven on one clock of this machine, which counts while the machine sleeps; clocks are never compared.
    """

    def __new__(
        cls,
        tier: Literal["process", "shared", "database"],
        epoch: str,
        shard: int,
        beacon: int | None,
        max_age: float | None,
    ) -> Self: ...
    @property
    def tier(self) -> Literal["process", "shared", "database"]:
        """Who had it: this process, the shared tier, or the database."""

    @property
    def epoch(self) -> str:
        """What `beacon` counts in: one file or server as it is now; those of different epochs do not compare."""

    @property
    def shard(self) -> int:
        """Part of the shared tier; 0 where there are no parts."""

    @property
    def beacon(self) -> int | None:
        """Number of the last change that is surely contained; None where changes have no numbers."""

    @property
    def max_age(self) -> float | None:
        """Seconds; None if nothing is proven, which only level 'eventual' allows."""

    def keeps(self, level: Any) -> bool:
        """Whether an age is proven that a level allows; 'session' is about writes, and cannot be seen here."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Certified(Sequence[Any]):
    """An answer with its certificate: a pair."""

    __match_args__: ClassVar[tuple[str, str]]
    def __new__(cls, row: Any, certificate: Certificate) -> Self: ...
    @property
    def row(self) -> Any:
        """What the read returns without a certificate."""

    @property
    def certificate(self) -> Certificate:
        """What is proven of it."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> Any: ...
    @overload
    def __getitem__(self, index: slice, /) -> Any: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Standing:
    """What certificates of a shard's copies name: its epoch, and the number of what is surely contained in all."""

    def __new__(cls, epoch: str, number: int | None, shards: int = 1) -> Self: ...
    def tell(self, epoch: str, number: int | None, shard: int = 0) -> None:
        """From now on certificates of a shard's copies name these. What they stand for was applied before.

        Raises:
            IndexError: there is no such shard.
        """

    def known(self) -> tuple[tuple[str, int | None], ...]:
        """Epoch and number of each shard. Ask first, and look a copy up then: it contains what is named."""

@final
class CopyReader:
    """Reads the copies of one table's rows."""

    def __new__(
        cls,
        store: Store[Any, Any],
        table: str,
        missing: Any,
        *,
        header: WalHeader | None = None,
        proof: Proof | None = None,
        grant: Proof | None = None,
        standing: Standing | None = None,
        max_age: float = 0.0,
        every: int = 0,
    ) -> Self: ...
    def read(self, key: Any, max_age: float | None = None, /) -> Any:
        """The row of a key if a copy is here and good enough, else `missing`; `max_age` in place of the usual one.

        Where it is below 0, copies are good enough that are what the database shows: those looked up within the grant.
        """

    def certify(self, key: Any, max_age: float | None = None, /) -> Any:
        """The same with a certificate, as `Certified`."""

    def take_sampled(self) -> list[Any]:
        """Keys of hits that were sampled since this was asked last: one of `every`, but not many."""

    @property
    def hits(self) -> int:
        """Reads that were answered."""

@final
class Proof:
    """The moment as of which all copies are current; minus infinity while nothing is proven."""

    def __new__(cls) -> Self: ...
    def tell(self, at: float) -> None:
        """From now on, copies that are here are current as of this moment. What ended was dropped before."""

    @property
    def at(self) -> float:
        """The moment. Ask first, and look a copy up then: what is found is as new."""

@final
class WalHeader:
    """Two copies of the header of SQLite's WAL-index, mapped into memory."""

    def __new__(cls, words: Buffer) -> Self: ...
    def mark(self) -> bytes | None:
        """The header, 48 bytes; None while somebody writes it."""

    def know(self, mark: bytes, seconds: float) -> None:
        """From now on the header counts as unchanged while it is `mark`, but for so many seconds at most."""

    def forget(self) -> None:
        """From now on the header counts as changed."""

    def is_unchanged(self) -> bool:
        """Whether nobody committed since the mark that is known was taken: all that was true then is true now."""

def now() -> float:
    """Seconds of a clock that never goes back and counts while the machine sleeps, where the system has one."""

def context(key: object, /) -> int:
    """What kind of thing a key names, as far as its looks tell: a byte for each view, 0 where nothing is known."""

def sampled(keys: Buffer, rate: float, seed: int = 0) -> bytes:
    """Positions of the accesses to the keys of a spatial sample: 64-bit integers, as bytes."""
