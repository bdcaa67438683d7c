"""Optional packages: import them under `extra`, and their absence names the command that installs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forecache.errors import MissingExtraError

__all__ = ["TRACES", "extra"]

TRACES = "cli"  # the extra that brings numpy, polars and zstandard


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Translates a package missing from the imports in its body.

    Raises:
        MissingExtraError: an imported package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "unknown", name) from error
