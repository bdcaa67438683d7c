"""The picture for a plain list of access probabilities: hit probability and net benefit against size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from forecache.show.plots import DEFAULT_STYLE, finish, new_figure, save

if TYPE_CHECKING:
    from forecache.study.probabilities import CacheSize

__all__ = ["draw"]


def draw(found: CacheSize, path: Path) -> None:
    """Writes a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(8, 5)
    axes = figure.subplots()
    sizes = range(len(found.hit_probabilities))
    axes.plot(sizes, found.hit_probabilities, marker="o", color="#0072B2", label="hit probability")
    axes.plot(sizes, found.net_benefits, marker="o", color=str(DEFAULT_STYLE["color"]), label="net benefit an access")
    axes.axvline(found.entries, color="#009E73", linestyle=":", label=f"best size: {found.entries}")
    finish(axes, "Hit probability and net benefit against size")
    axes.set_ylabel("")
    axes.set_xlabel("entries")
    axes.legend(frameon=False, loc="upper left")
    save(figure, path)
