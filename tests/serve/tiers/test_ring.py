"""Laws of the ring: the same everywhere, even, and a server that joins or leaves moves its share and no more."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from forecache.keys import encode_key
from forecache.serve.tier import Place
from forecache.serve.tiers.ring import SHARDS, Ring

PLACES = [Place("product", encode_key(number)) for number in range(20_000)]
SERVERS = [f"10.0.0.{number}:6379" for number in range(1, 7)]


def homes(servers: list[str]) -> list[str]:
    ring = Ring(servers)
    return [servers[ring.home(place).server] for place in PLACES]


@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_a_server_that_leaves_moves_only_its_own_places_about_one_in_n(count: int) -> None:
    before, after = homes(SERVERS[:count]), homes(SERVERS[: count - 1])
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {SERVERS[count - 1]}
    assert 0.75 / count < len(moved) / len(PLACES) < 1.25 / count


@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_places_are_spread_evenly(count: int) -> None:
    shares = Counter(homes(SERVERS[:count]))
    assert max(shares.values()) < 1.3 * len(PLACES) / count


def test_the_order_of_servers_does_not_matter() -> None:
    assert homes(SERVERS) == homes(SERVERS[::-1])


def number_of_homes() -> int:
    """All homes in one number: of ints alone, so the same everywhere."""
    ring = Ring(SERVERS)
    return hash(tuple(ring.home(place) for place in PLACES))


def test_another_process_finds_the_same_homes() -> None:
    program = "from tests.serve.tiers.test_ring import number_of_homes; print(number_of_homes())"
    command = [sys.executable, "-c", program]
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": "."}
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert ran.stdout == f"{number_of_homes()}\n"


def test_a_cluster_has_many_shards_and_all_are_used() -> None:
    ring = Ring(["cluster one,two"], is_cluster=True)
    assert {ring.home(place).shard for place in PLACES} == set(range(SHARDS))
    assert {ring.home(place).server for place in PLACES} == {0}
