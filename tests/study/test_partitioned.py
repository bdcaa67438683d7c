"""Laws of curves and training sets from divided histories: near those of the whole, and the same on every engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from forecache.errors import ConfigurationError
from forecache.learn.dataset import Dataset
from forecache.learn.partitioned import collect_partitions
from forecache.record.engines import in_turn, on_cores, on_dask
from forecache.record.partitions import Partitions, partition
from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.partitioned import partitioned_curve, sample_of

KEYS = 20_000
PARTITIONS = 8
CAPACITIES = [500, 2_000, 8_000]


@pytest.fixture(scope="module")
def whole() -> Trace:
    rng = np.random.default_rng(2)
    weights = np.arange(1, KEYS + 1) ** -0.8
    key = rng.choice(KEYS, size=120_000, p=weights / weights.sum())
    return Trace.from_columns(
        key, size=key % 90 + 10, time=np.arange(key.size), name="zipf", metadata={"time_unit": "ms"}
    )


@pytest.fixture(scope="module")
def history(whole: Trace, tmp_path_factory: pytest.TempPathFactory) -> Partitions:
    folder = tmp_path_factory.mktemp("history")
    whole.write(folder / "zipf.parquet")
    return partition(folder / "zipf.parquet", folder / "divided", partitions=PARTITIONS, rows_at_once=50_000)


@pytest.mark.parametrize("weights", ["unit", "size"])
def test_lru_from_partitions_is_near_the_exact_curve(whole: Trace, history: Partitions, weights: str) -> None:
    capacities = CAPACITIES if weights == "unit" else ["10%", "40%"]
    exact = miss_ratio_curve(whole, capacities, weights=weights)  # type: ignore[arg-type]
    found = partitioned_curve(history, capacities, weights=weights)  # type: ignore[arg-type]
    assert found.hit_ratios == pytest.approx(exact.hit_ratios, abs=0.006)
    assert (found.trace, found.keys, found.accesses) == (exact.trace, exact.keys, exact.accesses)
    assert found.capacities == exact.capacities
    assert found.seconds == exact.seconds
    assert all(0 < error < 0.03 for error in found.errors)


def test_one_partition_is_exact(whole: Trace, tmp_path: Path) -> None:
    whole.write(tmp_path / "zipf.parquet")
    alone = partition(tmp_path / "zipf.parquet", tmp_path / "alone", partitions=1)
    found = partitioned_curve(alone, CAPACITIES)
    assert found.hit_ratios == miss_ratio_curve(whole, CAPACITIES).hit_ratios
    assert found.errors == (0, 0, 0)


@pytest.mark.parametrize("policy", ["tinylfu", "min"])
def test_other_policies_are_near_too(whole: Trace, history: Partitions, policy: str) -> None:
    exact = miss_ratio_curve(whole, [2_000], policy=policy)
    found = partitioned_curve(history, [2_000], policy=policy)
    assert found.hit_ratios == pytest.approx(exact.hit_ratios, abs=0.02)
    assert found.samples[0] < 1


def test_a_sample_has_whole_keys_in_order_of_time(whole: Trace, history: Partitions) -> None:
    sample = sample_of(history, 0.1, seed=4)
    mine = np.isin(whole.key, sample.key)
    assert (sample.key == whole.key[mine]).all()
    assert 0.05 < sample.unique / whole.unique < 0.15
    assert sample.metadata["sample"] == 0.1


def columns(data: Dataset) -> list[bytes]:
    return [getattr(data, field.name).tobytes() for field in dataclasses.fields(data)]


def test_training_sets_are_as_of_the_whole(whole: Trace, history: Partitions) -> None:
    found = collect_partitions(history, 2_000, holdout=0.25, most=4_000)
    direct = Dataset.of(whole[:90_000], 2_000, most=4_000)
    assert 3_000 < len(found) <= 4_000
    assert set(found.entries.tolist()) == {2_000 // PARTITIONS}
    assert np.median(found.targets) == pytest.approx(np.median(direct.targets), abs=0.5)
    with pytest.raises(ConfigurationError, match="divide into fewer"):
        collect_partitions(history, 300)


def everything(history: Partitions, run: object) -> list[object]:
    settings: dict[str, object] = {"run": run}
    return [
        partitioned_curve(history, CAPACITIES, **settings),  # type: ignore[arg-type]
        partitioned_curve(history, [2_000], policy="tinylfu", **settings),  # type: ignore[arg-type]
        columns(collect_partitions(history, 2_000, most=2_000, **settings)),  # type: ignore[arg-type]
    ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.mark.filterwarnings("default")  # of Dask's own
def test_two_workers_of_dask_give_what_one_process_gives(history: Partitions, cluster: object) -> None:
    assert len(cluster.scheduler_info()["workers"]) == 2  # type: ignore[attr-defined]
    assert everything(history, on_dask(cluster)) == everything(history, in_turn)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("default")
def test_dask_divides_as_one_process_does(whole: Trace, history: Partitions, cluster: object, tmp_path: Path) -> None:
    whole.write(tmp_path / "zipf.parquet")
    other = partition(tmp_path / "zipf.parquet", tmp_path / "new", partitions=PARTITIONS, run=on_dask(cluster))  # type: ignore[arg-type]
    assert other.parts == history.parts


def test_two_processes_give_what_one_gives(history: Partitions) -> None:
    assert partitioned_curve(history, CAPACITIES, run=on_cores(2)) == partitioned_curve(history, CAPACITIES)
    with pytest.raises(ConfigurationError, match="workers is 0"):
        on_cores(0)
