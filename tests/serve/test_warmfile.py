"""Laws of the file that a process leaves for the next: what is read is what was written, or it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.keys import encode_key
from forecache.serve.warmfile import WarmList, read_list, write_list
from tests.test_keys import KEYS, same


@settings(deadline=None)  # disks may be slow
@given(st.lists(KEYS, unique_by=repr), st.binary(max_size=99))
def test_a_list_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, keys: list[Any], lore: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "list.warm"
    write_list(file, WarmList(tuple(("täble", key) for key in keys), lore))
    found = read_list(file)
    named = [key for key in keys if not encode_key(key).startswith(b"#")]  # a digest tells no key
    assert found.lore == lore
    assert all(same(one, other) for (_, one), other in zip(found.keys, named, strict=True))


@settings(deadline=None)  # disks may be slow
@given(st.data())
def test_no_damage_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.warm"
    write_list(file, WarmList((("product", 7), ("stock", ("x", 1)))))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    with pytest.raises(ValueError, match="^it (is|was)"):
        read_list(file)
    file.write_bytes(content[:at])
    with pytest.raises(ValueError, match="^it (is|was)"):
        read_list(file)
