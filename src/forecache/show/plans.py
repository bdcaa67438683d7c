"""Fleets as they are and as they could be: a table, a picture and a page."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final, NamedTuple

from forecache.extras import extra
from forecache.show.page import listing, page_of, table
from forecache.show.plots import DEFAULT_STYLE, new_figure, save
from forecache.show.tables import new_table, percent
from forecache.study.planning import Outlook, Plan
from forecache.study.prices import money, per_second
from forecache.units import format_duration, format_size

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

with extra("cli"):
    from rich.table import Table

__all__ = ["Compared", "draw_plans", "plans_table", "write_plans"]

COLUMNS: Final = ("process", "tier", "database", "reads/s", "stale", "memory", "a month", "saves")
SMALL: Final = 0.0005  # below which a share of stale reads is shown as none
WORK: Final = ("work of database and tier", "#0072B2")
MEMORY: Final = ("memory", "#B8C4CC")
BEST: Final = str(DEFAULT_STYLE["color"])
TITLE: Final = "Money a month, today and after one change"


class Compared(NamedTuple):
    """What was found about one trace."""

    trace: str
    outlooks: tuple[Outlook, ...]  # today's first
    share: float  # of the keys that was looked at
    advice: str

    @property
    def best(self) -> Outlook:
        """The cheapest."""
        return min(self.outlooks, key=lambda outlook: outlook.cost)

    @property
    def caption(self) -> str:
        """What the columns are."""
        return (
            f"Shares of all reads that a process, the shared tier and the database answer, from {self.share:.2%} of "
            "the keys; reads/s: the database's. A month's money is for the work of both, and for memory."
        )


def plans_table(found: Compared) -> Table:
    """A line for each plan, today's first."""
    now = found.outlooks[0]
    table = new_table(f"{found.trace}: what if", ["plan"])
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for outlook in found.outlooks:
        style = "bold" if outlook is found.best else None
        table.add_row(outlook.plan.name, *cells(outlook, now), style=style, end_section=outlook is now)
    table.caption = f"{found.caption}\nToday: {described(now.plan)}."
    return table


def draw_plans(found: Compared, path: Path) -> None:
    """Writes a PNG: a bar of money for each plan, today's first."""
    figure = new_figure(11, 2 + 0.34 * len(found.outlooks))
    figure.suptitle("\n".join(wrap(found.advice, 120)), x=0.012, ha="left", size=12)
    axes = figure.subplots()
    names = [outlook.plan.name for outlook in found.outlooks]
    work = [outlook.spent for outlook in found.outlooks]
    rent = [outlook.rent for outlook in found.outlooks]
    axes.barh(names, work, color=WORK[1], label=WORK[0], height=0.7)
    ends = axes.barh(names, rent, left=work, color=MEMORY[1], label=MEMORY[0], height=0.7)
    axes.bar_label(ends, labels=[money(outlook.cost) for outlook in found.outlooks], padding=4, size=9)
    axes.axvline(found.outlooks[0].cost, color="#444444", linewidth=1, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(outlook.cost for outlook in found.outlooks))
    axes.set_title(f"{found.trace}: {TITLE[0].lower()}{TITLE[1:]}", loc="left", size=10)
    for tick, outlook in zip(axes.get_yticklabels(), found.outlooks, strict=True):
        if outlook is found.best:
            tick.set_color(BEST)
            tick.set_fontweight("bold")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
    save(figure, path)


def write_plans(found: Compared, path: Path) -> None:
    """Writes a page: the advice, the picture, the figures, and what today's fleet was taken to be."""
    now = found.outlooks[0]
    rows = [[outlook.plan.name, *cells(outlook, now)] for outlook in found.outlooks]
    parts = [
        f'<p class="lead">{escape(found.advice)}</p>',
        plans_figure(found),
        "<h2>What if</h2>",
        table([["plan", *COLUMNS], *rows]),
        f'<p class="note">{escape(found.caption)}</p>',
        "<h2>What was assumed</h2>",
        listing([f"Today: {escape(described(now.plan))}."]),
    ]
    path.write_text(page_of(f"{found.trace}: what to change first", parts), encoding="utf-8")


def plans_figure(found: Compared) -> Figure:
    """A bar of money for each plan, today's on top."""
    with extra("html"):
        from plotly.graph_objects import Figure
    figure = Figure()
    names = [
        f"<b>{escape(one.plan.name)}</b>" if one is found.best else escape(one.plan.name) for one in found.outlooks
    ]
    totals = [money(one.cost) for one in found.outlooks]
    for (label, color), values, text in (
        (WORK, [one.spent for one in found.outlooks], None),
        (MEMORY, [one.rent for one in found.outlooks], totals),
    ):
        hover = "%{x:,.3~g}<extra>%{fullData.name}</extra>"
        figure.add_bar(
            y=names,
            x=values,
            name=label,
            orientation="h",
            marker_color=color,
            text=text,
            textposition="outside",
            hovertemplate=hover,
        )
    figure.add_vline(x=found.outlooks[0].cost, line_dash="dot", line_color="#444444")
    height = 160 + 26 * len(names)
    figure.update_layout(
        title=TITLE, template="plotly_white", barmode="stack", height=height, legend_traceorder="normal"
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="money a month", range=[0, 1.2 * max(one.cost for one in found.outlooks)])
    return figure


def cells(outlook: Outlook, now: Outlook) -> list[str]:
    """A line of the table."""
    load = outlook.load
    return [
        percent(load.in_process, digits=1),
        percent(load.in_tier, digits=1) if outlook.plan.fleet.shared else "-",
        percent(load.database, digits=1),
        per_second(outlook.database_reads),
        percent(load.stale, digits=1) if load.stale > SMALL else "-",
        format_size(round(outlook.memory)),
        money(outlook.cost),
        "" if outlook is now else money(now.cost - outlook.cost),
    ]


def described(plan: Plan) -> str:
    """A fleet in words."""
    fleet = plan.fleet
    keys = "all keys" if fleet.readers == fleet.processes else f"keys shared by {fleet.readers}"
    tier = f", a shared tier of {fleet.shared:,}" if fleet.shared else ""
    fresh = "copies removed by writes" if fleet.invalidates else "copies not removed by writes"
    bound = "" if math.isinf(fleet.bound) else f", none older than {format_duration(fleet.bound)}"
    of = "process" if fleet.processes == 1 else "processes"
    return (
        f"{fleet.processes} {of} for {keys} with {fleet.capacity:,} entries each, {plan.policy}{tier}; {fresh}{bound}"
    )
