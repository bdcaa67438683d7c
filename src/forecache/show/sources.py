"""Sources: what the commands that study can be asked about: a trace, a divided history, or curves that were saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forecache.errors import ConfigurationError
from forecache.record.engines import Run, in_turn, on_cores, on_dask

if TYPE_CHECKING:
    from forecache.curve import MissRatioCurve
    from forecache.record.partitions import Partitions
    from forecache.record.trace import Trace
    from forecache.show.progress import Silence
    from forecache.units import Weights

__all__ = ["Dask", "Source", "Workers", "engine"]

SAVED: Final = ".json"  # suffix of curves that were saved
KEYS: Final = 25_000  # of a sample that stands for a divided history where one trace is looked at

Workers = Annotated[int, typer.Option(min=1, help="Processes that work on the partitions of a divided history.")]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster that works on them, as 'tcp://host:8786'."),
]


@contextmanager
def engine(workers: int, dask: str | None) -> Iterator[Run]:
    """What works on partitions."""
    if dask is None:
        yield in_turn if workers == 1 else on_cores(workers)
        return
    from forecache.extras import extra

    with extra("dask"):
        from distributed import Client
    try:
        client = Client(dask)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"no Dask scheduler answers at {dask!r}: {error}; expected the address of one that runs, 'tcp://host:8786'"
        ) from error
    with client:
        yield on_dask(client)


@dataclass(frozen=True)
class Source:
    """One of the three."""

    name: str
    run: Run
    trace: Trace | None = None  # or a sample of the history
    history: Partitions | None = None
    saved: tuple[MissRatioCurve, ...] = ()

    @classmethod
    def open(cls, path: Path, format: str | None, run: Run = in_turn) -> Source:
        """What a path holds.

        Raises:
            TraceError: it cannot be read.
            ConfigurationError: it is no curve that was saved.
        """
        from forecache.curve import MissRatioCurve
        from forecache.record.partitions import Partitions
        from forecache.record.trace import Trace

        if path.suffix == SAVED:
            saved = MissRatioCurve.load(path)
            return cls(saved[0].trace, run, saved=tuple(saved))
        if Partitions.is_at(path):
            from forecache.study.partitioned import sample_of

            history = Partitions.open(path)
            share = min(1.0, KEYS / max(history.unique, 1))
            return cls(history.name, run, trace=sample_of(history, share, run=run), history=history)
        trace = Trace.read(path, format)
        return cls(trace.name, run, trace=trace)

    def mean_entry(self) -> str | None:
        """Mean bytes of the keys, if sizes are known."""
        whole = self.history or self.trace
        return f"{round(whole.unique_bytes / whole.unique)}B" if whole is not None and whole.has_sizes else None

    def curves(
        self,
        names: list[str],
        sample: float | None,
        told: Silence,
        *,
        sizes: list[str] | None,
        weights: Weights,
        seed: int,
    ) -> list[MissRatioCurve]:
        """The curve of each policy.

        Raises:
            ConfigurationError: it was not saved, or a sample is asked for where that is not possible.
        """
        from forecache.study.curves import default_sample, miss_ratio_curve
        from forecache.study.partitioned import partitioned_curve
        from forecache.study.simulate import BASELINE

        trace, history = self.trace, self.history
        if trace is None:
            return [self._saved_curve(name) for name in names]
        if history is not None and sample is not None:
            raise ConfigurationError("a divided history chooses its samples by itself; leave --sample away")

        def curve(name: str) -> MissRatioCurve:
            step = partial(told.step, f"{self.name} {name}")
            if history is not None:
                return partitioned_curve(
                    history, sizes, policy=name, weights=weights, seed=seed, run=self.run, on_progress=step
                )
            usual = 1.0 if name == BASELINE else default_sample(trace)
            share = usual if sample is None else sample
            return miss_ratio_curve(
                trace, sizes, policy=name, sample=share, weights=weights, seed=seed, on_progress=step
            )

        return [curve(name) for name in names]

    def _saved_curve(self, name: str) -> MissRatioCurve:
        found = next((curve for curve in self.saved if curve.policy == name), None)
        if found is None:
            known = ", ".join(curve.policy for curve in self.saved)
            raise ConfigurationError(f"no curve of {name!r} was saved; there are those of {known}")
        return found
