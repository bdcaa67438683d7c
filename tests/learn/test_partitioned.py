"""Training and evaluation of a divided history: a partition at a time, the same on every engine, and like the whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forecache.errors import ConfigurationError
from forecache.learn.dataset import split
from forecache.learn.evaluate import evaluate
from forecache.learn.model import Model
from forecache.learn.partitioned import Divided, evaluate_partitions
from forecache.record.engines import in_turn, on_cores, on_dask
from forecache.record.partitions import partition
from forecache.record.trace import Trace
from forecache.show.commands import app

CAPACITY = 600


@pytest.fixture(scope="module")
def trace() -> Trace:
    chance = np.random.default_rng(3)
    popular, once = chance.zipf(1.2, 60_000) % 4_000, 10_000 + np.arange(60_000)
    return Trace.from_columns(np.where(chance.random(60_000) < 0.8, popular, once), name="divided")


@pytest.fixture(scope="module")
def divided(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Divided:
    directory = tmp_path_factory.mktemp("divided")
    trace.write(directory / "divided.parquet")
    return Divided(partition(directory / "divided.parquet", directory / "parts", partitions=4), 0.3)


def judged(divided: Divided) -> dict[str, object]:
    found = evaluate_partitions({"own": Model.shipped()}, divided, CAPACITY, policies=("lru", "min"), most=4_000)
    return asdict(found)


def test_hits_are_nearly_those_of_the_whole(trace: Trace, divided: Divided) -> None:
    policies = ("lru", "tinylfu", "learned", "min")
    whole = evaluate({"own": Model.shipped()}, split(trace, 0.3), CAPACITY, policies=policies)
    found = evaluate_partitions({"own": Model.shipped()}, divided, CAPACITY, policies=policies)
    assert (found.trace, found.accesses, found.capacity) == ("divided", len(trace), CAPACITY)
    assert found.cut == divided.cut == pytest.approx(whole.cut, abs=4)
    for policy in (*policies, "own"):
        assert found.hit_ratio(policy) == pytest.approx(whole.hit_ratio(policy), abs=0.02)
    assert found.qualities["own"].auc == pytest.approx(whole.qualities["own"].auc, abs=0.03)


def test_processes_find_what_one_finds(divided: Divided) -> None:
    assert judged(Divided(divided.trace, 0.3, on_cores(2))) == judged(Divided(divided.trace, 0.3, in_turn))


@pytest.mark.filterwarnings("default")  # of Dask's own
def test_two_workers_of_dask_find_what_one_process_finds(divided: Divided) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local,
        distributed.Client(local) as client,
    ):
        assert len(client.scheduler_info()["workers"]) == 2
        assert judged(Divided(divided.trace, 0.3, on_dask(client))) == judged(Divided(divided.trace, 0.3, in_turn))


def test_rows_are_of_the_past_and_bounded(divided: Divided) -> None:
    found = divided.samples(CAPACITY, most=2_000)
    assert len(found) <= 2_000
    assert found.position.max() < 0.71 * max(part.accesses for part in divided.trace.parts)
    assert set(found.entries.tolist()) == {CAPACITY // 4}


def test_a_capacity_that_leaves_partitions_too_little_is_refused(divided: Divided) -> None:
    with pytest.raises(ConfigurationError, match="divide into fewer"):
        evaluate_partitions({}, divided, 100)


def test_the_commands_take_a_divided_history(divided: Divided, tmp_path: Path) -> None:
    model = tmp_path / "own.fcm"
    directory = str(divided.trace.directory)
    result = CliRunner().invoke(
        app, ["train", directory, "--output", str(model), "--capacity", str(CAPACITY), "--force", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert Model.load(model).metadata["traces"][0]["accesses"] == len(divided.trace)
    result = CliRunner().invoke(app, ["evaluate", directory, "--model", str(model), "--capacity", "600", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["cut"] == divided.cut
