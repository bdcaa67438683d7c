"""The commands that learn: train a model, evaluate models, tune a predictor; `attach` adds them to the others."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from forecache.show.options import Format, Json, Seed, listed
from forecache.show.output import print_json, print_tables
from forecache.show.sources import Dask, Workers, engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecache.learn.dataset import Split
    from forecache.learn.evaluate import Evaluation
    from forecache.learn.model import Model
    from forecache.learn.partitioned import Divided
    from forecache.record.engines import Run
    from forecache.show.progress import Silence
    from forecache.units import Capacity, Weights

__all__ = ["attach"]

NOT_SAVED: Final = 3  # exit code

Traces = Annotated[list[Path], typer.Argument(metavar="TRACE", help="Recorded accesses.")]
PredictorName = Annotated[
    Literal["forest", "trees", "network"],
    typer.Option(help="forest: the core's own, fastest to ask; trees: LightGBM's; network: a small perceptron."),
]
Parameters = Annotated[
    Path | None,
    typer.Option(metavar="FILE.json", help="What `tune --json` found: predictor and parameters."),
]
Capacities = Annotated[
    str, typer.Option("--capacity", metavar="SIZES", help="Shares of the keys or entries, as in '1%' or '0.1%,5000'.")
]
Holdout = Annotated[float, typer.Option(help="Share of each trace, its end, that is not learned from.")]
WeightsOption = Annotated[Literal["unit", "size"], typer.Option(help="What an entry weighs: 1, or its bytes.")]
Plot = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw calibration and hit ratios as a PNG.")]


def attach(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(train)
    app.command(short_help="Judge models on the end of a trace.")(evaluate)
    app.command()(tune)


def train(
    traces: Traces,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.fcm", help="Where the model goes.")],
    predictor: PredictorName = "forest",
    parameters: Parameters = None,
    capacity: Capacities = "1%",
    holdout: Holdout = 0.3,
    weights: WeightsOption = "unit",
    force: Annotated[bool, typer.Option("--force", help="Save the model even if it is worse.")] = False,
    format: Format = None,
    seed: Seed = 0,
    as_json: Json = False,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """Learn a model from recorded accesses.

    The model is trained on the first part of each trace and judged on the rest; of a divided history, a partition at a
    time, in memory for one. If it hits less there than tinylfu,
    which needs no model, it is not saved without --force, and the exit code is 3.
    """
    from forecache.learn.evaluate import FALLBACK, LEARNED
    from forecache.learn.training import collect, predictor_of
    from forecache.learn.training import train as fit
    from forecache.learn.tune import read_parameters as tuned
    from forecache.show.progress import teller
    from forecache.units import Capacity

    sizes = [Capacity.parse(size) for size in listed(capacity)]
    kind, chosen, span = tuned(parameters) if parameters else (predictor, {}, 1.0)
    with teller(lines=False) as told, engine(workers, dask) as run:
        parts = [read(file, format, holdout, run) for file in traces]
        data = collect(parts, sizes, weights=weights, seed=seed, span=span, on_progress=progress(told, "rows"))
        about = {
            "forecache": version("forecache"),
            "trained": time.strftime("%Y-%m-%d", time.gmtime()),
            "traces": [described(part) for part in parts],
            "capacities": [str(size) for size in sizes],
            "weights": weights,
            "seed": seed,
        }
        told.step("fit", 0, 1, f"{len(data):,} rows")
        model = fit(predictor_of(kind, **{"seed": seed, **chosen}), data, about)
        told.step("fit", 1, 1, f"{len(data):,} rows")
        name = output.stem if output.stem not in {FALLBACK, LEARNED} else f"{output.stem}.fcm"
        found = [judged({name: model}, part, size, weights, told) for part in parts for size in sizes]
    own, fallback, shipped = (mean_ratio(found, policy) for policy in (name, FALLBACK, LEARNED))
    saved = force or own >= fallback
    if saved:
        replace(model, metadata={**model.metadata, "figures": [figures(one, name) for one in found]}).save(output)
    noise = max(one.spread(policy) for one in found for policy in (name, LEARNED))
    verdict = judgement(own, fallback, shipped, noise, output if saved else None)
    if as_json:
        ratios = {"hit_ratio": own, FALLBACK: fallback, "shipped": shipped}
        evaluations = [one.to_dict() for one in found]
        print_json({"saved": saved, "model": str(output), **ratios, "verdict": verdict, "evaluations": evaluations})
    else:
        show(found)
        typer.echo(f"\n{verdict}")
    if not saved:
        raise typer.Exit(NOT_SAVED)


def evaluate(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Recorded accesses.")],
    *,
    model: Annotated[list[Path], typer.Option("--model", "-m", metavar="FILE.fcm", help="A model; may be repeated.")],
    capacity: Capacities = "1%",
    holdout: Holdout = 0.3,
    weights: WeightsOption = "unit",
    plot: Plot = None,
    format: Format = None,
    as_json: Json = False,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """Judge models on the end of a trace: their predictions, and the hit ratio that these buy.

    A figure means something only where the model has not learned from that part: train with the same --holdout.
    """
    from forecache.learn.model import Model
    from forecache.show.progress import teller
    from forecache.units import Capacity

    sizes = [Capacity.parse(size) for size in listed(capacity)]
    models = named(model, Model.load)
    if plot is not None:
        from forecache.show.plots import prepare

        prepare(plot.parent)
    with teller(lines=False) as told, engine(workers, dask) as run:
        part = read(trace, format, holdout, run)
        found = [judged(models, part, size, weights, told) for size in sizes]
    if plot is not None:
        from forecache.show.evaluation import draw_evaluations

        draw_evaluations(found, plot)
    if as_json:
        print_json([one.to_dict() for one in found])
    else:
        show(found)


def tune(
    traces: Traces,
    *,
    predictor: PredictorName = "forest",
    capacity: Annotated[str, typer.Option(metavar="SIZE", help="A share of the keys, or entries.")] = "1%",
    trials: Annotated[int, typer.Option(min=1, help="Most settings to try, besides the defaults.")] = 20,
    seconds: Annotated[float | None, typer.Option(min=0, help="After which no further trial begins.")] = None,
    holdout: Holdout = 0.3,
    weights: WeightsOption = "unit",
    format: Format = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Search for better parameters, by hit ratio.

    The search sees the past of each trace only; whether it gained anything is asked once, on the held-out rest.
    """
    from forecache.learn.tune import tune as search
    from forecache.record.trace import Trace
    from forecache.show.progress import teller
    from forecache.units import Capacity

    with teller(lines=False) as told:
        found = search(
            [Trace.read(file, format) for file in traces],
            Capacity.parse(capacity),
            predictor=predictor,
            trials=trials,
            seconds=seconds,
            holdout=holdout,
            weights=weights,
            seed=seed,
            on_progress=progress(told, "trials"),
        )
    if as_json:
        print_json(found.to_dict())
        return
    from forecache.show.evaluation import tuning_table, tuning_verdict

    print_tables(tuning_table(found))
    typer.echo(f"\n{tuning_verdict(found)}")


