"""Every defence that can be left out is missed by some layer, and the table of the documentation says by which."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers import DEFENCES, Defence, table, unnamed
from tests.storm.mutants import CAUGHT, MUTANTS


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.missing)
def test_some_layer_notices(defence: Defence) -> None:
    assert defence.is_noticed


def test_every_mutant_lacks_a_defence_that_is_named() -> None:
    assert unnamed() == set()
    assert set(CAUGHT) <= set(MUTANTS)


def test_the_documentation_has_the_table() -> None:
    text = (Path(__file__).parents[1] / "docs" / "model.md").read_text()
    assert table() in text, "put what `python -m tests.layers` prints into docs/model.md"
