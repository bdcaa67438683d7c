"""The model that a cache begins with: a file that cannot be used costs a line in the log, never the service."""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from forecache import _core
from forecache.errors import ConfigurationError, ModelError

__all__ = ["usable_model"]

logger = logging.getLogger("forecache")

PREDICTIVE: Final = "learned"  # the policy that uses models


def usable_model(path: Any, *, asked: str, used: str) -> bytes | None:
    """The content of a model file, or None, the shipped model, where there is no file or it cannot be used.

    Args:
        path: of the file, or None.
        asked: the policy that was asked for.
        used: the policy in its place, which uses no model where learning is switched off.

    Raises:
        ConfigurationError: the path is none, or the policy uses no model.
    """
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigurationError(
            f"model is {path!r}; expected the path of a model file, as `forecache train` writes it"
        )
    if asked != PREDICTIVE:
        raise ConfigurationError(f"policy {asked!r} uses no model; expected policy={PREDICTIVE!r}, or no model")
    if used != PREDICTIVE:
        return None
    from forecache.record.modelfile import read_model

    try:
        data = read_model(path)
        _core.Predictor.from_bytes(data)
    except ModelError as error:
        logger.warning("model %s is not used, the shipped one is: %s", path, error)
        return None
    return data
