"""Models of symbols: from a history to its continuation; and how their bundles are built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, Origin, write
from forecasting.bundle.calibration import identity
from forecasting.bundle.cautions import Caution
from forecasting.bundle.engine import Engine, Graphs
from forecasting.bundle.fast_path import Readings
from forecasting.bundle.forecasts import SymbolForecasts
from forecasting.bundle.generation import Generated, Generator, Sampling
from forecasting.bundle.protocol import Forecaster
from forecasting.bundle.spec import Spec, SymbolSpec, TableSpec
from forecasting.columns import DS, UNIQUE_ID
from forecasting.config.job import Job
from forecasting.errors import ArtifactError, ConfigError, DataError
from forecasting.series.clean import clean, regular_grid
from forecasting.series.features import Features
from forecasting.series.folds import past
from forecasting.series.moments import Cutoffs
from forecasting.series.scaling import Scaler
from forecasting.series.validate import validate
from forecasting.series.vocabulary import Vocabulary, sequences, unit_of

__all__ = ["SymbolForecaster", "assemble_symbols", "symbol_spec"]

GOLDEN_STEPS = 32


class SymbolForecaster(Forecaster):
    """A bundle that continues sequences of symbols: networks and n-grams alike."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises ArtifactError for the bundle of a model of numbers."""
        if bundle.spec.symbols is None:
            raise ArtifactError(f"the bundle {bundle.path} forecasts numbers, not symbols")
        super().__init__(bundle)
        self.symbols = bundle.spec.symbols
        self._generator = Generator(self.symbols.vocabulary, bundle.predictor.engine)

    @property
    def generator(self) -> Generator:
        """The generator that continues a text."""
        return self._generator

    @property
    def sampling(self) -> Sampling:
        """The job's settings for drawing symbols."""
        return Sampling(self.symbols.temperature, self.symbols.seed, self.symbols.top)

    def check(self) -> None:
        """Read the golden inputs; raises ArtifactError if a probability is not finite."""
        logits, _ = self.generator.read(self.bundle.golden["symbols"])
        if not np.isfinite(logits).all():
            raise ArtifactError("its forecasts are not finite")

    def warned(
        self,
        history: pd.DataFrame | Readings,
        future: pd.DataFrame | None = None,
        *,
        levels: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> tuple[pd.DataFrame, tuple[Caution, ...]]:
        """Continue every series; see `Forecaster.warned`. As in the backtest, the last `context` symbols are read.

        Raises ConfigError for levels or values known ahead: symbols have neither.
        """
        if future is not None or levels is not None:
            raise ConfigError(f"{self.spec.job} forecasts symbols; leave out levels and values known ahead")
        table = history if isinstance(history, pd.DataFrame) else history.table()
        found = self.continued(table, horizon or self.spec.horizon)
        return found.table(), self.cautions(found)

    def cautions(self, found: SymbolForecasts) -> tuple[Caution, ...]:
        """The warnings on continuations: symbols that the model does not know."""
        names = tuple(map(str, found.unique_id[found.unknown > 0]))
        what = "have symbols in their context that the model does not know"
        return (Caution("unknown_label", what, len(names), names[:10]),) if names else ()

    def continued(self, history: pd.DataFrame, steps: int) -> SymbolForecasts:
        """Continue every series of a long table, in order of their names; raises DataError."""
        series = self.spec.series.model_copy(update={"min_length": 1})
        validate(history, series).raise_for_errors()
        grid = regular_grid(clean(history, series).table, series)
        ends = grid.groupby(UNIQUE_ID)[DS].max()
        labels = sequences(grid)
        found = [self._continue(read, steps) for read in labels.values()]
        ds = [pd.date_range(ends[name], periods=steps + 1, freq=series.freq, unit="us")[1:] for name in labels]
        return SymbolForecasts(
            unique_id=np.array(list(labels), dtype=object),
            cutoff=ends[list(labels)].to_numpy(),
            ds=np.stack([stamps.to_numpy() for stamps in ds]),
            symbols=np.stack([one.symbols for one, _ in found]),
            probability=np.stack([one.probability for one, _ in found]),
            unknown=np.array([unknown for _, unknown in found]),
        )

    def _continue(self, labels: pd.Series, steps: int) -> tuple[Generated, int]:
        """The continuation of a series' labels, and the number of unknown symbols read."""
        read = labels.tail(self.spec.context)
        unknown = int((self.symbols.vocabulary.encode(read) == 0).sum())
        return self.generator.extend(list(read), steps, self.sampling), unknown

    def at(self, table: pd.DataFrame, cutoffs: Cutoffs, wanted: tuple[float, ...] | None = None) -> SymbolForecasts:
        """Continue every series at each of the cutoffs, as known then; `table` must be clean.

        Raises ConfigError for `wanted` quantiles, DataError if no series has a symbol by then.
        """
        if wanted is not None:
            raise ConfigError(f"{self.spec.job} forecasts symbols, which have no quantiles")
        steps = self.spec.horizon
        found = [self.continued(before, steps) for cutoff in cutoffs if len(before := past(table, cutoff))]
        if not found:
            raise DataError(f"no series has a symbol at or before {cutoffs[0]}")
        return SymbolForecasts(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def symbol_spec(job: Job, model: str, vocabulary: Vocabulary, *, baseline: bool = False) -> Spec:
    """The spec of a model of symbols of this job."""
    return Spec(
        job=job.name,
        model=model,
        baseline=baseline,
        head="categorical",
        table=TableSpec.of(job.series),
        features=Features(freq=job.series.freq),
        scaler=Scaler(),
        context=job.window.context,
        horizon=job.window.horizon,
        quantiles=(),
        wanted=(),
        symbols=SymbolSpec(
            vocabulary=vocabulary,
            unit=unit_of(job),
            temperature=job.forecast.temperature,
            top=job.forecast.top,
            seed=job.forecast.seed,
        ),
    )


def assemble_symbols(
    directory: Path,
    spec: Spec,
    graphs: Graphs,
    held_out: Sequence[np.ndarray],
    *,
    origin: Origin,
    weights_file: Path | None = None,
) -> Path:
    """Write the bundle of a model of symbols; its golden forecast uses the first codes outside the training data.

    Probabilities have no residuals, so there is nothing to calibrate.
    """
    codes = held_out[0][None, :GOLDEN_STEPS].astype(np.int32)
    inputs = Engine(graphs.model).inputs
    states = {name: np.zeros((1, *shape[1:]), np.float32) for name, shape in inputs.items() if name != "symbols"}
    return write(
        directory,
        spec,
        graphs,
        calibration=identity(spec.quantiles, spec.horizon),
        golden={"symbols": codes, **states},
        origin=origin,
        weights_file=weights_file,
    )
