"""Whether one model is better than another on the same windows, with confidence bounds."""

from math import ceil, isfinite, nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.bundle.numerics import normal_quantile, student_t_quantile
from forecasting.errors import GatecastError
from forecasting.evaluation.metrics import Judged, Metric, primary_metric, ratio, sums

__all__ = ["Improvement", "better"]

_RESAMPLES = 2000
_SEED = 1  # the same backtests give the same verdict


class Improvement(NamedTuple):
    """The relative improvement of the challenger's metric over the other's, and one-sided confidence bounds of it.

    NaN if a metric is not finite, or if a single window leaves nothing to resample.
    """

    mean: float
    low: float
    high: float


def better(challenger: Judged, other: Judged, *, metric: str, confidence: float, step: int) -> Improvement:
    """The challenger's improvement over the other, from a circular block bootstrap over cutoffs.

    All series of a cutoff stay together, and blocks are long enough for forecasts that share target dates (Politis and
    Romano 1992). With a single cutoff, the series are resampled instead. Raises ConfigError for a metric that cannot
    rank, GatecastError if the two were not scored on the same windows.
    """
    measure = primary_metric(metric, challenger.metrics)
    _check_same_windows(challenger, other)
    by_cutoff = len(np.unique(challenger.cutoff)) > 1
    units = np.column_stack([_unit_sums(scored, measure, by_cutoff) for scored in (challenger, other)])  # (units, 4)
    mean = float(_improvement(units.sum(axis=0, keepdims=True), measure)[0])
    if len(units) < 2 or not isfinite(mean):
        return Improvement(mean if isfinite(mean) else nan, nan, nan)
    length = _block_length(len(units), ceil(challenger.y.shape[1] / step)) if by_cutoff else 1
    samples = _improvement(_resample(units, length), measure)
    if not np.isfinite(samples).all():
        return Improvement(mean, nan, nan)
    low, high = mean + _stretch(len(units), length, confidence) * (
        np.quantile(samples, [1 - confidence, confidence]) - mean
    )
    return Improvement(mean, float(low), float(high))


def _unit_sums(scored: Judged, metric: Metric, by_cutoff: bool) -> npt.NDArray[np.float64]:
    """Numerator and denominator (units, 2) of each cutoff, or of each series."""
    codes, labels = pd.factorize(scored.cutoff if by_cutoff else scored.unique_id, sort=True)
    parts = [np.bincount(codes, weights=part.sum(axis=1), minlength=len(labels)) for part in sums(scored, metric)]
    return np.column_stack(parts)


def _improvement(totals: npt.NDArray[np.float64], metric: Metric) -> npt.NDArray[np.float64]:
    """1 - challenger's metric / other's, from sums (resamples, 4)."""
    ours, theirs = ratio(totals[:, 0], totals[:, 1], metric), ratio(totals[:, 2], totals[:, 3], metric)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - ours / theirs


def _block_length(cutoffs: int, overlap: int) -> int:
    """Cutoffs in a block: twice those whose forecasts overlap or, if more, twice the cube root; two blocks at least."""
    return min(2 * max(overlap, ceil(float(np.cbrt(cutoffs)))), max(1, cutoffs // 2))


def _resample(units: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """Totals (resamples, 4) of resamples of the rows of `units` (units, 4), drawn in blocks of `length` on a circle."""
    count = len(units)
    blocks = ceil(count / length)
    starts = np.random.default_rng(_SEED).integers(0, count, (_RESAMPLES, blocks))
    running = np.concatenate([np.zeros((1, units.shape[1])), np.cumsum(np.concatenate([units, units]), axis=0)])
    full = running[length : length + count] - running[:count]  # sum of the block that starts at each row
    rest = count - (blocks - 1) * length  # the last block is cut, so that a resample has as many rows as the data
    last = running[rest : rest + count] - running[:count]
    totals: npt.NDArray[np.float64] = full[starts[:, :-1]].sum(axis=1) + last[starts[:, -1]]
    return totals


def _stretch(cutoffs: int, length: int, confidence: float) -> float:
    """The factor by which bounds from few blocks must be wider than the bootstrap's.

    Blocks on a circle of C cutoffs understate the variance by 1 - length / C, and with C / length independent blocks
    the error has Student's distribution. docs/evaluation.md shows how often the bounds hold with and without.
    """
    blocks = cutoffs // length
    wider = student_t_quantile(np.array(blocks - 1), np.array(confidence)) / normal_quantile(np.array(confidence))
    return float(np.sqrt(cutoffs / (cutoffs - length)) * wider)


def _check_same_windows(one: Judged, other: Judged) -> None:
    pair = f"{one.model} and {other.model}"
    if one.quantiles != other.quantiles or one.y.shape[1] != other.y.shape[1]:
        raise GatecastError(f"{pair} cannot be compared: their quantiles or horizons differ")
    mine, theirs = (pd.MultiIndex.from_arrays([scored.unique_id, scored.cutoff]) for scored in (one, other))
    repeated = [scored.model for scored, keys in ((one, mine), (other, theirs)) if keys.has_duplicates]
    if repeated:
        raise GatecastError(f"{pair} cannot be compared: {', '.join(repeated)} was scored twice on some window")
    different = mine.symmetric_difference(theirs)
    if len(different):
        raise GatecastError(
            f"{pair} cannot be compared: {len(different)} window(s) were scored for only one of them, the first is"
            f" {different[0][0]!r} at {different[0][1]}; backtest both on the same cutoffs"
        )
    if not np.array_equal(one.y, other.y[theirs.get_indexer(mine)], equal_nan=True):
        raise GatecastError(f"{pair} cannot be compared: their actuals differ; backtest both again")
