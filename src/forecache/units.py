"""Units: durations, sizes and capacities as people write them, and back.

A duration is a sum of parts in falling units, as in `1h30m`: w, d, h, m, s, ms, us, ns. A size is one number in B,
KB (1000 B), KiB (1024 B) and so on up to EiB; its case does not matter, and bits do not occur. A number without
a unit is seconds, or bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, Protocol, get_args

from forecache.errors import CapacityError, DurationError

__all__ = [
    "Capacity",
    "Duration",
    "Footprint",
    "Weights",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_size",
    "parse_ttl",
]

Duration = str | float | timedelta  # '5m', seconds, or a timedelta

Weights = Literal["unit", "size"]  # what an entry weighs: 1, or its bytes

NUMBER: Final = r"[0-9]{1,30}(?:\.[0-9]{1,400})?"
LONGEST: Final = 1e11  # seconds, some 3,000 years: what is longer was meant as "for ever", or is a slip
LARGEST: Final = 2**63  # bytes, 8 EiB: more is a slip

SECONDS: Final = {  # falling, as the parts of a duration are
    "w": Decimal(604_800),
    "d": Decimal(86_400),
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
}
DURATION: Final = re.compile(rf"\s*({NUMBER})\s*([^\W\d_]+)")
DURATION_FORMS: Final = "write it like '5m', '250ms' or '1h30m', in falling units: " + ", ".join(SECONDS)

PREFIXES: Final = ("K", "M", "G", "T", "P", "E")
BINARY: Final[dict[str, int]] = {"B": 1} | {f"{prefix}iB": 1024**power for power, prefix in enumerate(PREFIXES, 1)}
BYTES: Final[dict[str, int]] = BINARY | {f"{prefix}B": 1000**power for power, prefix in enumerate(PREFIXES, 1)}
BYTES_BY_NAME: Final[dict[str, int]] = {name.lower(): scale for name, scale in BYTES.items()}
SIZE: Final = re.compile(rf"({NUMBER})\s*([^\W\d_]*)")
SIZE_FORMS: Final = "write it like '256MiB' (1024 x 1024 B), '1GB' (1000 x 1000 x 1000 B) or '4096' (bytes)"

PERCENT: Final = re.compile(rf"({NUMBER})\s*%")
PLAIN: Final = re.compile(r"[0-9]{1,30}")
HUNDRED: Final = 100  # percent


def parse_duration(duration: Duration) -> float:
    """Seconds of a duration.

    Args:
        duration: text such as '5m', '250ms' or '1h30m'; a number of seconds; or a timedelta.

    Returns:
        Seconds, from 0 to some 3,000 years.

    Raises:
        DurationError: it is outside that range, or not a duration.
    """
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif isinstance(duration, str):
        seconds = float(_sum_of_parts(duration))
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        seconds = _as_float(duration)
    else:
        raise DurationError(f"a duration of type {type(duration).__name__} cannot be used; {DURATION_FORMS}")
    if not 0 <= seconds <= LONGEST:
        raise DurationError(f"duration {duration!r} is out of range; expected 0 to {LONGEST:g} seconds")
    return seconds


def parse_ttl(ttl: Duration) -> float:
    """Seconds of a time to live: a duration above 0, or infinity.

    Raises:
        DurationError: it is 0, negative, or not a duration.
    """
    seconds = float("inf") if ttl == float("inf") else parse_duration(ttl)
    if seconds == 0:
        raise DurationError("ttl is 0; expected more than 0 seconds, or None or infinity to keep values for ever")
    return seconds


def _as_float(seconds: float) -> float:
    try:
        return float(seconds)
    except OverflowError:
        return float("inf")


def _sum_of_parts(text: str) -> Decimal:
    if re.fullmatch(NUMBER, text.strip()):
        return Decimal(text.strip())
    total, position, units = Decimal(0), 0, list(SECONDS)
    while position < len(text.rstrip()):
        part = DURATION.match(text, position)
        if part is None or part[2] not in SECONDS:
            raise DurationError(f"duration {text!r} is not understood at {text[position:]!r}; {DURATION_FORMS}")
        if part[2] not in units:
            raise DurationError(f"duration {text!r} has {part[2]!r} twice or after a smaller unit; {DURATION_FORMS}")
        units = units[units.index(part[2]) + 1 :]
        total += Decimal(part[1]) * SECONDS[part[2]]
        position = part.end()
    if position == 0:
        raise DurationError(f"duration {text!r} is empty; {DURATION_FORMS}")
    return total


def format_duration(seconds: float) -> str:
    """A duration such that `parse_duration` gives the same seconds.

    Args:
        seconds: from 0 to some 3,000 years.

    Returns:
        Text such as '250ms', '1.5s' or '1h30m'.

    Raises:
        DurationError: it is outside that range.
    """
    rest = Decimal(repr(parse_duration(seconds)))
    if rest < 1:
        unit = next((unit for unit in ("ms", "us") if rest >= SECONDS[unit]), "ns")
        return f"{_plain(rest / SECONDS[unit])}{unit}" if rest else "0s"
    parts = []
    for unit in ("d", "h", "m"):
        count = int(rest / SECONDS[unit])
        rest -= count * SECONDS[unit]
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) + (f"{_plain(rest)}s" if rest else "")


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_size(size: str | int) -> int:
    """Bytes of a size; a fraction of a byte is dropped.

    Args:
        size: text such as '256MiB', '1GB' or '4096'; or a number of bytes.

    Returns:
        Bytes, at least 0.

    Raises:
        CapacityError: it is negative, above 8 EiB, ambiguous, or not a size.
    """
    if isinstance(size, bool) or not isinstance(size, (int, str)):
        raise CapacityError(f"a size of type {type(size).__name__} cannot be used; {SIZE_FORMS}")
    count = size if isinstance(size, int) else _bytes_of(size)
    if not 0 <= count <= LARGEST:
        raise CapacityError(f"size {size!r} is out of range; expected 0 to {format_size(LARGEST)}")
    return count


def _bytes_of(size: str) -> int:
    parts = SIZE.fullmatch(size.strip())
    if parts is None:
        raise CapacityError(f"size {size!r} is not understood; {SIZE_FORMS}")
    count = Fraction(parts[1]) * (scale := _bytes_in(parts[2], size))
    if scale == 1 and count.denominator != 1:
        raise CapacityError(f"size {size!r} has a fraction of a byte; {SIZE_FORMS}")
    return int(count)


def _bytes_in(unit: str, size: str) -> int:
    if unit.upper() in PREFIXES:
        small, large = f"{unit.upper()}B", f"{unit.upper()}iB"
        raise CapacityError(
            f"size {size!r} is ambiguous: {unit!r} may be {BYTES[small]} or {BYTES[large]} bytes; "
            f"write {small!r} or {large!r}, or a plain number of entries or bytes"
        )
    if unit and unit.lower() not in BYTES_BY_NAME:
        raise CapacityError(f"size {size!r} has the unknown unit {unit!r}; expected one of {', '.join(BYTES)}")
    return BYTES_BY_NAME[unit.lower() or "b"]


def format_size(size: int) -> str:
    """A size in the largest binary unit it fills, to four digits.

    Args:
        size: bytes, at least 0.

    Returns:
        Text such as '64MiB' or '1.5GiB'; `parse_size` gives the same bytes within 0.1 percent.

    Raises:
        CapacityError: it is negative.
    """
    if size < 0:
        raise CapacityError(f"size {size} is negative; expected 0 bytes or more")
    for unit, scale in BINARY.items():
        text = f"{size / scale:.4g}"
        if float(text) < BINARY["KiB"] or unit == "EiB":
            break
    return f"{float(text):.15g}{unit}"


class Footprint(Protocol):
    """What a share of a trace is a share of."""

    @property
    def unique(self) -> int:
        """Distinct keys."""

    @property
    def unique_bytes(self) -> int:
        """Bytes of the distinct keys, each at its first size."""

    @property
    def has_sizes(self) -> bool:
        """Whether the sizes of the entries are known."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """A capacity as written on a command line: '0.1%', '5000' or '64MiB'."""

    amount: Decimal
    unit: Literal["%", "weight", "bytes"]  # of the trace's footprint; of whatever entries weigh; of memory

    @classmethod
    def parse(cls, text: str | int) -> Capacity:
        """A share of a trace, a plain number in the unit of the weights, or a size in bytes.

        Raises:
            CapacityError: it is none of the three, or not above zero, or a share above 100 %.
        """
        written = str(text).strip()
        if share := PERCENT.fullmatch(written):
            capacity = cls(Decimal(share[1]), "%")
        elif PLAIN.fullmatch(written):
            capacity = cls(Decimal(parse_size(written)), "weight")
        else:
            capacity = cls(Decimal(_bytes_of_capacity(written)), "bytes")
        if capacity.amount <= 0 or (capacity.unit == "%" and capacity.amount > HUNDRED):
            raise CapacityError(f"capacity {written!r} is out of range; expected more than 0, and at most 100%")
        return capacity

    def resolve(self, trace: Footprint, *, weights: Weights = "unit") -> int:
        """The capacity for one trace, in entries or, with `weights="size"`, in bytes.

        Args:
            trace: what a percentage is a share of: its distinct keys, or their bytes.
            weights: whether an entry weighs 1 or its size.

        Returns:
            At least 1; a share is rounded down.

        Raises:
            CapacityError: it is in bytes while entries weigh 1, or sizes are asked of a trace that has none.
        """
        if weights not in get_args(Weights):
            raise CapacityError(f"weights {weights!r} are unknown; expected one of {', '.join(get_args(Weights))}")
        if weights == "size" and not trace.has_sizes:
            raise CapacityError("the trace has no sizes, so entries cannot weigh their size; use --weights unit")
        if weights == "unit" and self.unit == "bytes":
            raise CapacityError(
                f"capacity {self} is in bytes while every entry weighs 1; "
                "use --weights size, or write a number of entries or a percentage"
            )
        if self.unit == "%":
            whole = trace.unique if weights == "unit" else trace.unique_bytes
            return max(1, int(Fraction(self.amount) * whole / HUNDRED))
        return int(self.amount)

    def __str__(self) -> str:
        """The capacity as it may be written on a command line."""
        if self.unit == "bytes":
            short = format_size(int(self.amount))
            return short if parse_size(short) == self.amount else f"{self.amount}B"
        return f"{_plain(self.amount)}{'%' if self.unit == '%' else ''}"


def _bytes_of_capacity(text: str) -> int:
    try:
        return parse_size(text)
    except CapacityError as error:
        raise CapacityError(f"{error}; a capacity may also be entries, '5000', or a share, '0.1%'") from None
