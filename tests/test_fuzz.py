"""The fuzzer finds what it looks for, and finds nothing in a short run."""

from __future__ import annotations

import pytest

from forecache import codec, keys
from tests.fuzz import Finding, fuzz


def test_a_short_run_finds_nothing_and_reaches_every_outcome() -> None:
    seen = fuzz(60_000, seed=7)
    assert {outcome for outcome, count in seen.items() if count > 10} == {
        *("damaged: unchanged", "damaged: unreadable", "forged: a row", "forged: unreadable"),
        *("forged: absent", "keys: the same", "keys: different", "log: a record", "log: refused"),
        *("names: a key", "names: no name"),
    }


def test_payloads_without_a_checksum_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec.Codec, "_checksum", lambda *_: 0)
    with pytest.raises(Finding, match="a wrong value"):
        fuzz(60_000, seed=7)


def test_names_that_name_another_key_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(keys.KEYS, b"i", lambda rest: int(rest) + 1)
    with pytest.raises(Finding, match="has the name"):
        fuzz(60_000, seed=7)


def test_names_without_types_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(keys.NAMES, str, lambda key: b"i" + key.encode("utf-8", "surrogatepass"))
    with pytest.raises(Finding, match="have the names|has the name"):
        fuzz(60_000, seed=7)
