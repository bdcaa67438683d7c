"""Pages: self-contained HTML with interactive pictures, to be sent by mail and read without forecache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forecache.curve import MissRatioCurve
from forecache.extras import extra
from forecache.show.curves import band, byte_ticks, capacity_text
from forecache.show.plots import PERCENT, label_of, styles

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["curve_figure", "listing", "page_of", "prepare", "table", "write_curves"]

BAND_OPACITY: Final = 0.15
NOTE: Final = (
    '<p class="note">Bands around lines: where 95 of 100 samples would put them; none where all keys were looked at. '
    "min knows the future: no cache that admits every key hits more.</p>"
)
STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
.lead { font-size: 1.2rem; } .note { color: #555; font-size: .92rem; }
"""


def prepare(directory: Path) -> None:
    """Makes sure, before any long work, that a page can be written and has a place.

    Raises:
        MissingExtraError: plotly is not installed.
        OSError: the directory cannot be made.
    """
    with extra("html"):
        import plotly  # noqa: F401 - only whether it is there
    directory.mkdir(parents=True, exist_ok=True)


def write_curves(curves: Sequence[MissRatioCurve], path: Path) -> None:
    """Writes a page with the curves of each trace."""
    traces = dict.fromkeys(curve.trace for curve in curves)
    parts = [curve_figure([curve for curve in curves if curve.trace == trace], trace) for trace in traces]
    path.write_text(page_of("Hit ratio against cache size", [*parts, NOTE]), encoding="utf-8")


def curve_figure(curves: Sequence[MissRatioCurve], title: str) -> Figure:
    """Lines with their bands of two standard errors, on a logarithmic scale of sizes."""
    with extra("html"):
        from plotly.graph_objects import Figure
    figure, style = Figure(), styles([curve.policy for curve in curves])
    for curve in curves:
        color = style[curve.policy]["color"]
        lower, upper = band(curve)
        outline = [*curve.capacities, *reversed(curve.capacities)]
        figure.add_scatter(
            x=outline,
            y=[*upper, *reversed(lower)],
            fill="toself",
            fillcolor=color,
            opacity=BAND_OPACITY,
            line_width=0,
            hoverinfo="skip",
            showlegend=False,
            legendgroup=curve.policy,
        )
        figure.add_scatter(
            x=curve.capacities,
            y=[PERCENT * ratio for ratio in curve.hit_ratios],
            name=label_of(curve.policy),
            legendgroup=curve.policy,
            line=line_of(style[curve.policy]),
            mode="lines",
            customdata=[capacity_text(capacity, curve.weights) for capacity in curve.capacities],
            hovertemplate="%{customdata}: %{y:.2f} %<extra>%{fullData.name}</extra>",
        )
    ticks = ticks_of(curves[0])
    figure.update_layout(title=title, template="plotly_white", height=480, legend_traceorder="normal")
    unit = "bytes" if curves[0].weights == "size" else "entries"
    names = [capacity_text(tick, curves[0].weights) for tick in ticks]
    figure.update_xaxes(type="log", title=f"capacity in {unit}", tickvals=ticks, ticktext=names)
    figure.update_yaxes(title="hit ratio in %")
    return figure


def ticks_of(curve: MissRatioCurve) -> list[float]:
    """Powers of two of bytes, or some of the capacities."""
    if curve.weights == "size":
        return byte_ticks(curve.capacities[0], curve.capacities[-1])
    return list(curve.capacities[:: max(1, len(curve.capacities) // 8)])


def line_of(style: dict[str, Any]) -> dict[str, Any]:
    """A style of matplotlib, for plotly."""
    return {
        "color": style["color"],
        "width": style["linewidth"],
        "dash": "solid" if style.get("linestyle", "solid") == "solid" else "dash",
    }


def page_of(title: str, parts: Sequence[Figure | str]) -> str:
    """A page that needs nothing from elsewhere: figures, and parts that are HTML already."""
    shown, scripts = [], True
    for part in parts:
        if isinstance(part, str):
            shown.append(part)
        else:
            shown.append(framed(part, scripts))
            scripts = False
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>\n" + "\n".join(shown) + "\n</body></html>\n"
    )


def framed(figure: Figure, with_script: bool) -> str:
    """HTML of a figure: its title above it and its legend below, so that both have room on a telephone."""
    title = figure.layout.title.text
    figure.update_layout(
        title=None,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    shown = figure.to_html(full_html=False, include_plotlyjs=with_script, config={"displaylogo": False})
    return f"<h2>{escape(title)}</h2>\n{shown}" if title else str(shown)


def table(rows: list[list[str]]) -> str:
    """HTML of rows, the first of which is the head."""
    head, *body = rows
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
    names = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    inner = f"<tr>{names}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{inner}</table></div>'


def listing(lines: Iterable[str]) -> str:
    """HTML of a list; the lines are HTML already."""
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
