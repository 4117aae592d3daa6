"""Accuracy metrics, each a ratio of sums, and their tables per model, series, step, and window."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.bundle.scoring import inside, pinball, widest_interval
from forecasting.columns import CUTOFF, MODEL, STEP, UNIQUE_ID, interval_columns, quantile_column
from forecasting.errors import ConfigError, GatecastError

__all__ = [
    "METRICS",
    "Judged",
    "Metric",
    "Scored",
    "count_readings",
    "covered",
    "identity",
    "primary_metric",
    "ratio",
    "revision",
    "summarise",
    "sums",
    "table",
    "value",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
By: TypeAlias = Literal["model", "series", "step", "window"]


class Judged(Protocol):
    """The forecasts of one model with their actuals, one row per window, and the metrics that judge them."""

    @property
    def model(self) -> str:
        """The name of the model."""

    @property
    def unique_id(self) -> npt.NDArray[np.str_]:
        """(B,) the series of each window."""

    @property
    def cutoff(self) -> npt.NDArray[np.datetime64]:
        """(B,) the last timestamp the forecast was allowed to see."""

    @property
    def y(self) -> Floats:
        """(B, H) what happened, NaN where there is no actual."""

    @property
    def forecast(self) -> Floats:
        """The forecast quantiles (B, H, Q)."""

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles; none if the forecast has none."""

    @property
    def observed(self) -> Bools:
        """(B, H) where there is an actual."""

    @property
    def finite(self) -> Bools:
        """(B, H) where the forecast is finite."""

    @property
    def metrics(self) -> Mapping[str, "Metric"]:
        """The metrics for this kind of forecast."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The forecasts of one model with their actuals, one row per window (a series at a cutoff).

    A missing actual is left out of every metric; a forecast that is not finite never is: it makes every metric of its
    group NaN. Raises GatecastError if shapes or quantiles do not fit together.
    """

    model: str
    unique_id: npt.NDArray[np.str_]  # (B,)
    cutoff: npt.NDArray[np.datetime64]  # (B,) the last timestamp the forecast was allowed to see
    y: Floats  # (B, H) NaN where there is no actual
    forecast: Floats  # (B, H, Q)
    quantiles: tuple[float, ...]  # increasing, with 0.5 among them
    scale: Floats  # (B,) mean absolute error of the seasonal naive forecast on the training data of the series
    squared_scale: Floats  # (B,) its mean squared error

    def __post_init__(self) -> None:
        windows, horizon = self.y.shape if self.y.ndim == 2 else (len(self.y), -1)
        expected = {
            "y": (windows, horizon),
            "forecast": (windows, horizon, len(self.quantiles)),
            **dict.fromkeys(("unique_id", "cutoff", "scale", "squared_scale"), (windows,)),
        }
        wrong = [
            f"{name} has shape {getattr(self, name).shape}, expected {shape}"
            for name, shape in expected.items()
            if getattr(self, name).shape != shape
        ]
        if 0.5 not in self.quantiles or list(self.quantiles) != sorted(set(self.quantiles)):
            wrong.append(f"quantiles {list(self.quantiles)} must increase strictly and include 0.5")
        if wrong:
            raise GatecastError(f"the scored forecasts of {self.model!r} do not fit together: {'; '.join(wrong)}")

    @cached_property
    def observed(self) -> Bools:
        """(B, H) where there is an actual."""
        return ~np.isnan(self.y)

    @cached_property
    def finite(self) -> Bools:
        """(B, H) where every quantile of the forecast is a finite number."""
        return np.asarray(np.isfinite(self.forecast).all(axis=-1))

    @property
    def metrics(self) -> Mapping[str, "Metric"]:
        """METRICS."""
        return METRICS

    @property
    def point(self) -> Floats:
        """(B, H) the median forecast."""
        return self.forecast[..., self.quantiles.index(0.5)]


class Metric(NamedTuple):
    """`finish(sum of numerator / sum of denominator)` over the windows and steps of a group."""

    numerator: Callable[[Any], Floats]  # (B, H) of what was judged
    denominator: Callable[[Any], Floats]  # (B, H)
    finish: Callable[[Floats], Floats]
    lower_is_better: bool | None  # none: neither small nor large is better
    title: str


