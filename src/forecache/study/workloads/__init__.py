"""Workloads: requests as services would get them, drawn from models whose every number is named in their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from forecache.errors import ConfigurationError
from forecache.study.workloads.networks import social
from forecache.study.workloads.pieces import Event, Workload
from forecache.study.workloads.schools import school
from forecache.study.workloads.shops import CARTS, shop

__all__ = ["WORKLOADS", "Event", "Workload", "generate", "school", "shop", "social"]

WORKLOADS: Final[Mapping[str, Callable[..., Workload]]] = {
    "shop": partial(shop, carts=CARTS),
    "school": school,
    "social": social,
}


def generate(name: str, requests: int, *, seed: int = 0) -> Workload:
    """A workload by name.

    Args:
        name: of `WORKLOADS`.
        requests: accesses, at least 1000.
        seed: of every random choice.

    Raises:
        ConfigurationError: no workload has that name, or there are too few requests.
    """
    if name not in WORKLOADS:
        raise ConfigurationError(f"unknown workload {name!r}; expected one of {', '.join(WORKLOADS)}")
    return WORKLOADS[name](requests, seed=seed)
