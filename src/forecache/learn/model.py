"""`Model`: a trained predictor with what is to be known about it, and its file.

The format is the core's (`crates/core/src/model_file.rs`): a mark, a version, the features that it reads, metadata as
JSON, numbers, and a checksum. Nothing in a file is executed, so that a file from anywhere can be tried.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from forecache import _core
from forecache.errors import ModelError
from forecache.extras import TRACES, extra
from forecache.learn.predictor import core_scores
from forecache.record.modelfile import read_model

if TYPE_CHECKING:
    from forecache.learn.dataset import Floats, Rows

with extra(TRACES):
    import numpy as np

__all__ = ["Model"]

WITHIN_CAPACITY: Final = "within_capacity"  # metadata: slope and intercept of the probability


@dataclass(frozen=True, eq=False)
class Model:
    """A predictor of the time until the next access."""

    core: _core.Predictor
    metadata: Mapping[str, Any] = field(default_factory=dict)  # trained on what, when, and figures; what JSON can hold

    @classmethod
    def shipped(cls) -> Self:
        """The model that is part of the package."""
        core, metadata = _core.Predictor.shipped()
        return cls(core, _parsed(metadata))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model in the content of a file.

        Raises:
            ModelError: it is not, or no longer, a model that this version can use.
        """
        core, metadata = _core.Predictor.from_bytes(data)
        return cls(core, _parsed(metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model in a file.

        Raises:
            ModelError: the file cannot be read, or is no model that this version can use.
        """
        data = read_model(path)
        try:
            return cls.from_bytes(data)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model; a file of this name is replaced as a whole, or not at all.

        Raises:
            ModelError: the file cannot be written.
        """
        part = Path(f"{os.fspath(path)}.part")
        try:
            part.write_bytes(self.to_bytes())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ModelError(
                f"{path}: the model cannot be written: {error.strerror}; expected a writable path"
            ) from error

    def to_bytes(self) -> bytes:
        """The content of its file."""
        return self.core.to_bytes(json.dumps(dict(self.metadata), sort_keys=True))

    @property
    def kind(self) -> str:
        """What it is made of: 'forest', 'trees' or 'network'."""
        return self.core.kind

    def predict(self, rows: Rows) -> Floats:
        """Octaves, of shape (rows,)."""
        return core_scores(self.core, rows)

    def probability(self, rows: Rows) -> Floats | None:
        """Of a next access within one capacity, of shape (rows,); None where the model was not calibrated."""
        try:
            slope, intercept = (float(self.metadata[WITHIN_CAPACITY][name]) for name in ("slope", "intercept"))
        except (KeyError, TypeError, ValueError):
            return None
        logits = np.clip(slope * self.predict(rows) + intercept, -30, 30)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)


def _parsed(metadata: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise ModelError("the metadata of the model are no JSON; train it anew") from error
    if not isinstance(value, dict):
        raise ModelError("the metadata of the model are no JSON object; train it anew")
    return value
