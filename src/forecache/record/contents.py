"""Contents: what a directory of cleaned rows holds; files that it does not name do not count."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from forecache.errors import ConfigurationError, TraceFormatError

__all__ = ["PART", "Contents"]

NAME: Final = "contents.json"
PART: Final = "part-"  # begins the name of every other file


@dataclass(frozen=True, slots=True)
class Contents:
    """Files of rows in order of time, each of a range of its own."""

    parts: tuple[str, ...] = ()  # names of files
    sealed: int = 0  # how many of them, the first ones, will not change
    sealed_until: int | None = None  # ms since the epoch at which they end
    made: int = 0  # files ever written
    metadata: Mapping[str, Any] = field(default_factory=dict)  # what the keys are, as in the files

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """What a directory holds; None if it has no table of contents.

        Raises:
            TraceFormatError: the table is damaged.
        """
        path = directory / NAME
        try:
            written = json.loads(path.read_text())
            return cls(**{**written, "parts": tuple(written["parts"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TraceFormatError(f"{path}: damaged ({error}); clean the logs into a new directory") from error

    @classmethod
    def opened(cls, directory: Path) -> Self:
        """What a directory holds to which rows are to be added; it is made if it is absent.

        Raises:
            TraceFormatError: the table is damaged.
            ConfigurationError: the directory holds something else, or cannot be made.
        """
        found = cls.read(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if found is None and any(not name.startswith(PART) for name in os.listdir(directory)):
                raise ConfigurationError(f"{directory} holds other files; name a directory for cleaned logs only")
        except OSError as error:
            raise ConfigurationError(f"cleaned logs cannot be written to {directory}: {error}") from error
        return found or cls()

    def unsealed(self, directory: Path) -> list[Path]:
        """The files that may still change."""
        return [directory / name for name in self.parts[self.sealed :]]

    def followed_by(self, parts: list[str], sealed: int, sealed_until: int, metadata: Mapping[str, Any]) -> Contents:
        """The contents once files, the first ones of them sealed, have taken the place of the unsealed ones."""
        return Contents(
            parts=(*self.parts[: self.sealed], *parts),
            sealed=self.sealed + sealed,
            sealed_until=sealed_until,
            made=self.made + len(parts),
            metadata=metadata,
        )

    def write(self, directory: Path) -> None:
        """Makes the files named the contents of the directory, at one stroke, and removes all others.

        Raises:
            OSError: the directory cannot be written.
        """
        unfinished = directory / f"{PART}{NAME}"
        with unfinished.open("w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(directory / NAME)
        for path in directory.glob(f"{PART}*"):
            if path.name not in self.parts:
                path.unlink()
