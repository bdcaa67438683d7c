"""Tables and pictures of how good models are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forecache.extras import extra
from forecache.show.plots import HUES, PERCENT, new_figure, save
from forecache.show.tables import GAP, new_table, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from forecache.learn.evaluate import Evaluation
    from forecache.learn.tune import Tuning

with extra("cli"):
    from rich.table import Table

__all__ = ["draw_evaluations", "hits_table", "quality_table", "tuning_table", "tuning_verdict"]

POINTS: Final = 100  # percentage points in 1
MARGIN: Final = 8  # percentage points for the number beside the longest bar
MODEL_COLOR: Final = "#D55E00"
OTHER_COLOR: Final = "#9FB8C8"


def hits_table(one: Evaluation) -> Table:
    """Held-out hit ratios, the best first; models stand out."""
    table = new_table(
        f"{one.trace}: accesses {one.cut:,} to {one.accesses:,}, held out; room for {one.capacity:,}",
        ["policy"],
    )
    for column in ("hit ratio", "between seeds", "gap closed"):
        table.add_column(column, justify="right")
    for policy in reversed(one.policies):
        table.add_row(
            f"learned with {policy}" if policy in one.qualities else policy,
            percent(one.hit_ratio(policy)),
            f"{POINTS * one.spread(policy):.2f}" if one.spread(policy) else "",
            percent(one.gap_closed(policy), digits=1),
            style="bold" if policy in one.qualities else None,
        )
    table.caption = f"{GAP} Between seeds: points from the worst to the best."
    return table


def quality_table(one: Evaluation) -> Table:
    """How good the predictions of each model are."""
    table = new_table("Predictions for what was held out", ["model"])
    for column in ("rows", "returned", "log loss", "of a guess", "AUC", "R²", "ranks"):
        table.add_column(column, justify="right")
    for name, quality in one.qualities.items():
        figures = (quality.log_loss, quality.base_log_loss, quality.auc, quality.r_squared, quality.rank_correlation)
        table.add_row(
            name,
            f"{quality.rows:,}",
            percent(quality.returned),
            *("-" if figure is None else f"{figure:.3f}" for figure in figures),
        )
    horizon = max((quality.horizon for quality in one.qualities.values()), default=1)
    table.caption = (
        "Log loss and AUC: does the key return within one capacity? The guess is the share of those that do. R² and "
        f"rank correlation: of the time until they return, up to {horizon} capacities."
    )
    return table


def tuning_table(found: Tuning) -> Table:
    """What was found, and what it brings."""
    table = new_table(f"Tuning of {found.predictor}, {found.trials} trials besides the defaults", ["", "searched on"])
    table.add_column("held out")
    table.add_row("best found", percent(found.searched), percent(found.held_out), style="bold")
    table.add_row("defaults", percent(found.searched_defaults), percent(found.defaults))
    table.add_row("shipped model", "", percent(found.shipped))
    named = ", ".join(f"{name}={shown(value)}" for name, value in found.parameters.items())
    table.caption = f"Best found: {named}; span is the share of the past, the most recent, that is learned from."
    return table


def shown(value: object) -> str:
    """A parameter, to three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def tuning_verdict(found: Tuning) -> str:
    """Whether anything was gained, in words."""
    gain, noise = POINTS * found.gain, POINTS * found.noise
    told = f"On what the search never saw the best found gains {gain:+.2f} points of hit ratio over the defaults"
    if abs(gain) <= noise:
        return f"{told}; another seed alone makes up to {noise:.2f}, so that this is no gain: keep the defaults."
    return f"{told}, where another seed makes up to {noise:.2f}."


def draw_evaluations(found: Sequence[Evaluation], path: Path) -> None:
    """Writes a picture: a line of panels for each capacity, calibration and held-out hit ratios."""
    figure = new_figure(13, 5.5 * len(found))
    for one, (left, right) in zip(found, figure.subplots(len(found), 2, squeeze=False), strict=True):
        calibration_panel(left, one)
        hits_panel(right, one)
    save(figure, path)


def calibration_panel(axes: Axes, one: Evaluation) -> None:
    """Predicted against observed shares of keys that return within one capacity."""
    axes.plot([0, PERCENT], [0, PERCENT], color="#999999", linewidth=1, linestyle=":")
    for number, (name, quality) in enumerate(one.qualities.items()):
        predicted = [PERCENT * bucket.predicted for bucket in quality.calibration]
        observed = [PERCENT * bucket.observed for bucket in quality.calibration]
        rows = max((bucket.rows for bucket in quality.calibration), default=1)
        sizes = [20 + 180 * bucket.rows / rows for bucket in quality.calibration]
        hue = HUES[number % len(HUES)]
        axes.plot(predicted, observed, color=hue, linewidth=1.3, label=name)
        axes.scatter(predicted, observed, s=sizes, color=hue, alpha=0.6, linewidths=0)
    axes.set_title("Calibration: does the key return within one capacity?", loc="left", size=10)
    axes.set_xlabel("predicted, % (a larger dot is more rows)")
    axes.set_ylabel("observed, %")
    axes.set_xlim(0, PERCENT)
    axes.set_ylim(0, PERCENT)
    if any(quality.calibration for quality in one.qualities.values()):
        axes.legend(frameon=False, loc="upper left")


def hits_panel(axes: Axes, one: Evaluation) -> None:
    """A bar for each policy."""
    names = one.policies
    heights = [PERCENT * one.hit_ratio(name) for name in names]
    colors = [MODEL_COLOR if name in one.qualities else OTHER_COLOR for name in names]
    spreads = [PERCENT * one.spread(name) / 2 for name in names]
    labels = [f"learned with {name}" if name in one.qualities else name for name in names]
    bars = axes.barh(labels, heights, color=colors, xerr=spreads, error_kw={"elinewidth": 1, "ecolor": "#444444"})
    axes.bar_label(bars, labels=[f"{height:.2f}" for height in heights], padding=4, size=8)
    axes.set_xlim(0, min(PERCENT, max(heights) + MARGIN))
    axes.set_title(
        f"{one.trace}, room for {one.capacity:,}: hit ratio after access {one.cut:,}, %", loc="left", size=10
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
