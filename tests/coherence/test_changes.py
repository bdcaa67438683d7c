"""Laws of snapshots: what they see, and how PostgreSQL writes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.coherence.changes import Snapshot

XIDS = st.integers(3, 2**40)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    xmin = draw(XIDS)
    xmax = xmin + draw(st.integers(0, 50))
    running = draw(st.frozensets(st.integers(xmin, max(xmin, xmax - 1)))) if xmax > xmin else frozenset()
    return Snapshot(xmin, xmax, running)


@settings(deadline=None)
@given(snapshots(), st.integers(-60, 110))
def test_a_snapshot_sees_what_had_ended(snapshot: Snapshot, distance: int) -> None:
    xid = snapshot.xmin + distance
    ended = set(range(snapshot.xmin - 60, snapshot.xmax)) - snapshot.running
    assert snapshot.sees(xid) == (xid in ended)


@settings(deadline=None)
@given(snapshots())
def test_a_snapshot_is_read_as_it_is_written(snapshot: Snapshot) -> None:
    running = ",".join(map(str, sorted(snapshot.running)))
    assert Snapshot.parse(f"{snapshot.xmin}:{snapshot.xmax}:{running}") == snapshot


@pytest.mark.parametrize("text", ["", "1:2", "a:b:", "1:2:3:4", "1:2:x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unpack|invalid"):
        Snapshot.parse(text)
