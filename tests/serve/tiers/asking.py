"""How tests of outages ask a tier."""

from __future__ import annotations

from typing import Any

from forecache.serve.tier import Fill, Found, Lease, Tier, Unavailable, Value
from forecache.serve.tiers.valkey import ValkeyTier
from tests.contracts.tiers import Blocking, until

HOUR = 3600.0
KEY = b"i1"
SHORT = "200ms"  # the timeout where an outage is expected


class Tiers:
    """Makes tiers of one kind, and closes them."""

    def __init__(self, tasks: bool) -> None:
        self.tasks, self.made = tasks, list[Any]()

    def __call__(self, url: str | list[str], **settings: Any) -> Any:
        tier = ValkeyTier.connect(url, **{"timeout": "5s", "lease": "60s"} | settings)
        self.made.append(Blocking(tier) if self.tasks else tier)
        return self.made[-1]


def look(tier: Tier, key: bytes = KEY) -> Found:
    return tier.read("t", [key])[0]


def fill(tier: Tier, payload: bytes = b"value", key: bytes = KEY) -> None:
    lease = until(lambda: is_lease(look(tier, key)))
    assert tier.fill([Fill(lease, payload, HOUR)]) == [True]


def is_lease(found: Found) -> Lease | None:
    return found if isinstance(found, Lease) else None


def heals(tier: Tier, key: bytes = b"i2") -> None:
    """Some time after the fault a value can be filled and read again."""
    fill(tier, b"healed", key)
    assert until(lambda: isinstance(look(tier, key), Value))


def gives_up(tier: Tier) -> None:
    """The tier is asked until it is left alone; every answer says that it is not available."""
    for _ in range(10):
        found = look(tier)
        assert isinstance(found, Unavailable), found
        if found.reason.startswith("it failed before"):
            return
    raise AssertionError("it is still being asked")
