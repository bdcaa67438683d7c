"""The model that a cache begins with: a file that cannot be used costs a line in the log, never the service."""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from forecache import _core
from forecache.errors import ConfigurationError, ModelError

__all__ = ["usable_model"]

logger = logging.getLogger("forecache")

PREDICTIVE: Final = "learned"  # how the names of policies that use models begin


def usable_model(path: Any, policy: str) -> bytes | None:
    """The content of a model file, or None, the shipped model, where there is no file or it cannot be used.

    Raises:
        ConfigurationError: the path is none, or the policy uses no model.
    """
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigurationError(
            f"model is {path!r}; expected the path of a model file, as `forecache train` writes it"
        )
    if not policy.startswith(PREDICTIVE):
        raise ConfigurationError(f"policy {policy!r} uses no model; expected policy={PREDICTIVE!r}, or no model")
    from forecache.record.modelfile import read_model

    try:
        data = read_model(path)
        _core.Predictor.from_bytes(data)
    except ModelError as error:
        logger.warning("model %s is not used, the shipped one is: %s", path, error)
        return None
    return data
