"""Tuning: parameters of a predictor and of its training, searched by the hit ratio that they buy.

Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019. The search sees only the
past: it trains on the first part of it and is judged by the hits of the rest. What is held out is asked once, at the
end, with two seeds, whether anything was gained: the best of many trials always looks better than it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.learn.dataset import Dataset, Split, last, split
from forecache.learn.evaluate import LEARNED, SEEDS, held_out_hits
from forecache.learn.training import PREDICTORS, predictor_of, train

if TYPE_CHECKING:
    from optuna import Trial

    from forecache.learn.model import Model
    from forecache.record.trace import Trace
    from forecache.units import Capacity, Weights

with extra(TRACES):
    import numpy as np

__all__ = ["Tuning", "read_parameters", "tune"]

SPAN: Final = "span"  # share of the past, the most recent, that is learned from
PARAMETERS: Final = "parameters"  # of a trial, as the predictor takes them
SPACES: Final[Mapping[str, Callable[[Trial], dict[str, Any]]]] = {
    "forest": lambda trial: {
        "trees": trial.suggest_int("trees", 20, 320, log=True),
        "depth": trial.suggest_int("depth", 2, 6),
        "rate": trial.suggest_float("rate", 0.03, 0.4, log=True),
        "ridge": trial.suggest_float("ridge", 1.0, 500.0, log=True),
    },
    "trees": lambda trial: {
        "trees": trial.suggest_int("trees", 20, 320, log=True),
        "leaves": trial.suggest_int("leaves", 7, 63, log=True),
        "depth": trial.suggest_int("depth", 3, 10),
        "rate": trial.suggest_float("rate", 0.03, 0.4, log=True),
        "ridge": trial.suggest_float("ridge", 1.0, 500.0, log=True),
    },
    "network": lambda trial: {
        "hidden": (width := trial.suggest_int("width", 8, 64, log=True), width // 2),
        "epochs": trial.suggest_int("epochs", 4, 24, log=True),
        "rate": trial.suggest_float("rate", 5e-4, 1e-2, log=True),
        "ridge": trial.suggest_float("ridge", 1e-6, 1e-1, log=True),
    },
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the search found, and whether it is better on what it has not seen."""

    predictor: str
    trials: int
    parameters: Mapping[str, Any]  # the best; `span` is the share of the past that is learned from
    searched: float  # hit ratio by which the best were chosen
    searched_defaults: float  # of the defaults, on the same accesses
    held_out: float  # mean hit ratio over the seeds, after the cut
    defaults: float  # of the defaults, likewise
    shipped: float  # of the model that is part of the package, likewise
    noise: float  # largest difference that another seed made

    @property
    def gain(self) -> float:
        """Over the defaults, on what was held out."""
        return self.held_out - self.defaults

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "gain": self.gain}


def tune(
    traces: Sequence[Trace],
    capacity: Capacity,
    *,
    predictor: str = "forest",
    trials: int = 20,
    seconds: float | None = None,
    holdout: float = 0.3,
    weights: Weights = "unit",
    seed: int = 0,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Tuning:
    """Searches for parameters.

    Args:
        traces: each is divided by time.
        capacity: at which hits are counted.
        predictor: one of 'forest', 'trees' and 'network'.
        trials: most settings to try, besides the defaults, which are tried first.
        seconds: after which no further trial begins.
        holdout: share of each trace that the search never sees.
        weights: whether an entry weighs 1 or its size.
        seed: of the search and of the policy in it.
        on_progress: told how many trials are done, and of how many.

    Raises:
        ConfigurationError: an argument is out of range.
        MissingExtraError: Optuna is not installed.
    """
    if predictor not in SPACES or trials < 1:
        raise ConfigurationError(
            f"cannot tune {predictor!r} in {trials} trials; expected one of {', '.join(SPACES)}, and at least 1 trial"
        )
    with extra("learn"):
        import optuna
    outer = [split(trace, holdout) for trace in traces]
    inner = [split(part.past, holdout) for part in outer]
    entries = [capacity.resolve(trace, weights=weights) for trace in traces]
    data = [Dataset.of(part.past, size, weights=weights, seed=seed) for part, size in zip(inner, entries, strict=True)]

    def objective(trial: Trial) -> float:
        parameters = SPACES[predictor](trial)
        recent = Dataset.join([last(part, trial.suggest_float(SPAN, 0.25, 1.0)) for part in data])
        trial.set_user_attr(PARAMETERS, parameters)
        model = train(predictor_of(predictor, **parameters), recent)
        ratio = mean_hits(model, inner, entries, weights, (seed,))[0]
        on_progress(trial.number + 1, trials + 1)
        return ratio

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({**known_defaults(predictor), SPAN: 1.0})
    study.optimize(objective, n_trials=trials + 1, timeout=seconds)
    parameters, span = study.best_trial.user_attrs[PARAMETERS], study.best_params[SPAN]
    whole = [Dataset.of(part.past, size, weights=weights, seed=seed) for part, size in zip(outer, entries, strict=True)]
    tuned = train(predictor_of(predictor, **parameters), Dataset.join([last(part, span) for part in whole]))
    plain = train(predictor_of(predictor), Dataset.join(whole))
    figures = {
        name: mean_hits(model, outer, entries, weights, SEEDS)
        for name, model in {"tuned": tuned, "plain": plain, "shipped": None}.items()
    }
    return Tuning(
        predictor=predictor,
        trials=len(study.trials) - 1,
        parameters={**parameters, SPAN: span},
        searched=study.best_value,
        searched_defaults=float(study.trials[0].value or math.nan),
        held_out=figures["tuned"][0],
        defaults=figures["plain"][0],
        shipped=figures["shipped"][0],
        noise=max(noise for _, noise in figures.values()),
    )


def read_parameters(file: Path) -> tuple[str, dict[str, Any], float]:
    """The predictor that a search tuned, its parameters, and the share of the past to learn from.

    Args:
        file: JSON as `Tuning.to_dict` has it, or `forecache tune --json` prints it.

    Raises:
        ConfigurationError: the file holds something else.
    """
    wrong = f"{file} holds no parameters; expected what `forecache tune --json` prints"
    try:
        told = json.loads(file.read_text())
        predictor, parameters = str(told["predictor"]), dict(told["parameters"])
        span = float(parameters.pop(SPAN))
        if "hidden" in parameters:
            parameters["hidden"] = tuple(parameters["hidden"])
        predictor_of(predictor, **parameters)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(wrong) from error
    if predictor not in SPACES or not 0 < span <= 1:
        raise ConfigurationError(wrong)
    return predictor, parameters, span


def known_defaults(predictor: str) -> dict[str, Any]:
    """The defaults of the parameters that are searched."""
    defaults = PREDICTORS[predictor]().get_params()
    width = {"width": defaults["hidden"][0]} if "hidden" in defaults else {}
    return {name: value for name, value in defaults.items() if name not in {"seed", "share", "batch", "hidden"}} | width


def mean_hits(
    model: Model | None, parts: Sequence[Split], entries: Sequence[int], weights: Weights, seeds: Sequence[int]
) -> tuple[float, float]:
    """Mean hit ratio after the cut, over traces and seeds; and the largest difference that a seed makes."""
    ratios = []
    for part, capacity in zip(parts, entries, strict=True):
        models, policies = ({}, (LEARNED,)) if model is None else ({"model": model}, ())
        runs = held_out_hits(models, part, capacity, weights=weights, seeds=seeds, policies=policies)
        ratios.append([run.hit_ratio for run in runs])
    return float(np.mean(ratios)), float(np.ptp(ratios, axis=1).max())
