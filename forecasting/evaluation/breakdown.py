"""Where a model errs: its quantiles against the actuals, its worst series, and its error by the size of the series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.columns import MODEL, UNIQUE_ID
from forecasting.evaluation.metrics import Bools, Floats, Judged, Metric, Scored, ratio, sums

__all__ = ["SizeGroups", "WorstSeries", "by_size", "calibration", "worst_series"]

_GROUPS: Final = 5  # of series, by their size
_MEMBERS: Final = 2  # series that a group has at least


class WorstSeries(NamedTuple):
    """The series with the largest losses: those worse than the baseline first, by what that costs, then by their share.

    `table`: unique_id, share (of the whole loss), the metric of the model and of the baseline under their names, and
    `against`, the relative difference of both.
    """

    table: pd.DataFrame
    series: int  # in all
    worse: int  # than by the baseline
    undefined: int  # series whose metric has no value, such as a wql where all actuals are 0


class SizeGroups(NamedTuple):
    """Groups of as many series each by the mean absolute actual: low, high, series, share, and both metrics."""

    table: pd.DataFrame
    left_out: int  # series without an actual


def calibration(scored: Sequence[Judged]) -> pd.DataFrame:
    """The share of actuals below and at or below each forecast quantile: `model, quantile, below, at_most`.

    A calibrated quantile q lies between both; they differ where actuals equal it, as counts do. Forecasts without
    quantiles, or with the median alone, are left out.
    """
    rows = []
    for one in scored:
        if not isinstance(one, Scored) or len(one.quantiles) < 2:
            continue
        known = one.observed & one.finite
        y, forecast = one.y[known], one.forecast[known]
        for place, quantile in enumerate(one.quantiles if len(y) else ()):
            edge = forecast[:, place]
            rows.append((one.model, quantile, float((y < edge).mean()), float((y <= edge).mean())))
    return pd.DataFrame(rows, columns=[MODEL, "quantile", "below", "at_most"])


def worst_series(model: Judged, baseline: Judged, metric: str, *, limit: int = 10) -> WorstSeries | None:
    """The `limit` worst series of a panel by `metric`; None for a single series."""
    names, mine, other = _of_series(model, baseline, metric)
    if len(names) < 2:
        return None
    broken = ~np.isfinite(mine.loss)
    beyond = np.where(broken | ~np.isfinite(other.loss), 0.0, mine.loss - other.loss)
    order = np.lexsort((-np.nan_to_num(mine.loss), -np.maximum(beyond, 0.0), ~broken))
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            UNIQUE_ID: names,
            "share": mine.loss / np.nansum(mine.loss),
            model.model: mine.values(),
            baseline.model: other.values(),
            "against": mine.values() / other.values() - 1,
        }
    table = pd.DataFrame(columns).replace([np.inf, -np.inf], np.nan)
    undefined = int((table[model.model].isna() & ~broken).sum())
    worse = int((beyond > 0).sum() + broken.sum())
    return WorstSeries(table.iloc[order[:limit]].reset_index(drop=True), len(names), worse, undefined)


def by_size(model: Judged, baseline: Judged, metric: str) -> SizeGroups | None:
    """Both models by `metric` in up to five groups of series; None for fewer than four series, and for symbols."""
    if not isinstance(model, Scored):
        return None
    names, mine, other = _of_series(model, baseline, metric)
    codes = np.searchsorted(names, model.unique_id)
    with np.errstate(invalid="ignore"):
        size = _add(np.abs(np.nan_to_num(model.y)), codes) / _add(model.observed, codes)
    known = np.flatnonzero(~np.isnan(size))
    groups = min(_GROUPS, len(known) // _MEMBERS)
    if groups < 2:
        return None
    split = np.array_split(known[np.argsort(size[known], kind="stable")], groups)
    table = pd.DataFrame(
        {
            "low": [size[group].min() for group in split],
            "high": [size[group].max() for group in split],
            "series": [len(group) for group in split],
            "share": [mine.loss[group].sum() / mine.loss.sum() for group in split],
            **{one.model: [part.pooled(group) for group in split] for one, part in ((model, mine), (baseline, other))},
        }
    )
    return SizeGroups(table, len(names) - len(known))


class _Losses(NamedTuple):
    """The sums of a metric (N,), series by series."""

    metric: Metric
    loss: Floats
    size: Floats

    def values(self) -> Floats:
        """The metric of each series (N,)."""
        return ratio(self.loss, self.size, self.metric)

    def pooled(self, group: npt.NDArray[np.intp]) -> float:
        """The metric of some series together."""
        of_group = self.loss[group].sum(keepdims=True), self.size[group].sum(keepdims=True)
        return float(ratio(*of_group, self.metric)[0])


def _of_series(model: Judged, baseline: Judged, name: str) -> tuple[npt.NDArray[np.str_], _Losses, _Losses]:
    """The series, and the losses of both models in them; both are judged on the same windows."""
    names, codes = np.unique(model.unique_id, return_inverse=True)
    metric = model.metrics[name]
    mine, other = (_Losses(metric, *(_add(part, codes) for part in sums(one, metric))) for one in (model, baseline))
    return names, mine, other


def _add(values: Floats | Bools, codes: npt.NDArray[np.intp]) -> Floats:
    """Values (B, H) added up to series (N,)."""
    return np.bincount(codes, weights=values.sum(axis=1)).astype(np.float64)
