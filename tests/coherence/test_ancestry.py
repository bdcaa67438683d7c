"""Which tokens hold in a past that began with another, by the history of its timeline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.coherence.postgresql.ancestry import Ancestry
from forecache.coherence.token import Token

HISTORY = '# kept by hand\n\n1\t0/3000000\tno recovery target specified\n  2\t1/0\tat restore point "a # b"\n'
positions = st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=6).map(sorted)


def history_of(ends: list[int]) -> str:
    """As PostgreSQL writes it, of timelines 1, 2, 3 …, which were left where they say."""
    lines = (f"{number}\t{end >> 32:X}/{end & 0xFFFFFFFF:X}\twhy" for number, end in enumerate(ends, 1))
    return "".join(f"{line}\n" for line in lines)


def test_a_history_names_the_pasts_before_and_where_they_were_left() -> None:
    assert Ancestry.parse("9-3", HISTORY) == Ancestry("9-3", (("9-1", 0x3000000), ("9-2", 1 << 32)))
    assert Ancestry.parse("9-1", "") == Ancestry("9-1")


@given(positions, st.integers(0, 7), st.integers(0, 2**64 - 1), st.integers(0, 9))
def test_a_token_holds_where_the_log_behind_it_is_part_of_the_past(
    ends: list[int], timeline: int, position: int, number: int
) -> None:
    past = f"9-{len(ends) + 1}"
    ancestry = Ancestry.parse(past, history_of(ends))
    heir = ancestry.heir(Token(f"9-{timeline}", number, position))
    is_there = timeline == len(ends) + 1 or (1 <= timeline <= len(ends) and position <= ends[timeline - 1])
    assert heir == (Token(past, number, position) if is_there else None)


@given(positions)
def test_what_may_be_lost_has_no_heir(ends: list[int]) -> None:
    ancestry = Ancestry.parse(f"9-{len(ends) + 1}", history_of(ends))
    assert ancestry.heir(Token("9-1", 7)) is None, "nobody knows how far the log was"
    assert ancestry.heir(Token("8-1", 7, 1)) is None, "it is another database"
    assert ancestry.heir(Token("9-1", 7, ends[0])) is not None
    assert ancestry.heir(Token("9-1", 7, ends[0] + 1)) is None


def test_the_log_that_is_there_ends_where_the_earliest_of_its_parts_was_left() -> None:
    odd = Ancestry("9-3", (("9-1", 500), ("9-2", 400)))  # no server writes this
    assert odd.heir(Token("9-1", 7, 450)) is None
    assert odd.heir(Token("9-1", 7, 400)) is not None


@pytest.mark.parametrize("text", ["1", "x\t0/1\twhy", "1\t0-1\twhy", "1\t0/y\twhy"])
def test_what_is_no_history_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Ancestry.parse("9-2", text)
