"""The command that recommends a size; `attach` adds it to the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from forecache.show.options import (
    CoreMonth,
    CostPerHit,
    CostPerMiss,
    EntrySize,
    Format,
    Html,
    Json,
    Plot,
    Price,
    RequestsPerSecond,
    Seed,
    listed,
)
from forecache.show.output import print_json, print_tables
from forecache.show.sources import Dask, Source, Workers, engine
from forecache.show.studies import Sample, WeightsOption, prepare_pictures

if TYPE_CHECKING:
    from forecache.curve import MissRatioCurve
    from forecache.show.progress import Silence
    from forecache.show.sizing import Answer
    from forecache.units import Weights

__all__ = ["attach"]

LEARNED: Final = "learned"  # the policy that is recommended for, unless somebody says
SUPPOSED_RATE: Final = 100.0  # requests a second, where nobody knows
SUPPOSED_ENTRY: Final = "1KiB"  # likewise


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(short_help="The size that saves most after its memory is paid.")(size)


def size(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace, a log, a divided history, or saved curves.")],
    *,
    cost_per_miss: CostPerMiss,
    price: Price,
    cost_per_hit: CostPerHit = "0",
    core_month: CoreMonth = 40.0,
    entry_size: EntrySize = None,
    requests_per_second: RequestsPerSecond = None,
    target_hit_ratio: Annotated[float | None, typer.Option(help="For which the least size is wanted.")] = None,
    most_misses: Annotated[float | None, typer.Option(help="A second, for which the least size is wanted.")] = None,
    today: Annotated[str | None, typer.Option(metavar="SIZE", help="Size of the cache as it is, as '64MiB'.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="That the recommendation is for; by default learned, or the first curve saved.")
    ] = None,
    policies: Annotated[
        str | None, typer.Option(metavar="NAMES", help="To compare with; by default lru, the best classical one, min.")
    ] = None,
    sample: Sample = None,
    weights: WeightsOption = "unit",
    plot: Plot = None,
    html: Html = None,
    as_json: Json = False,
    format: Format = None,
    seed: Seed = 0,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """The size that saves most after its memory is paid, and what speaks for it.

    Money may be of any currency. A cost that is a duration is time of a core of the database, at --core-month.
    """
    from forecache.show.progress import teller

    prepare_pictures(plot, html)
    asked = {
        "cost_per_miss": cost_per_miss,
        "cost_per_hit": cost_per_hit,
        "price_per_gib_month": price,
        "core_month": core_month,
        "entry_bytes": entry_size,
        "requests_per_second": requests_per_second,
        "target_hit_ratio": target_hit_ratio,
        "most_misses_per_second": most_misses,
        "today": today,
    }
    with teller(lines=False) as told, engine(workers, dask) as run:
        source = Source.open(file, format, run)
        asked["entry_bytes"] = None if weights == "size" else entry_size or source.mean_entry()
        found = answer(source, policy, policies, asked, told, sample=sample, weights=weights, seed=seed)
    if plot is not None:
        from forecache.show.sizing import draw_sizing

        draw_sizing(found, plot)
    if html is not None:
        from forecache.show.report import write_report

        write_report(found, html)
    if as_json:
        rows = [row for one in found.curves for row in one.rows()]
        others = [one.to_dict() for one in found.sizings]
        print_json({"trace": source.name, **found.chosen.to_dict(), "policies": others, "curve": rows})
        return
    from forecache.show.sizing import policies_table

    print_tables(policies_table(found))
    typer.echo("\n" + "\n".join([*found.notes, "", str(found.chosen)]))


def answer(
    source: Source,
    policy: str | None,
    policies: str | None,
    asked: dict[str, Any],
    told: Silence,
    *,
    sample: float | None,
    weights: Weights,
    seed: int,
) -> Answer:
    """Curves of the policies, and the best size under each."""
    from forecache.show.sizing import Answer
    from forecache.study.simulate import BASELINE, check_policies
    from forecache.study.sizing import market_of, optimal_size

    own = policy or (source.saved[0].policy if source.saved else LEARNED)
    names = check_policies([own, *(compared(source, sample) if policies is None else listed(policies))])
    supposed = []
    if not source.saved:  # whether it can be answered, before long work
        trial = source.curves([BASELINE], None, told, sizes=["1%"], weights=weights, seed=seed)[0]
        supposed = suppose(asked, trial, weights)
        market_of(trial, **prices(asked))
    curves = source.curves(names, sample, told, sizes=None, weights=weights, seed=seed)
    sizings = [optimal_size(curve, **asked) for curve in curves]
    market = market_of(curves[0], **prices(asked))
    told_too = [*notes(source, asked, market.requests_per_second), *supposed]
    return Answer(source.name, sizings[0], sizings, curves, market, told_too)


def suppose(asked: dict[str, Any], curve: MissRatioCurve, weights: Weights) -> list[str]:
    """Fills in what neither the options nor the trace say, and tells how to say it."""
    said = []
    if asked["requests_per_second"] is None and curve.requests_per_second is None:
        asked["requests_per_second"] = SUPPOSED_RATE
        said.append(
            f"The trace does not tell how many requests a second there are; {SUPPOSED_RATE:g} is a guess, on which the "
            "size depends: give --requests-per-second."
        )
    if asked["entry_bytes"] is None and weights == "unit":
        asked["entry_bytes"] = SUPPOSED_ENTRY
        said.append(f"It does not tell how large entries are; {SUPPOSED_ENTRY} is a guess: give --entry-size.")
    return said


def compared(source: Source, sample: float | None) -> list[str]:
    """With which policies, unless somebody says: LRU, the best classical one and foresight; or all that were saved."""
    from forecache.study.curves import best_classical, default_sample
    from forecache.study.simulate import BASELINE, BOUND

    if source.trace is None:
        return [curve.policy for curve in source.saved]
    share = sample or default_sample(source.trace)
    return [BASELINE, best_classical(source.trace, sample=share), BOUND]


def prices(asked: dict[str, Any]) -> dict[str, Any]:
    """Of what is asked, what makes the market."""
    wanted = {"target_hit_ratio", "most_misses_per_second", "today"}
    return {name: value for name, value in asked.items() if name not in wanted}


def notes(source: Source, asked: dict[str, Any], rate: float) -> list[str]:
    """What was assumed, in words."""
    from forecache.study.models.popularity import independence

    said = [f"Assumed: {rate:,.4g} requests a second, a miss costs {asked['cost_per_miss']}"]
    if not str(asked["cost_per_miss"]).replace(".", "").isdigit():
        said[0] += f" of a database core at {asked['core_month']:g} a month"
    said[0] += f", memory {asked['price_per_gib_month']}"
    said[0] += "." if asked["entry_bytes"] is None else f", an entry takes {asked['entry_bytes']} of it."
    return said if source.trace is None else [*said, f"{independence(source.trace)}"]