def identity(values: Floats) -> Floats:
    """A metric that is the ratio of its sums."""
    return values


def _error(scored: Scored) -> Floats:
    return scored.point - scored.y


def _absolute_error(scored: Scored) -> Floats:
    return np.abs(_error(scored))


def _squared_error(scored: Scored) -> Floats:
    return np.square(_error(scored))


def count_readings(scored: Judged) -> Floats:
    """1 for every forecast (B, H)."""
    return np.ones(scored.y.shape)


def _absolute_actual(scored: Scored) -> Floats:
    return np.abs(scored.y)


def _per_scale(values: Floats, scale: Floats) -> Floats:
    """`values` (B, H) over the scale (B,) of their series; 0 without a scale: constant in training, or too short."""
    return np.where(scale[:, None] > 0, values / scale[:, None], 0.0)


def _scaled_error(scored: Scored) -> Floats:
    return _per_scale(_absolute_error(scored), scored.scale)  # Hyndman and Koehler (2006)


def _scaled_count(scored: Scored) -> Floats:
    return count_readings(scored) * (scored.scale[:, None] > 0)


def _squared_scaled_error(scored: Scored) -> Floats:
    return _per_scale(_squared_error(scored), scored.squared_scale)


def _squared_scaled_count(scored: Scored) -> Floats:
    return count_readings(scored) * (scored.squared_scale[:, None] > 0)


def _symmetric_error(scored: Scored) -> Floats:
    size = np.abs(scored.y) + np.abs(scored.point)
    return np.where(size == 0, 0.0, 200 * _absolute_error(scored) / size)  # Makridakis et al. (2020), M4


def _pinball(scored: Scored) -> Floats:
    return pinball(scored.y, scored.forecast, scored.quantiles)


def _inside(scored: Scored) -> Floats:
    return inside(scored.y, scored.forecast)


def _width(scored: Scored) -> Floats:
    low, high = widest_interval(scored.forecast)
    return high - low


METRICS: dict[str, Metric] = {
    "wql": Metric(_pinball, _absolute_actual, identity, True, "weighted quantile loss"),
    "mae": Metric(_absolute_error, count_readings, identity, True, "mean absolute error"),
    "mse": Metric(_squared_error, count_readings, identity, True, "mean squared error"),
    "rmse": Metric(_squared_error, count_readings, np.sqrt, True, "root mean squared error"),
    "mase": Metric(_scaled_error, _scaled_count, identity, True, "mean absolute scaled error"),
    "rmsse": Metric(_squared_scaled_error, _squared_scaled_count, np.sqrt, True, "root mean squared scaled error"),
    "smape": Metric(_symmetric_error, count_readings, identity, True, "symmetric mean absolute percentage error"),
    "crps": Metric(_pinball, count_readings, identity, True, "continuous ranked probability score"),
    "coverage": Metric(_inside, count_readings, identity, None, "share of actuals inside the widest interval"),
    "width": Metric(_width, count_readings, identity, None, "mean width of the widest interval"),
    "bias": Metric(_error, count_readings, identity, None, "mean of forecast minus actual"),
}


def primary_metric(name: str, metrics: Mapping[str, Metric] | None = None) -> Metric:
    """The metric that ranks models; raises ConfigError unless it is one where less is better."""
    metrics = METRICS if metrics is None else metrics
    usable = [key for key, metric in metrics.items() if metric.lower_is_better]
    if name not in usable:
        raise ConfigError(f"models cannot be ranked by {name!r}; the primary metric is one of {', '.join(usable)}")
    return metrics[name]


def table(scored: Sequence[Judged], by: By) -> pd.DataFrame:
    """One row per model and group, one column per metric: `model, [unique_id | step | cutoff], *METRICS`.

    `by` is `model` (one row each), `series`, `step` (1 is the first after the cutoff) or `window` (a cutoff,
    all series together).
    """
    if not scored:
        raise GatecastError("no scored forecast to make a table of")
    return pd.concat([_table(one, by) for one in scored], ignore_index=True)


