"""What the tests of records share: traces drawn at random."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest

from forecache.record.trace import Op, Trace
from tests.record.logs import Directories

UINT32 = 2**32 - 1
INT64 = 2**63 - 1
UINT64 = 2**64 - 1


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Traces of 1 to 30 accesses, in which keys recur and columns take their extreme values."""
    keys = draw(st.lists(st.integers(0, UINT64), min_size=1, max_size=6))
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(keys),
                st.one_of(st.integers(0, UINT32), st.integers(-(2**63), INT64)),
                st.one_of(st.just(1), st.integers(1, 5_000), st.integers(1, INT64)),
                st.sampled_from(Op),
            ),
            min_size=1,
            max_size=30,
        )
    )
    key, time, size, op = (list(column) for column in zip(*rows, strict=True))
    metadata = draw(st.dictionaries(st.sampled_from(["source", "domain", "licence", "note"]), st.text()))
    return Trace.from_columns(key, time=time, size=size, op=op, name=draw(st.text()), metadata=metadata)


st.register_type_strategy(Trace, traces())


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    return Directories(tmp_path)
