"""`Certificate`: what is proven of an answer; made natively, where hits are answered."""

from __future__ import annotations

from typing import Final, Literal

from forecache._core import Certificate, Certified

__all__ = ["UNKNOWN", "Certificate", "Certified", "TierName"]

UNKNOWN: Final = float("-inf")  # in the place of a moment: nothing is proven as of any
TierName = Literal["process", "shared", "database"]
