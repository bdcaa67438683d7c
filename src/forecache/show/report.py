"""The page about the best size: a recommendation, the pictures that show why, and what was assumed."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecache.extras import extra
from forecache.show.curves import byte_ticks
from forecache.show.page import curve_figure, listing, page_of, table
from forecache.show.plots import DEFAULT_STYLE
from forecache.show.sizing import COMPARED, EXPLAINED, RECOMMENDED, TODAY, Answer, cells, facts, in_bytes
from forecache.study.sizing import Market, Sizing
from forecache.units import format_size

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["write_report"]


def write_report(answer: Answer, path: Path) -> None:
    """Writes the page."""
    curves = curve_figure(in_bytes(answer), "Share of the requests that the cache answers, by its size")
    curves.update_xaxes(title="memory")
    net = money_figure(answer.market)
    for figure in (curves, net):
        mark(figure, answer.chosen)
    parts = [
        f'<p class="lead">{escape(str(answer.chosen))}</p>',
        curves,
        f'<p class="note">{escape(EXPLAINED)}</p>',
        net,
        "<h2>The best size under each policy</h2>",
        table([["policy", *COMPARED], *([one.policy, *cells(one)] for one in answer.sizings)]),
        "<h2>What else matters</h2>",
        listing(f"<b>{escape(label)}</b>: {escape(value)}" for label, value in facts(answer.chosen)),
        "<h2>What was assumed</h2>",
        listing(escape(note) for note in answer.notes),
    ]
    path.write_text(page_of(f"{answer.trace}: how large should the cache be?", parts), encoding="utf-8")


def money_figure(market: Market) -> Figure:
    """What a size saves, what it costs, and the difference, a month."""
    with extra("html"):
        from plotly.graph_objects import Figure
    sizes = [float(size) for size in market.sizes()[1:]]
    lines: list[tuple[str, list[float], dict[str, Any]]] = [
        ("saved by hits", [market.saved(size) for size in sizes], {"color": "#0072B2", "width": 1.5}),
        ("memory", [market.prices.rent(size) for size in sizes], {"color": "#999999", "width": 1.5}),
        ("net benefit", [market.net(size) for size in sizes], {"color": DEFAULT_STYLE["color"], "width": 3}),
    ]
    figure, names = Figure(), [format_size(round(size)) for size in sizes]
    for name, values, line in lines:
        hover = "%{customdata}: %{y:,.2f}<extra>%{fullData.name}</extra>"
        figure.add_scatter(x=sizes, y=values, name=name, line=line, customdata=names, hovertemplate=hover)
    ticks = byte_ticks(sizes[0], sizes[-1])
    title = f"Money a month, with {market.curve.policy}"
    figure.update_layout(title=title, template="plotly_white", height=420)
    figure.update_xaxes(
        type="log", title="memory", tickvals=ticks, ticktext=[format_size(round(tick)) for tick in ticks]
    )
    figure.update_yaxes(title="money a month")
    return figure


def mark(figure: Figure, sizing: Sizing) -> None:
    """A line for the recommended size, one for today's, and a band for what is as good."""
    if sizing.size:
        band = {"fillcolor": RECOMMENDED, "opacity": 0.08, "line_width": 0, "layer": "below"}
        figure.add_vrect(x0=max(sizing.good_from, 1), x1=sizing.good_to, **band)
    for size, color, name, height in (
        (sizing.size, RECOMMENDED, "recommended", 0.3),
        (sizing.today, TODAY, "today", 0.15),
    ):
        if size:
            text = f"{name}: {format_size(size)}"
            figure.add_vline(x=size, line_dash="dot", line_color=color)
            figure.add_annotation(
                x=math.log10(size),
                y=height,
                yref="paper",
                text=text,
                showarrow=False,
                xanchor="auto",
                font_color=color,
                bgcolor="rgba(255, 255, 255, 0.85)",
            )
