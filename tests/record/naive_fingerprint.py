"""The fingerprint of a key, written down from its description and not from the core's code.

Source: Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012, with 1 and 3 rounds.
"""

from __future__ import annotations

import struct
from typing import Any

MASK = 2**64 - 1
NONE, BOOL, INT, FLOAT, STR, BYTES, TUPLE = range(7)


def rotated(word: int, by: int) -> int:
    return (word << by | word >> (64 - by)) & MASK


def sip_round(v: list[int]) -> None:
    for one, two, left, right in ((1, 3, 13, 16), (3, 1, 21, 17)):  # as drawn in figure 2.1 of the paper
        v[0] = (v[0] + v[one]) & MASK
        v[2] = (v[2] + v[two]) & MASK
        v[one] = rotated(v[one], left) ^ v[0]
        v[two] = rotated(v[two], right) ^ v[2]
        v[0 if one == 1 else 2] = rotated(v[0 if one == 1 else 2], 32)


def siphash13(key: bytes, message: bytes) -> int:
    low, high = struct.unpack("<QQ", key)
    v = [low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D, low ^ 0x6C7967656E657261, high ^ 0x7465646279746573]
    padded = message.ljust(len(message) // 8 * 8 + 7, b"\0") + bytes([len(message) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def fingerprint(secret: bytes, key: Any) -> int:
    kind, content = parts_of(secret, key)
    halves = (siphash13(secret, bytes([kind, half])) for half in (0, 1))
    return siphash13(struct.pack("<QQ", *halves), content)


def parts_of(secret: bytes, key: Any) -> tuple[int, bytes]:  # noqa: PLR0911 - a table
    match key:
        case None:
            return NONE, b""
        case bool():
            return BOOL, bytes([key])
        case int():
            return INT, struct.pack("<q", key) if -(2**63) <= key < 2**63 else f"{key:x}".encode()
        case float():
            return FLOAT, struct.pack("<d", key or 0.0)
        case str():
            return STR, key.encode()
        case bytes():
            return BYTES, key
        case tuple():
            return TUPLE, b"".join(struct.pack("<Q", fingerprint(secret, part)) for part in key)
    raise TypeError(key)