def read(file: Path, format: str | None, holdout: float, run: Run) -> Split | Divided:
    """A trace, divided by time; a divided history is not read yet."""
    from forecache.learn.dataset import split
    from forecache.learn.partitioned import Divided
    from forecache.record.partitions import Partitions
    from forecache.record.trace import Trace

    if Partitions.is_at(file):
        return Divided(Partitions.open(file), holdout, run)
    return split(Trace.read(file, format), holdout)


def judged(
    models: dict[str, Model], part: Split | Divided, size: Capacity, weights: Weights, told: Silence
) -> Evaluation:
    """How good models are at one capacity."""
    from forecache.learn.dataset import Split
    from forecache.learn.evaluate import evaluate
    from forecache.learn.partitioned import evaluate_partitions

    whole, step = size.resolve(part.trace, weights=weights), progress(told, f"{part.trace.name} {size}")
    if isinstance(part, Split):
        return evaluate(models, part, whole, weights=weights, on_progress=step)
    return evaluate_partitions(models, part, whole, weights=weights, on_progress=step)


def progress(told: Silence, name: str) -> Callable[[int, int], None]:
    """Tells how a step goes."""
    return partial(told.step, name)


def described(part: Split | Divided) -> dict[str, Any]:
    """What the metadata say of a trace."""
    known = {key: part.trace.metadata[key] for key in ("source", "licence") if key in part.trace.metadata}
    return {"name": part.trace.name, "accesses": len(part.trace), "learned_from": part.cut, **known}


def named(paths: list[Path], load: Callable[[Path], Model]) -> dict[str, Model]:
    """Models by the names of their files, or by their paths where these are the same."""
    from forecache.study.simulate import known_policies

    stems = [path.stem for path in paths]
    unclear = {stem for stem in stems if stems.count(stem) > 1} | set(known_policies())
    return {str(path) if stem in unclear else stem: load(path) for stem, path in zip(stems, paths, strict=True)}


def mean_ratio(found: list[Evaluation], policy: str) -> float:
    """The mean hit ratio over traces and capacities."""
    return sum(one.hit_ratio(policy) for one in found) / len(found)


def figures(one: Evaluation, name: str) -> dict[str, Any]:
    """What the metadata say of an evaluation."""
    from forecache.learn.evaluate import FALLBACK, LEARNED

    ratios = {"hit_ratio": one.hit_ratio(name), FALLBACK: one.hit_ratio(FALLBACK), "shipped": one.hit_ratio(LEARNED)}
    return {"trace": one.trace, "capacity": one.capacity, "held_out": one.accesses - one.cut, **ratios}


def judgement(own: float, fallback: float, shipped: float, noise: float, saved: Path | None) -> str:
    """What came of it, in words."""
    compared = f"hit ratio {own:.2%} on what was held out, tinylfu {fallback:.2%}, the shipped model {shipped:.2%}"
    if saved is None:
        return f"The model is not saved: {compared}. Use policy tinylfu, or save it all the same with --force."
    if own < fallback:
        return f"{saved} is saved although it is worse than tinylfu: {compared}."
    better = ""
    if own - shipped <= noise:
        better = f" Another seed makes up to {noise:.2%}: nothing shows that this model is better than the shipped one."
    return f"{saved} is saved: {compared}.{better}"


def show(found: list[Evaluation]) -> None:
    """Tables on stdout."""
    from forecache.show.evaluation import hits_table, quality_table

    for one in found:
        print_tables(hits_table(one), quality_table(one))
