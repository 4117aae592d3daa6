"""Rolling origins of symbols: every symbol after a cutoff is scored, given all symbols before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.columns import DS, UNIQUE_ID
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.metrics import Bools, Floats, Metric, count_readings, identity
from forecasting.evaluation.timing import median_ms
from forecasting.series.clean import regular_grid
from forecasting.series.folds import Fold
from forecasting.series.vocabulary import sequences

__all__ = ["SYMBOL_METRICS", "ScoredSymbols", "SymbolOrigins", "backtest", "backtester", "find_origins"]

_MOST_VALUES = 4_000_000  # logits in one call of the engine


@dataclass(frozen=True, eq=False)
class ScoredSymbols:
    """The probabilities that a model gave to the actual symbols, one row per window (a series at a cutoff)."""

    model: str
    unique_id: npt.NDArray[np.str_]  # (B,)
    cutoff: npt.NDArray[np.datetime64]  # (B,) the last known step before the first symbol of the window
    y: Floats  # (B, H) the actual symbols, numbered in the order of their labels
    log_probability: Floats  # (B, H) of each, given all before it
    hit: Bools  # (B, H) whether it was the most probable one

    @property
    def forecast(self) -> Floats:
        """(B, H, 1) the log-probabilities."""
        return self.log_probability[..., None]

    @property
    def quantiles(self) -> tuple[float, ...]:
        """None: symbols have no order."""
        return ()

    @property
    def observed(self) -> Bools:
        """(B, H) every step has a symbol."""
        return np.ones(self.y.shape, dtype=bool)

    @property
    def finite(self) -> Bools:
        """(B, H) where the model gave a probability above zero."""
        return np.isfinite(self.log_probability)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """SYMBOL_METRICS."""
        return SYMBOL_METRICS


def _surprise(scored: ScoredSymbols) -> Floats:
    return -scored.log_probability


def _hits(scored: ScoredSymbols) -> Floats:
    return scored.hit.astype(np.float64)


def _in_bits(nats: Floats) -> Floats:
    return np.asarray(nats / np.log(2))


SYMBOL_METRICS: dict[str, Metric] = {
    "nats": Metric(_surprise, count_readings, identity, True, "mean negative log-likelihood of a symbol, in nats"),
    "bits": Metric(_surprise, count_readings, _in_bits, True, "mean negative log-likelihood of a symbol, in bits"),
    "accuracy": Metric(_hits, count_readings, identity, False, "share of symbols that were the most probable one"),
}


class SymbolOrigins(NamedTuple):
    """The windows that judge all models."""

    unique_id: npt.NDArray[np.str_]
    cutoff: npt.NDArray[np.datetime64]
    position: npt.NDArray[np.intp]  # (B,) of the first symbol after the cutoff, in its series
    y: Floats  # (B, H)
    fold: npt.NDArray[np.intp]  # (B,)
    labels: dict[str, pd.Series]  # of every series, from its beginning
    context: int


def find_origins(table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> SymbolOrigins:
    """Every series at every cutoff after its first symbol whose horizon it reaches; `table` must be clean.

    Raises DataError if no window is left.
    """
    grid, horizon = regular_grid(table, job.series), job.window.horizon
    labels = sequences(grid)
    stamps = {str(name): ds.to_numpy() for name, ds in grid.groupby(UNIQUE_ID)[DS]}
    codes = {name: pd.Index(sorted(grid["y"].unique())).get_indexer(pd.Index(found)) for name, found in labels.items()}
    rows: list[tuple[str, Any, int, int]] = []
    for number, fold in enumerate(folds):
        for cutoff in fold.cutoffs.to_numpy():
            for name, ds in stamps.items():
                position = int(np.searchsorted(ds, cutoff, side="right"))
                if position and position + horizon <= len(ds):
                    rows.append((name, cutoff, position, number))
    if not rows:
        raise DataError(f"no window can be scored: no series has {horizon} symbols after a cutoff")
    unique_id, cutoffs, positions, numbers = (np.array(column) for column in zip(*rows, strict=True))
    y = np.stack([codes[name][begin : begin + horizon] for name, _, begin, _ in rows]).astype(np.float64)
    return SymbolOrigins(unique_id, cutoffs, positions, y, numbers, labels, job.window.context)


def backtester(table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> Callable[[Sequence[Path], str], Backtested]:
    """The function that backtests a model on every window of a clean table; raises DataError if no window can be
    scored."""
    origins = find_origins(table, job, folds)
    return lambda bundles, name: backtest(origins, bundles, name)


def backtest(origins: SymbolOrigins, bundles: Sequence[Path], name: str) -> Backtested:
    """Backtest one model: the bundle of each fold at that fold's cutoffs, with its latency, size, and weights.

    A single bundle serves all folds. The recorded weights are those of the last one, which would go live. A symbol that
    a bundle does not know counts as its unknown symbol, which has a probability, too.
    """
    count = int(origins.fold.max()) + 1
    forecasters = [SymbolForecaster(open_bundle(path)) for path in bundles]
    of_fold = forecasters * count if len(forecasters) == 1 else forecasters
    log_probability, hit = np.empty(origins.y.shape), np.empty(origins.y.shape, dtype=bool)
    for number, forecaster in enumerate(of_fold):
        for rows in _alike(origins, number, forecaster.symbols.vocabulary.size):
            log_probability[rows], hit[rows] = _score(origins, forecaster, rows)
    latest = of_fold[-1].bundle
    return Backtested(
        name=name,
        scored=ScoredSymbols(name, origins.unique_id, origins.cutoff, origins.y, log_probability, hit),
        latency_ms=latency(of_fold[-1], origins),
        size_mb=latest.manifest.size_mb,
        weights=latest.manifest.weights,
    )


def latency(forecaster: SymbolForecaster, origins: SymbolOrigins, repeats: int = 21) -> float:
    """Milliseconds to read one context and give one symbol, median of `repeats`."""
    history = list(origins.labels[str(origins.unique_id[0])].iloc[: origins.position[0]].tail(origins.context))
    return median_ms(lambda: forecaster.generator.extend(history, 1, forecaster.sampling), repeats)


def _alike(origins: SymbolOrigins, fold: int, classes: int) -> list[npt.NDArray[np.intp]]:
    """The windows of a fold in batches of the same number of symbols read before."""
    size = max(1, _MOST_VALUES // ((origins.context + origins.y.shape[1]) * classes))
    mine = np.flatnonzero(origins.fold == fold)
    read = np.minimum(origins.position[mine], origins.context)
    groups = [mine[read == length] for length in np.unique(read)]
    return [group[begin : begin + size] for group in groups for begin in range(0, len(group), size)]


def _score(origins: SymbolOrigins, forecaster: SymbolForecaster, rows: npt.NDArray[np.intp]) -> tuple[Floats, Bools]:
    """Log-probability and hits (B, H) of windows that read equally many symbols before their cutoff."""
    horizon, read = origins.y.shape[1], int(min(origins.position[rows[0]], origins.context))
    encode: Callable[[Any], Any] = forecaster.symbols.vocabulary.encode
    codes = np.stack(
        [
            encode(
                origins.labels[str(origins.unique_id[row])].iloc[
                    origins.position[row] - read : origins.position[row] + horizon
                ]
            )
            for row in rows
        ]
    )
    log_probability, best = forecaster.generator.judge(codes)
    return log_probability[:, read - 1 :].astype(np.float64), best[:, read - 1 :] == codes[:, read:]
