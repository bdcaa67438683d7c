"""Progress: in a file a few lines, which say where all stand."""

from __future__ import annotations

import pytest

from forecache.show.progress import Bars, Lines, Silence, teller


def served(told: Silence) -> None:
    with told:
        told.step("database", 1, 1, "5 products")
        for done in range(0, 101, 2):
            for policy in ("lru", "arc"):
                told.standing(policy, done / 200, 7)
            told.step("requests", done, 100, f"{done} of 100")
        told.step("other sizes", 3, 9, "simulated")
        told.step("other sizes", 9, 9, "simulated")


def test_lines_tell_of_each_tenth_and_of_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    served(Lines())
    out, err = capfd.readouterr()
    assert out == ""
    lines = [line.split("s", 1)[1].split() for line in err.splitlines()]
    assert lines[0] == ["database", "100%", "5", "products"]
    assert lines[1] == ["hit", "ratio", "lru", "arc"]
    assert lines[2:12] == [["requests", f"{10 * part}%", *[f"{5 * part}.00%"] * 2] for part in range(1, 11)]
    assert lines[12:] == [["other", "sizes", "100%", "simulated"]]


def test_bars_show_every_policy(capfd: pytest.CaptureFixture[str]) -> None:
    served(Bars())
    out, err = capfd.readouterr()
    assert out == ""
    assert all(name in err for name in ("database", "lru", "arc", "50.00% hits", "other sizes"))


def test_nobody_is_told_anything_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    served(teller(lines=False))
    assert capfd.readouterr() == ("", "")
    assert isinstance(teller(lines=True), Lines)
