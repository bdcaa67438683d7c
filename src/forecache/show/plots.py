"""Pictures: hit ratio over time and against the size of the cache, one line for each policy, named where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from forecache import _core
from forecache.extras import extra
from forecache.serve.settings import DEFAULT_POLICY
from forecache.show.findings import finding
from forecache.study.simulate import BASELINE, Row
from forecache.units import format_size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from forecache.show.findings import Outcome
    from forecache.study.workloads import Event

__all__ = ["draw_curves", "draw_outcome", "prepare", "spread"]

# Okabe & Ito's colours, which all kinds of colour vision tell apart, without the yellow, too pale for a line.
HUES: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
DASHES: Final[tuple[Any, ...]] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)))  # one more round of hues with each
DEFAULT_STYLE: Final = {"color": "#D55E00", "linewidth": 2.6, "zorder": 5}
BASELINE_STYLE: Final = {"color": "#666666", "linewidth": 2.0, "zorder": 4}
OFFLINE_STYLE: Final = {"color": "#000000", "linewidth": 1.6, "linestyle": (0, (4, 2)), "zorder": 4}
EVENT_HUES: Final = ("#444444", "#56B4E9", "#E69F00", "#CC79A7")
BAND_OPACITY: Final = 0.3
HEADROOM: Final = 0.09  # of the height, for what the marks mean
LABEL_HEIGHT: Final = 0.042  # of the axes, from one label to the next
DAY_SECONDS: Final = 86_400
PERCENT: Final = 100
DPI: Final = 150


def prepare(directory: Path) -> None:
    """Makes sure, before any long work, that a picture can be drawn and has a place.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OSError: the directory cannot be made.
    """
    with extra("plot"):
        import matplotlib  # noqa: F401 - only whether it is there
    directory.mkdir(parents=True, exist_ok=True)


def styles(policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How the line of each policy looks: the default, LRU and the optimum stand out."""
    fixed: dict[str, Mapping[str, Any]] = dict.fromkeys(_core.OFFLINE_POLICIES, OFFLINE_STYLE)
    fixed |= {DEFAULT_POLICY: DEFAULT_STYLE, BASELINE: BASELINE_STYLE}
    others = [policy for policy in policies if policy not in fixed]
    free = {
        policy: {
            "color": HUES[number % len(HUES)],
            "linestyle": DASHES[number // len(HUES) % len(DASHES)],
            "linewidth": 1.3,
            "zorder": 3,
        }
        for number, policy in enumerate(others)
    }
    return {policy: dict(fixed.get(policy) or free[policy]) for policy in policies}


def label_of(policy: str) -> str:
    """What a picture calls a policy."""
    if policy in _core.OFFLINE_POLICIES:
        return f"{policy}, knows the future"
    return f"{policy} (default)" if policy == DEFAULT_POLICY else policy


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, moved apart as little as possible until neighbours are at least `gap` from each other.

    >>> spread([0.5, 0.1, 0.5], 0.2)
    [0.4, 0.1, 0.6]
    """
    groups: list[list[int]] = []
    order = sorted(range(len(heights)), key=heights.__getitem__)

    def lowest(group: list[int]) -> float:
        return sum(heights[member] for member in group) / len(group) - gap * (len(group) - 1) / 2

    for member in order:
        groups.append([member])
        while len(groups) > 1 and lowest(groups[-1]) - lowest(groups[-2]) < gap * len(groups[-2]) - 1e-12:
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = {member: lowest(group) + gap * place for group in groups for place, member in enumerate(group)}
    return [round(placed[member], 9) for member in range(len(heights))]


def draw_outcome(outcome: Outcome, path: Path) -> None:
    """Writes the picture of a demo: hit ratio over time, and against the size of the cache."""
    figure = new_figure(14, 6.4)
    figure.suptitle("\n".join(wrap(finding(outcome), 150)), x=0.012, ha="left", size=12)
    time, size = figure.subplots(1, 2)
    time_panel(time, outcome)
    size_panel(size, outcome.curve, "Hit ratio against cache size, simulated on the same requests")
    size.axvline(outcome.demo.capacity, color="#999999", linewidth=0.9, linestyle=":", zorder=1)
    size.annotate(
        "as on the left",
        (outcome.demo.capacity, 0.015),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        size=8,
        color="#666666",
    )
    save(figure, path)


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """Writes the picture of a simulation: for each trace, hit ratio against the size of the cache."""
    traces = list(dict.fromkeys(row.trace for row in rows))
    figure = new_figure(1 + 7 * len(traces), 6)
    for trace, axes in zip(traces, figure.subplots(1, len(traces), squeeze=False)[0], strict=True):
        size_panel(axes, [row for row in rows if row.trace == trace], f"{trace}: hit ratio against cache size")
    save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    with extra("plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG."""
    figure.savefig(path, format="png")


def time_panel(axes: Axes, outcome: Outcome) -> None:
    """The hit ratio of each policy over the stream, measured, with the events marked."""
    from forecache.show.demo import windows

    demo = outcome.demo
    runs = {run.policy: run for run in outcome.runs if run.policy is not None}
    moments = [(start + stop) / 2 for start, stop in windows(len(demo.trace))]
    style = styles(list(runs))
    ends = {}
    for policy, run in runs.items():
        ratios = [float("nan") if ratio is None else PERCENT * ratio for ratio in run.hit_ratios]
        axes.plot(moments, ratios, **style[policy])
        ends[policy] = ratios[-1]
    requests = f"{len(demo.trace):,} requests of {demo.trace.name!r}"
    finish(axes, f"Hit ratio over {requests}, measured, with room for {demo.capacity:,} entries")
    axes.set_xlim(0, moments[-1])
    if demo.in_seconds:
        days = range(int(demo.trace.time[-1]) // DAY_SECONDS + 1)
        noons = demo.trace.time.searchsorted([day * DAY_SECONDS for day in days])
        axes.set_xticks(noons, [f"day {day + 1}" for day in days], ha="left")
    else:
        axes.set_xlabel("request")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    mark_events(axes, demo.events)
    name_lines(axes, ends, style)


def mark_events(axes: Axes, events: Sequence[Event]) -> None:
    """A band for each event that lasts, a line for each that does not, and above them what they are."""
    names = list(dict.fromkeys(event.name for event in events))
    if not names:
        return
    hues = {name: EVENT_HUES[number % len(EVENT_HUES)] for number, name in enumerate(names)}
    marks: dict[str, Artist] = {}
    for event in events:
        if event.stop > event.start:
            hue = (hues[event.name], BAND_OPACITY)
            marks[event.name] = axes.axvspan(event.start, event.stop, facecolor=hue, linewidth=0, zorder=0)
        else:
            marks[event.name] = axes.axvline(
                event.start, color=hues[event.name], linewidth=1.2, linestyle=":", zorder=1
            )
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + HEADROOM * (high - low))
    axes.legend(marks.values(), marks.keys(), loc="upper left", ncols=len(marks), frameon=False, fontsize=9)


def size_panel(axes: Axes, rows: Sequence[Row], title: str) -> None:
    """The hit ratio of each policy at each capacity, on a logarithmic scale."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    style = styles(policies)
    ends = {}
    for policy in policies:
        points = sorted((row.capacity, PERCENT * (row.hit_ratio or 0)) for row in rows if row.policy == policy)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=policy, **style[policy])
        ends[policy] = points[-1][1]
    finish(axes, title)
    axes.set_xscale("log")
    ticks = {row.capacity: row.capacity_spec for row in rows}
    by_size = bool(rows) and rows[0].weights == "size"
    names = [tick_name(capacity, spec, by_size=by_size) for capacity, spec in ticks.items()]
    axes.set_xticks(list(ticks), names, size=8)
    axes.minorticks_off()
    axes.set_xlim(right=max(ticks))
    axes.set_xlabel("capacity in bytes" if by_size else "capacity in entries")
    name_lines(axes, ends, style)


def tick_name(capacity: int, spec: str, *, by_size: bool) -> str:
    """A capacity as it is, and as it was asked for if that is something else."""
    amount = format_size(capacity) if by_size else f"{capacity:,}"
    return amount if spec in {amount, str(capacity)} else f"{amount}\n{spec}"


def finish(axes: Axes, title: str) -> None:
    """What both panels have in common."""
    axes.set_title(title, loc="left", size=11)
    axes.set_ylabel("hit ratio in %")
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def name_lines(axes: Axes, ends: Mapping[str, float], style: Mapping[str, Mapping[str, Any]]) -> None:
    """Names each line at its right end, in its colour; a thin line leads from a name that had to move."""
    low, high = axes.get_ylim()
    known = {policy: end for policy, end in ends.items() if end == end}  # noqa: PLR0124 - not NaN: there was a read
    heights = [(end - low) / (high - low) for end in known.values()]
    for policy, height, place in zip(known, heights, spread(heights, LABEL_HEIGHT), strict=True):
        look = style[policy]
        axes.annotate(
            label_of(policy),
            (1, height),
            xycoords="axes fraction",
            xytext=(1.035, place),
            textcoords="axes fraction",
            color=look["color"],
            fontweight="bold" if policy == DEFAULT_POLICY else "normal",
            size=9,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": look["color"],
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )
