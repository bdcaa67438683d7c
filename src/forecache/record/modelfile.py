"""The content of a model file: what learning writes, and caches and simulations read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from forecache.errors import ModelError

__all__ = ["read_model"]

LARGEST_FILE: Final = 64 * 2**20  # bytes; the largest models that make sense have a few


def read_model(path: str | os.PathLike[str]) -> bytes:
    """The content of a model file, not yet looked at.

    Raises:
        ModelError: the file cannot be read, or is far too large.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"{path}: the model cannot be read: {reason}; expected a file to read") from error
    if len(data) > LARGEST_FILE:
        raise ModelError(f"{path}: this is no model file, it is larger than {LARGEST_FILE} bytes")
    return data
