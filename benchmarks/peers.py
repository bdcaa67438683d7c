"""Policies of others on the cells of a table of hit ratios: libCacheSim's, in C, and theine's, in Python."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.cells import Cell, Place, Subject, astuple

UNIT = ("ARC", "S3FIFO", "Sieve", "LIRS", "TwoQ", "Clock2QPlus", "WTinyLFU", "LHD", "ThreeLCache")
SIZE = ("LRU", "GDSF", "S3FIFO", "ARC", "LHD", "ThreeLCache")
OBJECTS = ("ThreeLCache", {"objective": "object-miss-ratio"})
THEINE = "theine"
LONGEST_IN_PYTHON = 2_000_000  # accesses: some 3 µs each


@dataclass(frozen=True, slots=True)
class Peer:
    """A policy of someone else."""

    name: str
    measure: Callable[[Place], Cell]


def libcachesim(library: ModuleType, subject: Subject, path: Path, commit: str) -> Iterator[Peer]:
    """The policies of libCacheSim, which reads the trace from a file of its own."""
    is_unit = subject.weights == "unit"
    subject.trace.write(path)
    settings = library.ReaderInitParam(ignore_obj_size=is_unit)
    reader = library.TraceReader(str(path), library.TraceType.ORACLE_GENERAL_TRACE, settings)
    chosen: list[tuple[str, str, dict[str, Any]]] = [(f"{name}*", name, {}) for name in (UNIT if is_unit else SIZE)]
    if not is_unit:
        chosen.append(("ThreeLCache objects*", *OBJECTS))
    for label, name, options in chosen:

        def measure(place: Place, label: str = label, name: str = name, options: dict[str, Any] = options) -> Cell:
            cache = getattr(library, name)(place.capacity, **options)
            began = time.thread_time()
            misses, missed_bytes = cache.process_trace(reader)
            cost = (time.thread_time() - began) / place.requests * 1e9
            return Cell(*astuple(place), label, 0, 1 - misses, 1 - missed_bytes, cost, 0.0, commit)

        yield Peer(label, measure)


def theine(library: ModuleType, subject: Subject, commit: str) -> Iterator[Peer]:
    """The cache of theine, an adaptive W-TinyLFU; it has entries of one weight only."""

    def measure(place: Place) -> Cell:
        cache = library.Cache(place.capacity, nolock=True)
        began, hits = time.thread_time(), 0
        for key in subject.trace.key.tolist():
            if cache.get(key)[1]:
                hits += 1
            else:
                cache.set(key, True)
        cost = (time.thread_time() - began) / place.requests * 1e9
        return Cell(*astuple(place), f"{THEINE}*", 0, hits / place.requests, hits / place.requests, cost, 0.0, commit)

    if subject.weights == "unit" and len(subject.trace) <= LONGEST_IN_PYTHON:
        yield Peer(f"{THEINE}*", measure)


@contextmanager
def peers(installed: dict[str, ModuleType], subject: Subject, commit: str) -> Iterator[Sequence[Peer]]:
    """The peers that are installed, on one trace."""
    with tempfile.TemporaryDirectory() as directory:
        found: list[Peer] = []
        if library := installed.get("libcachesim"):
            found += libcachesim(library, subject, Path(directory, "trace.oracleGeneral"), commit)
        if library := installed.get(THEINE):
            found += theine(library, subject, commit)
        yield found
