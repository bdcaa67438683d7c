"""`Certificate`: what is proven of an answer; made natively, where hits are answered."""

from __future__ import annotations

from typing import Literal

from forecache._core import Certificate, Certified

__all__ = ["Certificate", "Certified", "TierName"]

TierName = Literal["process", "shared", "database"]
