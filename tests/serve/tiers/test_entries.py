"""Entries of a shard's log, as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forecache.coherence.beacons.shard import Entry
from forecache.coherence.changes import EVERY, Change
from forecache.serve.tiers.entries import packed, said, saying, unpacked

TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)
CHANGES = st.lists(st.builds(Change, TEXT, st.one_of(st.just(EVERY), st.binary(max_size=300))), max_size=6).map(tuple)
ENTRIES = st.lists(st.builds(Entry, st.integers(1, 2**63), CHANGES, CHANGES), max_size=4)


@given(CHANGES)
def test_what_is_packed_comes_back(changes: tuple[Change, ...]) -> None:
    assert unpacked(packed(changes)) == changes


@given(ENTRIES)
def test_what_is_said_comes_back(entries: list[Entry]) -> None:
    assert said(saying("a" * 32, entries)) == ("a" * 32, entries)