def summarise(scored: Judged) -> dict[str, float]:
    """Every metric over all windows and steps."""
    return {name: value(scored, metric) for name, metric in scored.metrics.items()}


def covered(scored: Judged) -> dict[str, float]:
    """The share of actuals inside each central interval, by its level in percent, such as `80`."""
    if not isinstance(scored, Scored):
        return {}
    names = [quantile_column(quantile) for quantile in scored.quantiles]
    pairs = interval_columns(names)
    found = {}
    for depth, (_, _, level) in enumerate(pairs):
        bounds = scored.forecast[..., [depth, len(names) - 1 - depth]]
        held = inside(scored.y, bounds)[scored.observed & scored.finite]
        found[f"{level:g}"] = float(held.mean()) if held.size else float("nan")
    return found


def sums(scored: Judged, metric: Metric) -> tuple[Floats, Floats]:
    """Numerator and denominator (B, H): 0 where there is no actual, NaN where the forecast is not finite."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        parts = metric.numerator(scored), metric.denominator(scored)
    numerator, denominator = (np.where(scored.finite, np.where(scored.observed, part, 0.0), np.nan) for part in parts)
    return numerator, denominator


def ratio(numerator: Floats, denominator: Floats, metric: Metric) -> Floats:
    """The metric of groups from their sums; NaN if a group has nothing to score."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return metric.finish(numerator / denominator)


def value(scored: Judged, metric: Metric) -> float:
    """The metric over all windows and steps; NaN where there is no actual or the forecast is not finite."""
    numerator, denominator = sums(scored, metric)
    return float(ratio(numerator.sum(keepdims=True), denominator.sum(keepdims=True), metric)[0, 0])


def revision(scored: Scored, *, freq_step: int) -> float:
    """The mean change of the point forecast of a date from one cutoff to the next, as a share of the mean |actual|.

    mean |f(c, t) - f(c', t)| / mean |y| over all pairs of neighboring cutoffs c, c' of a series and all dates t that
    both forecast. Neighbors lie `freq_step` steps apart; cutoffs further apart than 1.5 times the closest pair, because
    one is missing, are not neighbors. NaN if no date is forecast twice.
    """
    pairs, between = _successors(scored)
    overlap = scored.y.shape[1] - freq_step
    if overlap <= 0 or not between.size:
        return float("nan")
    earlier, later = pairs[between < 1.5 * between.min()].T
    actuals = np.abs(scored.y[scored.observed])
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.abs(scored.point[earlier, freq_step:] - scored.point[later, :overlap])
        return float(moved.mean() * actuals.size / actuals.sum())


def _successors(scored: Scored) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.timedelta64]]:
    """Each window and the next one of its series as rows (pairs, 2), and the time (pairs,) between their cutoffs."""
    series, _ = pd.factorize(scored.unique_id)
    order = np.lexsort((scored.cutoff, series))
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    pairs = pairs[series[pairs[:, 0]] == series[pairs[:, 1]]]
    return pairs, scored.cutoff[pairs[:, 1]] - scored.cutoff[pairs[:, 0]]


def _table(scored: Judged, by: By) -> pd.DataFrame:
    labels, add = _grouping(scored, by)
    parts = {name: (metric, *sums(scored, metric)) for name, metric in scored.metrics.items()}
    columns = {name: ratio(add(above), add(below), metric) for name, (metric, above, below) in parts.items()}
    frame = pd.DataFrame({**labels, **columns})
    frame.insert(0, MODEL, scored.model)
    return frame


def _grouping(scored: Judged, by: By) -> tuple[dict[str, Any], Callable[[Floats], Floats]]:
    """The label column of a table, and the function that adds values (B, H) up to its rows."""
    if by == "model":
        return {}, lambda values: values.sum(keepdims=True)[0]
    if by == "step":
        return {STEP: np.arange(1, scored.y.shape[1] + 1)}, lambda values: values.sum(axis=0)
    column, keys = (UNIQUE_ID, scored.unique_id) if by == "series" else (CUTOFF, scored.cutoff)
    codes, labels = pd.factorize(keys, sort=True)
    return {column: labels}, lambda values: np.bincount(
        codes, weights=values.sum(axis=1), minlength=len(labels)
    ).astype(np.float64)
