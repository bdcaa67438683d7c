"""Keys of every kind; each is a key of its own, though many of them are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    x: object


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Colliding:
    """All of one hash, told apart only by Python code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Colliding) and self.name == other.name


KEYS: list[Any] = [
    *(1, True, 1.0, "1", b"1", None, 1j, Number(1), Text("1"), (1,), (True,), (1.0,), ((1,),), ((True,),), ("1",)),
    *(Point(1), Point(2), (Point(1),), frozenset([1]), (None,), (), "", 7, 2, 3, 4, 5),
    *(Colliding("a"), Colliding("b"), (Colliding("a"),)),
]


def place_of(key: Any) -> int:
    """Where a key stands in `KEYS`, by identity: equal keys of other types stand elsewhere."""
    return next(place for place, known in enumerate(KEYS) if known is key)
