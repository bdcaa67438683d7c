"""Curves as tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forecache.curve import MissRatioCurve
from forecache.extras import extra
from forecache.show.plots import PERCENT, finish, label_of, new_figure, save, styles
from forecache.show.tables import new_table, percent
from forecache.units import format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

with extra("cli"):
    from rich.table import Table

__all__ = ["band", "byte_ticks", "capacity_text", "curve_panel", "curves_table", "draw_curve"]

TWO_SIGMA: Final = 2  # standard errors to each side of a band: 95 % of the samples
BAND_OPACITY: Final = 0.16
MOST_TICKS: Final = 9
POINTS: Final = 100  # percentage points in 1
ERRORS: Final = "±: two standard errors, in points, from sampling; none where all keys were looked at."


def capacity_text(capacity: float, weights: str) -> str:
    """A capacity as people read it."""
    return format_size(round(capacity)) if weights == "size" else f"{capacity:,.0f}"


def curves_table(curves: Sequence[MissRatioCurve]) -> Table:
    """A line for each capacity, a column for each policy; all curves are of one trace."""
    first = curves[0]
    table = new_table(f"{first.trace}: {first.accesses:,} accesses to {first.keys:,} keys", [])
    table.add_column("capacity", justify="right", no_wrap=True)
    for curve in curves:
        table.add_column(curve.policy, justify="right", no_wrap=True)
        table.add_column("±", justify="right", no_wrap=True)
    for number, capacity in enumerate(first.capacities):
        cells = []
        for curve in curves:
            error = curve.errors[number]
            cells += [percent(curve.hit_ratios[number]), f"{TWO_SIGMA * POINTS * error:.2f}" if error > 0 else ""]
        table.add_row(capacity_text(capacity, first.weights), *cells)
    shares = [share for curve in curves for share in curve.samples]
    table.caption = f"Hit ratios, from {min(shares):.2%} to {max(shares):.2%} of the keys. {ERRORS}"
    return table


def draw_curve(curves: Sequence[MissRatioCurve], path: Path) -> None:
    """Writes a PNG: for each trace, the hit ratio of each policy against the capacity."""
    traces = list(dict.fromkeys(curve.trace for curve in curves))
    figure = new_figure(1 + 7.5 * len(traces), 6)
    for trace, axes in zip(traces, figure.subplots(1, len(traces), squeeze=False)[0], strict=True):
        curve_panel(axes, [curve for curve in curves if curve.trace == trace], f"{trace}: hit ratio against cache size")
    save(figure, path)


def curve_panel(axes: Axes, curves: Sequence[MissRatioCurve], title: str) -> None:
    """Lines with their bands of two standard errors, on a logarithmic scale of sizes."""
    style = styles([curve.policy for curve in curves])
    for curve in curves:
        ratios = [PERCENT * ratio for ratio in curve.hit_ratios]
        axes.plot(curve.capacities, ratios, label=label_of(curve.policy), **style[curve.policy])
        lower, upper = band(curve)
        color = style[curve.policy]["color"]
        axes.fill_between(curve.capacities, lower, upper, color=color, alpha=BAND_OPACITY, linewidth=0)
    finish(axes, title)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xlim(curves[0].capacities[0], curves[0].capacities[-1])
    weights = curves[0].weights
    if weights == "size":
        axes.set_xticks(byte_ticks(curves[0].capacities[0], curves[0].capacities[-1]))
    axes.xaxis.set_major_formatter(lambda value, _: capacity_text(value, weights))
    axes.set_xlabel("capacity in bytes" if weights == "size" else "capacity in entries")
    axes.legend(loc="upper left", frameon=False, reverse=True)


def byte_ticks(low: float, high: float) -> list[float]:
    """Powers of two within a range, at most nine, evenly spaced.

    >>> byte_ticks(1000, 5000)
    [1024, 2048, 4096]
    """
    powers = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
    return [2**power for power in powers[:: 1 + len(powers) // MOST_TICKS]]


def band(curve: MissRatioCurve) -> tuple[list[float], list[float]]:
    """Percent, two standard errors below and above the curve."""
    pairs = list(zip(curve.hit_ratios, curve.errors, strict=True))
    return (
        [PERCENT * max(ratio - TWO_SIGMA * error, 0) for ratio, error in pairs],
        [PERCENT * min(ratio + TWO_SIGMA * error, 1) for ratio, error in pairs],
    )
