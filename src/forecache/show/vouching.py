"""A process of `forecache demo coherence`: reads rows with certificates as fast as it may, and writes down what it got.

python -m forecache.show.vouching DATABASE TIER SECONDS SEED FILE
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import forecache
from forecache._core import now
from forecache.errors import OriginUnavailableError

__all__ = ["KEYS", "LEVEL_SECONDS", "READ", "TABLE", "TIERS"]

TABLE: Final = "item"
KEYS: Final = 20
LEVEL_SECONDS: Final = 0.5
TIERS: Final = ("process", "shared", "database")
READ: Final = np.dtype(
    [("key", "i4"), ("tier", "i4"), ("version", "i8"), ("began", "f8"), ("age", "f8"), ("ended", "f8")]
)
TOGETHER: Final = 50  # reads without a pause
PAUSE_SECONDS: Final = 0.004


def read(database: forecache.Database, key: int) -> tuple[Any, ...] | None:
    """One read as it is written down; None if the database was needed and could not be asked."""
    began = now()
    try:
        row, certificate = database[TABLE].get(key, with_certificate=True)
    except OriginUnavailableError:
        return None
    age = float("nan") if certificate.max_age is None else certificate.max_age
    return key, TIERS.index(certificate.tier), row["version"], began, age, now()


def main(url: str, shared: str, seconds: str, seed: str, file: str) -> None:
    """Reads until killed, or for so long."""
    chance, until = random.Random(int(seed)), now() + float(seconds)  # noqa: S311 - no secret
    with (
        forecache.open(url, [TABLE], shared=shared, level=f"bounded({LEVEL_SECONDS}s)", timeout="1s") as database,
        Path(file).open("ab", buffering=0) as log,
    ):
        while now() < until:
            found = [read(database, chance.randrange(KEYS)) for _ in range(TOGETHER)]
            log.write(np.array([each for each in found if each is not None], READ).tobytes())
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
