"""The WAL-index of an SQLite file, mapped: a look at it tells whether any process committed.

Source: https://sqlite.org/walformat.html, section 2. A writer changes both copies of the header in the moment in which
its commit becomes visible, before COMMIT returns.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from pathlib import Path
from typing import Final, NamedTuple

from forecache import _core
from forecache.errors import ConfigurationError

__all__ = ["FileId", "file_id", "is_restart", "map_header", "refuse_network_file"]

HEADER_BYTES: Final = 96  # two copies
FIELDS: Final = struct.Struct("=II I BBH II II II II")  # of one copy, 48 bytes
NETWORK: Final = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "lustre",
    "9p",
    "virtiofs",
    "glusterfs",
    "gpfs",
}
MOUNTS: Final = Path("/proc/self/mountinfo")

FileId = tuple[int, int]  # device and inode

# Closing any descriptor of a file drops all locks that the process has on it (POSIX), those of SQLite's connections
# too. So what was mapped stays open until the file is deleted, when nobody can lock it any more.
kept: Final[dict[FileId, tuple[int, mmap.mmap]]] = {}
door: Final = threading.RLock()


class HeaderFields(NamedTuple):
    """One copy of the header, as far as it matters here."""

    commits: int  # counts commits, modulo 2^32
    frames: int  # in the log; 0 after it was begun anew
    pages: int  # in the database
    salt: int  # grows by one when the log is begun anew


def fields_of(mark: bytes) -> HeaderFields:
    """What a header says."""
    _, _, commits, _, _, _, frames, pages, _, _, salt, *_ = FIELDS.unpack(mark)
    return HeaderFields(commits, frames, pages, int.from_bytes(struct.pack("=I", salt), "big"))


def is_restart(old: bytes, new: bytes) -> bool:
    """Whether nothing happened but that the log was begun anew after a checkpoint."""
    before, after = fields_of(old), fields_of(new)
    salt = (before.salt + 1) % 2**32
    return after.frames == 0 and after == before._replace(frames=0, salt=salt)


def file_id(path: str) -> FileId | None:
    """Which file a path leads to now; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def map_header(path: str) -> tuple[_core.WalHeader, FileId] | None:
    """The header of the WAL-index at `path`; None where it cannot be mapped.

    A connection that has read the file must be open meanwhile, so that the index is there and stays.
    """
    with door:
        let_go_of_deleted()
        identity = file_id(path)
        if identity is None or os.path.getsize(path) < HEADER_BYTES:
            return None
        if identity not in kept:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            kept[identity] = descriptor, mmap.mmap(descriptor, HEADER_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
        return _core.WalHeader(memoryview(kept[identity][1]).cast("Q")), identity


def let_go_of_deleted() -> None:
    """Closes what nobody can open any more."""
    for identity, (descriptor, memory) in list(kept.items()):
        if os.fstat(descriptor).st_nlink == 0:
            del kept[identity]
            os.close(descriptor)
            del memory  # unmapped when no header looks at it any more


def refuse_network_file(path: str) -> None:
    """Whether other machines could write a file: their commits are not seen here.

    Raises:
        ConfigurationError: it is on a network file system.
    """
    kind = file_system_of(Path(path).resolve())
    if kind in NETWORK or kind.startswith("fuse."):
        raise ConfigurationError(
            f"{path} is on a file system of type {kind}, where another machine may write it and is not seen here; "
            "move it to a local disk, or use PostgreSQL"
        )


def file_system_of(path: Path) -> str:
    """The type of the file system that a file is on; empty where the system does not tell."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        where = Path(before.split()[4].encode().decode("unicode_escape"))
        if path.is_relative_to(where) and len(where.parts) >= best:
            best, kind = len(where.parts), after.split()[0]
    return kind
