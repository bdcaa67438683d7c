"""AccessLog: a directory of files to which a live cache writes its accesses, to be read back as a trace."""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from forecache import _core
from forecache.errors import ConfigurationError
from forecache.record.columnfile import new_compressor
from forecache.record.drain import Drain, Limits
from forecache.units import parse_duration, parse_size

__all__ = ["AccessLog", "LogStats"]

VERSION: Final = 2  # of the columns and of what they mean
BUFFER: Final = 2**18  # accesses; 24 bytes each, twice
LEAST_BUFFER: Final = 2
PUBLIC: Final = bytes(16)  # the secret of those who gave none
WITNESS: Final = "forecache"  # its fingerprint tells two secrets apart without telling them


@dataclass(frozen=True, slots=True)
class LogStats:
    """What became of the accesses since the log was made, or since the fork that made this process."""

    written: int  # in finished files
    pending: int  # recorded, not yet drained
    dropped: int  # found the buffer full
    unrecordable: int  # to keys that have no fingerprint
    lost: int  # drained, but not written: the disk was full, or the directory not writable
    files: int  # finished by this process
    bytes: int  # in them
    error: str | None  # of the last attempt to write; None if it succeeded


class AccessLog:
    """Accesses of one cache, recorded in a directory; give it to `Cache(record=...)`.

    A file appears under its name only once it is whole and durable: after `flush_interval`, or when it has grown to
    `rotate`. Until then its accesses are lost if the process is killed; nothing else is. Whatever goes wrong later,
    as a full disk, is counted in `stats()` and logged once, and never reaches who uses the cache.

    Args:
        directory: where to; made if absent. Several processes and caches of one kind may share it.
        sample: share of the keys to record, in (0, 1]; a key is recorded with all its accesses or not at all.
        max_bytes: of all files in the directory together; the oldest go first.
        rotate: size at which a file ends.
        flush_interval: time after which a file ends at the latest.
        secret: text or bytes, the same on all nodes whose logs are to be merged. Keys are stored as fingerprints of
            64 bits under it. Without a secret, guessed keys can be recognised by theirs.
        node: what this process is called in the metadata of its files; by default the name of the host.
        buffer: accesses that may wait for the disk; what exceeds it is dropped and counted.
        clock: seconds since the epoch; by default the system's, as of its last tick, which is a few ms.

    Raises:
        ConfigurationError: an argument cannot be used, or the directory cannot be made.
        MissingExtraError: zstandard is not installed.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        sample: float = 1.0,
        max_bytes: int | str = "1GiB",
        rotate: int | str = "64MiB",
        flush_interval: str | float | timedelta = "1m",
        secret: str | bytes | None = None,
        node: str | None = None,
        buffer: int = BUFFER,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Checks all arguments, and makes the directory."""
        if not 0 < sample <= 1:
            raise ConfigurationError(f"sample is {sample!r}; expected a share of the keys in (0, 1], such as 0.1")
        if buffer < LEAST_BUFFER:
            raise ConfigurationError(
                f"buffer is {buffer!r}; expected at least {LEAST_BUFFER} accesses, such as {BUFFER}"
            )
        limits = Limits(parse_size(rotate), parse_size(max_bytes), parse_duration(flush_interval))
        if min(limits) <= 0:
            raise ConfigurationError("rotate, max_bytes and flush_interval must be above 0")
        new_compressor()
        self.directory = made(Path(directory))
        self.sample = sample
        self._node = node or socket.gethostname()
        self._is_attached = False
        key = secret_of(secret)
        self._drain = Drain(
            self.directory, limits, lambda wake: _core.Recorder(buffer, sample, key, wake=wake, clock=clock)
        )
        self._describe({})
        self._finalizer = weakref.finalize(self, self._drain.close)

    def attach(self, settings: Mapping[str, Any]) -> _core.Recorder:
        """The recorder for one cache, whose `settings` are noted in the files.

        Raises:
            ConfigurationError: another cache has it.
        """
        if self._is_attached:
            raise ConfigurationError(f"{self!r} records another cache already; make a log for each, in one directory")
        self._is_attached = True
        self._describe(settings)
        return self._drain.recorder

    def follow(self, cache: _core.Store[Any, Any]) -> None:
        """Notes from now on, with each file, when the cache learned; a cache that has gone tells nothing more."""
        self._drain.followed = weakref.ref(cache)

    def fingerprint(self, key: Any) -> int | None:
        """The 64 bits that stand for a key in the files; None if it cannot be recorded.

        Keys of str, int, bytes, float, bool, None, and tuples of them, up to 8 deep, can.
        """
        return self._drain.recorder.fingerprint(key)

    def flush(self) -> None:
        """Finishes a file with all accesses so far; waits for the disk."""
        self._drain.flush()

    def close(self) -> None:
        """Finishes the last file; later accesses are not recorded."""
        self._finalizer()

    def stats(self) -> LogStats:
        """Counts of this process."""
        recorder, counts = self._drain.recorder, self._drain.counts
        return LogStats(
            written=counts.written,
            pending=recorder.pending,
            dropped=recorder.dropped,
            unrecordable=recorder.unrecordable,
            lost=counts.lost,
            files=counts.files,
            bytes=counts.bytes,
            error=counts.error,
        )

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def __repr__(self) -> str:
        """Its directory."""
        return f"AccessLog({str(self.directory)!r}, sample={self.sample})"

    def _describe(self, cache: Mapping[str, Any]) -> None:
        self._drain.metadata = {
            "log": VERSION,
            "name": self.directory.name,
            "node": self._node,
            "sample": self.sample,
            "secret": f"{self.fingerprint(WITNESS):016x}",
            "time_unit": "ms",
            **cache,
        }


def made(directory: Path) -> Path:
    """A directory, made if it is absent.

    Raises:
        ConfigurationError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"no access log in {directory}: {error}; name a directory that can be made") from error
    return directory.absolute()


def secret_of(secret: str | bytes | None) -> bytes:
    """The 16 bytes that a secret of any length stands for; BLAKE2b, RFC 7693.

    Raises:
        ConfigurationError: it is empty, or neither text nor bytes.
    """
    if secret is None:
        return PUBLIC
    if not isinstance(secret, (str, bytes)) or not secret:
        raise ConfigurationError("secret must be text or bytes that cannot be guessed, as of secrets.token_hex()")
    return blake2b(
        secret.encode() if isinstance(secret, str) else secret, digest_size=16, person=b"forecache log"
    ).digest()
