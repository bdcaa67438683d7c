"""Laws of progress: the server is never told that it may forget what was not acknowledged."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.coherence.postgresql.replication import Progress

STEPS = st.lists(st.tuples(st.sampled_from(["tell", "pass_by", "acknowledge"]), st.integers(1, 20)), max_size=30)


@settings(deadline=None)
@given(STEPS)
def test_what_is_not_acknowledged_is_kept(steps: list[tuple[str, int]]) -> None:
    progress, at, outstanding = Progress(), 0, set[int]()
    for what, distance in steps:
        before = progress.position
        if what == "acknowledge":
            position = at + distance - 10  # now and then of what is still to come
            progress.acknowledge(position)
            outstanding = {told for told in outstanding if told > position}
        else:
            at += distance
            getattr(progress, what)(at)
            outstanding |= {at} if what == "tell" else set()
        assert progress.position >= before
        assert all(progress.position < told for told in outstanding)


def test_what_is_not_told_is_passed_by() -> None:
    progress = Progress()
    progress.pass_by(5)
    assert progress.position == 5
    progress.tell(7)
    progress.pass_by(9)
    assert progress.position == 5
    progress.acknowledge(7)
    assert progress.position == 7
    progress.pass_by(9)
    assert progress.position == 9
