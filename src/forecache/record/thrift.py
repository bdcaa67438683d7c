"""Thrift's compact protocol, as far as the framing of a Parquet file needs it: values in, bytes out.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["BINARY", "I32", "I64", "LIST", "STRUCT", "binary", "struct", "varint", "vector", "zigzag"]

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12  # types of fields
SHORT: Final = 14  # items of a list whose length shares a byte with their type
LOW_BITS: Final = 0x7F


def struct(*fields: tuple[int, int, int | bytes | None]) -> bytes:
    """A struct of fields in rising order: number, type and value.

    A value is a number, a string of bytes, or encoded already; None leaves its field out.
    """
    encoded, last = bytearray(), 0
    for number, kind, value in fields:
        if value is not None:
            encoded.append((number - last) << 4 | kind)
            encoded += zigzag(value) if isinstance(value, int) else binary(value) if kind == BINARY else value
            last = number
    return bytes(encoded) + b"\0"


def vector(kind: int, items: Iterable[bytes]) -> bytes:
    """A list of encoded items of one type."""
    items = list(items)
    return (
        bytes([len(items) << 4 | kind]) if len(items) <= SHORT else bytes([0xF0 | kind]) + varint(len(items))
    ) + b"".join(items)


def binary(value: bytes) -> bytes:
    """A string of bytes with its length."""
    return varint(len(value)) + value


def zigzag(number: int) -> bytes:
    """A number of either sign."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def varint(number: int) -> bytes:
    """A number from 0 on, 7 bits to a byte, the lowest first."""
    encoded = bytearray()
    while number > LOW_BITS:
        encoded.append(number & LOW_BITS | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
