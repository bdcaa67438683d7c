"""The best size as a table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final, NamedTuple

from forecache.curve import MissRatioCurve
from forecache.extras import extra
from forecache.show.curves import byte_ticks, curve_panel
from forecache.show.plots import DEFAULT_STYLE, finish, new_figure, save
from forecache.show.tables import new_table, percent
from forecache.study.prices import money
from forecache.study.sizing import Market, Sizing
from forecache.units import format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

with extra("cli"):
    from rich.table import Table

__all__ = ["EXPLAINED", "Answer", "draw_sizing", "facts", "in_bytes", "policies_table", "sensitivity_text"]

COMPARED: Final = ("size", "hit ratio", "misses/s", "memory a month", "net a month", "within 2 % of it")
RECOMMENDED: Final = "#009E73"
TODAY: Final = "#444444"
EXPLAINED: Final = (
    "Bands around lines: where 95 of 100 samples would put them. Green: sizes whose net benefit is within 2 % "
    "of the best. min knows the future: no cache that admits every key hits more."
)


class Answer(NamedTuple):
    """What was found about one trace."""

    trace: str
    chosen: Sizing  # of the policy that is asked for
    sizings: Sequence[Sizing]  # of each policy, one of them chosen
    curves: Sequence[MissRatioCurve]  # likewise
    market: Market  # of the chosen policy
    notes: Sequence[str]  # what was assumed


def cells(sizing: Sizing) -> list[str]:
    """A line of the comparison of policies."""
    return [
        format_size(sizing.size),
        percent(sizing.hit_ratio),
        f"{sizing.database_load:,.3g}",
        money(sizing.rent),
        money(sizing.net_benefit),
        f"{format_size(sizing.good_from)} to {format_size(sizing.good_to)}",
    ]


def policies_table(answer: Answer) -> Table:
    """The best size of each policy; the one that is asked for stands out."""
    table = new_table(f"{answer.trace}: the best size under each policy", ["policy"])
    for column in COMPARED:
        table.add_column(column, justify="right", no_wrap=True)
    for sizing in answer.sizings:
        table.add_row(sizing.policy, *cells(sizing), style="bold" if sizing is answer.chosen else None)
    table.caption = "\n".join(f"{label}: {value}" for label, value in facts(answer.chosen))
    return table


def facts(sizing: Sizing) -> list[tuple[str, str]]:
    """Label and value of what else is known about a size."""
    known = [
        ("One more MiB", f"saves {sizing.value_of_mib:.4g} a month and costs {sizing.price_of_mib:.4g}"),
        ("If memory cost", sensitivity_text(sizing)),
    ]
    if sizing.size_for_hit_ratio is not None:
        known.append(("Least size for the hit ratio wanted", format_size(sizing.size_for_hit_ratio)))
    if sizing.size_for_load is not None:
        known.append(("Least size for the database load wanted", format_size(sizing.size_for_load)))
    if sizing.today is not None and sizing.net_today is not None:
        known.append(("Today", f"{format_size(sizing.today)}, {money(sizing.net_today)} a month net"))
    return known


def sensitivity_text(sizing: Sizing) -> str:
    """How the best size moves with prices."""
    moved = [f"{one.factor:g} times as much: {format_size(round(one.size))}" for one in sizing.sensitivity]
    return "; ".join(moved)


def draw_sizing(answer: Answer, path: Path) -> None:
    """Writes a PNG: hit ratio and money against size, with today's size and the recommended one."""
    figure = new_figure(14, 6.4)
    figure.suptitle("\n".join(wrap(str(answer.chosen), 150)), x=0.012, ha="left", size=12)
    left, right = figure.subplots(1, 2)
    curve_panel(left, in_bytes(answer), f"{answer.trace}: share of the requests that the cache answers, by its size")
    left.set_xlabel("memory")
    money_panel(right, answer.market)
    for axes in (left, right):
        mark(axes, answer.chosen)
    figure.supxlabel(EXPLAINED, size=9, color=TODAY)
    save(figure, path)


def in_bytes(answer: Answer) -> list[MissRatioCurve]:
    """The curves against memory, whatever their capacities count."""
    unit = answer.market.entry_bytes
    sizes = [tuple(round(capacity * unit) for capacity in curve.capacities) for curve in answer.curves]
    return [replace(curve, weights="size", capacities=size) for curve, size in zip(answer.curves, sizes, strict=True)]


def money_panel(axes: Axes, market: Market) -> None:
    """What a size saves, what it costs, and the difference, a month."""
    sizes = market.sizes()[1:]
    axes.plot(sizes, [market.saved(size) for size in sizes], color="#0072B2", linewidth=1.3, label="saved by hits")
    axes.plot(sizes, [market.prices.rent(size) for size in sizes], color="#999999", linewidth=1.3, label="memory")
    (line,) = axes.plot(sizes, [market.net(size) for size in sizes], linewidth=2.6, label="net benefit")
    line.set_color(str(DEFAULT_STYLE["color"]))
    finish(axes, f"Money a month, with {market.curve.policy}")
    axes.set_ylabel("money a month")
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xlim(sizes[0], sizes[-1])
    axes.yaxis.set_major_formatter(lambda value, _: money(value))
    axes.set_xticks(byte_ticks(sizes[0], sizes[-1]))
    axes.xaxis.set_major_formatter(lambda value, _: format_size(round(value)))
    axes.set_xlabel("memory")
    axes.legend(loc="upper left", frameon=False)


def mark(axes: Axes, sizing: Sizing) -> None:
    """A line for the recommended size, one for today's, a band for what is as good."""
    low, high = axes.get_xlim()
    if sizing.size > 0:
        axes.axvspan(max(sizing.good_from, low), min(sizing.good_to, high), color=RECOMMENDED, alpha=0.08, zorder=0)
    marks = [(sizing.size, RECOMMENDED, "recommended")] if sizing.size else []
    marks += [(sizing.today, TODAY, "today")] if sizing.today else []
    for number, (size, color, name) in enumerate(marks):
        if not low <= size <= high:
            continue
        axes.axvline(size, color=color, linewidth=1.4, linestyle=":", zorder=1)
        is_left = size * size < low * high  # of the middle, on the scale of the picture
        axes.annotate(
            f"{name}\n{format_size(size)}",
            (size, 0.2 + 0.1 * number),
            xycoords=("data", "axes fraction"),
            xytext=(4 if is_left else -4, 0),
            textcoords="offset points",
            ha="left" if is_left else "right",
            color=color,
            size=9,
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        )
