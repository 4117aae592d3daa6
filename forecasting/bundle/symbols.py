"""Bundles of models of symbols: how they are put together, and a history in, its continuation out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, Origin, verify, write
from forecasting.bundle.calibration import identity
from forecasting.bundle.engine import Engine, Graphs
from forecasting.bundle.generation import Continuation, Sampling
from forecasting.bundle.spec import Spec, Symbols
from forecasting.columns import CUTOFF, DS, PROBABILITY, STEP, SYMBOL, UNIQUE_ID, UNKNOWN_READ
from forecasting.config.job import Job
from forecasting.errors import ArtifactError, DataError
from forecasting.series.clean import clean, regular_grid
from forecasting.series.features import Features
from forecasting.series.folds import past
from forecasting.series.scaling import Scaler
from forecasting.series.validate import validate
from forecasting.series.vocabulary import Vocabulary, sequences, unit_of

__all__ = ["SymbolForecaster", "assemble_symbols", "symbol_spec"]

GOLDEN_STEPS = 32


class SymbolForecaster:
    """A bundle that continues sequences of symbols: networks and n-grams alike."""

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        if bundle.spec.symbols is None:
            raise ArtifactError(f"the bundle {bundle.path} forecasts numbers, not symbols")
        self.bundle = bundle
        self.symbols = bundle.spec.symbols
        self.continuation = Continuation(self.symbols.vocabulary, bundle.path / "model.onnx", threads=threads)

    @classmethod
    def load(cls, directory: Path) -> SymbolForecaster:
        """Verify the bundle in `directory` and open it; raises ArtifactError if anything is wrong with it."""
        return cls(verify(Path(directory)))

    @property
    def spec(self) -> Spec:
        """What the bundle reads and gives."""
        return self.bundle.spec

    @property
    def sampling(self) -> Sampling:
        """How the job draws symbols."""
        return Sampling(self.symbols.temperature, self.symbols.seed, self.symbols.top)

    def forecast(self, history: pd.DataFrame, *, horizon: int | None = None) -> pd.DataFrame:
        """What follows every series: unique_id, ds, cutoff, step, symbol, its probability, unknown symbols read.

        As in the backtest, the last `context` symbols are read. Raises DataError listing all that is wrong.
        """
        series = self.spec.series.model_copy(update={"min_length": 1})
        validate(history, series).raise_for_errors()
        grid = regular_grid(clean(history, series).table, series)
        ends, steps = grid.groupby(UNIQUE_ID)[DS].max(), horizon or self.spec.horizon
        tables = [
            self._continued(name, pd.Timestamp(ends[name]), labels, steps) for name, labels in sequences(grid).items()
        ]
        return pd.concat(tables, ignore_index=True)

    def _continued(self, name: str, end: pd.Timestamp, labels: pd.Series, steps: int) -> pd.DataFrame:
        read = labels.tail(self.spec.context)
        found = self.continuation.extend(list(read), steps, self.sampling)
        return pd.DataFrame(
            {
                UNIQUE_ID: pd.array([name] * steps, dtype="str"),
                DS: pd.date_range(end, periods=steps + 1, freq=self.spec.series.freq, unit="us")[1:],
                CUTOFF: end,
                STEP: np.arange(1, steps + 1),
                SYMBOL: pd.array(found.symbols, dtype="str"),
                PROBABILITY: found.probability.astype(np.float64),
                UNKNOWN_READ: int((self.symbols.vocabulary.encode(read) == 0).sum()),
            }
        )

    def at(self, table: pd.DataFrame, cutoffs: pd.DatetimeIndex) -> pd.DataFrame:
        """What follows every series at each of the cutoffs, as if it were then; `table` must be clean."""
        found = [self.forecast(before) for cutoff in cutoffs if len(before := past(table, cutoff))]
        if not found:
            raise DataError(f"no series has a symbol at or before {cutoffs[0]}")
        return pd.concat(found, ignore_index=True)


def symbol_spec(job: Job, model: str, vocabulary: Vocabulary, *, baseline: bool = False) -> Spec:
    """The spec of a model of symbols of this job."""
    return Spec(
        job=job.name,
        model=model,
        baseline=baseline,
        head="categorical",
        series=job.series.model_copy(update={"start": None, "end": None}),
        features=Features(freq=job.series.freq),
        scaler=Scaler(),
        context=job.window.context,
        horizon=job.window.horizon,
        quantiles=(0.5,),
        wanted=(0.5,),
        symbols=Symbols(
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
    keras_file: Path | None = None,
) -> Path:
    """Write the bundle of a model of symbols; its golden forecast is that of the first codes that it was not fitted on.

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
        keras_file=keras_file,
    )
