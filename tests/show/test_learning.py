"""The commands that learn: what they print, write and return."""

import json
import subprocess
import sys

import pytest

from forecache.learn.model import Model
from forecache.show.learning import judgement
from tests.learn.conftest import workload


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("learning")
    workload(15_000).write(path / "shop.csv")
    done = run(path, "train", "shop.csv", "--output", "shop.fcm", "--capacity", "100", "--force", "--json")
    assert done.returncode == 0, done.stderr
    (path / "trained.json").write_text(done.stdout)
    return path


def run(folder, *arguments):
    command = [sys.executable, "-m", "forecache", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_training_writes_a_model_that_knows_where_it_comes_from(folder):
    told = json.loads((folder / "trained.json").read_text())
    assert told["saved"] is True
    metadata = Model.load(folder / "shop.fcm").metadata
    assert metadata["traces"] == [{"name": "shop", "accesses": 15_000, "learned_from": 10_500}]
    (figures,) = metadata["figures"]
    assert (figures["capacity"], figures["held_out"]) == (100, 4500)
    assert figures["hit_ratio"] == told["hit_ratio"] == told["evaluations"][0]["policies"]["shop"]["hit_ratio"]


def test_a_worse_model_is_not_saved_without_force(folder):
    """With two entries there is nothing to learn: the numbers decide, and are said."""
    done = run(folder, "train", "shop.csv", "--output", "tiny.fcm", "--capacity", "2", "--json")
    told = json.loads(done.stdout)
    assert told["saved"] == (told["hit_ratio"] >= told["tinylfu"])
    assert done.returncode == (0 if told["saved"] else 3)
    assert (folder / "tiny.fcm").exists() == told["saved"]


@pytest.mark.parametrize(
    ("ratios", "saved", "said"),
    [
        ((0.5, 0.6, 0.4), None, "not saved: hit ratio 50.00% on what was held out, tinylfu 60.00%"),
        ((0.5, 0.6, 0.4), "m.fcm", "although it is worse than tinylfu"),
        ((0.605, 0.5, 0.6), "m.fcm", "nothing shows that this model is better"),
        ((0.7, 0.5, 0.6), "m.fcm", "the shipped model 60.00%."),
    ],
)
def test_the_verdict_names_the_numbers(ratios, saved, said):
    verdict = judgement(*ratios, 0.01, saved)
    assert said in verdict


def test_evaluating_prints_tables_and_draws(folder):
    done = run(folder, "evaluate", "shop.csv", "--model", "shop.fcm", "--capacity", "100", "--plot", "out/shop.png")
    assert done.returncode == 0, done.stderr
    assert "learned with shop" in done.stdout
    assert "log loss" in done.stdout
    assert (folder / "out" / "shop.png").read_bytes().startswith(b"\x89PNG")
    assert done.stderr == ""


def test_evaluating_as_json_prints_nothing_else(folder):
    done = run(folder, "evaluate", "shop.csv", "--model", "shop.fcm", "--capacity", "50,100", "--json")
    small, large = json.loads(done.stdout)
    assert (small["capacity"], large["capacity"]) == (50, 100)
    assert set(large["predictions"]) == {"shop"}
    assert large["policies"]["min"]["hit_ratio"] > small["policies"]["min"]["hit_ratio"]


def test_tuning_says_what_it_gained(folder):
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'forecache[learn]'")
    done = run(folder, "tune", "shop.csv", "--capacity", "100", "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert "best found" in done.stdout
    assert "gains" in done.stdout


def test_what_tuning_found_is_trained_with(folder):
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'forecache[learn]'")
    found = run(folder, "tune", "shop.csv", "--capacity", "100", "--trials", "2", "--json")
    (folder / "found.json").write_text(found.stdout)
    told = json.loads(found.stdout)
    order = ("train", "shop.csv", "--output", "tuned.fcm", "--capacity", "100", "--force")
    assert run(folder, *order, "--parameters", "found.json").returncode == 0
    predictor = Model.load(folder / "tuned.fcm").metadata["predictor"]
    assert f"depth={told['parameters']['depth']}" in predictor
    done = run(folder, *order, "--parameters", "trained.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected what `forecache tune --json` prints" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "shop.csv", "--model", "absent.fcm"), "absent.fcm"),
        (("evaluate", "shop.csv", "--model", "shop.csv"), "no model file"),
        (("train", "shop.csv", "--output", "x.fcm", "--holdout", "1"), "holdout"),
        (("train", "shop.csv", "--output", "x.fcm", "--capacity", "999999"), "nothing to learn"),
        (("tune", "absent.csv"), "absent.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, arguments, said):
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
