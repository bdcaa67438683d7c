"""The model of the beacon protocol: it holds within small bounds, and without any defence it does not."""

from __future__ import annotations

import re

import pytest

from tests.model.checking import HERE, check, missing
from tests.model.runs import RUNS, Run

needs_spin = pytest.mark.skipif(bool(missing()), reason=missing())


def name(run: Run) -> str:
    return "-".join([run.name, *run.without]).replace(" ", "-").replace(",", "")


@needs_spin
@pytest.mark.parametrize("run", [run for run in RUNS if run.is_small], ids=name)
def test_what_is_expected_comes_out(run: Run) -> None:
    assert check(run, 100).result == run.expected


def test_every_defence_of_the_model_is_switched_off_in_some_run() -> None:
    for model in ("beacon", "strong", "held"):
        text = (HERE / f"{model}.pml").read_text()
        switches = set(re.findall(r"#ifn?def ([A-Z0-9_]+)", text))
        bounds = set(re.findall(r"#ifndef ([A-Z]+)\n#define", text)) | {"NO_COPIES", "RETURNS", "BY_SERVER", "OTHER"}
        runs = [run for run in RUNS if run.model == model and run.expected == "counter-example"]
        assert switches - bounds == {each for run in runs for each in run.without}
