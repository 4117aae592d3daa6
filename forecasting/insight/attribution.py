"""Attribution: what each reading contributes to the latest forecast of a series, by integrated gradients."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.errors import DataError
from forecasting.insight.derivatives import InputChannel, inputs_of
from forecasting.series.frame_windows import place_windows
from forecasting.series.windows import Batch, Windows

__all__ = ["Explanation", "explain"]

_COMPLETE: Final = 0.005  # of the largest change among the steps

Array = np.ndarray


class _Along(NamedTuple):
    """A quadrature along the path: Gauss–Legendre nodes at point ** power, and the width of differences in its parts.

    With a power above 1 they crowd near the baseline, where normalization ends since the window becomes flat.
    Differences as wide as a part see every bend of it; narrow ones stay on one side of a bend along the path.
    """

    nodes: int
    power: int
    width: float


_TRIES: Final = (_Along(6, 1, 1.0), _Along(12, 2, 1.0), _Along(12, 2, 1 / 16), _Along(48, 2, 1 / 4))  # until complete


class Explanation(NamedTuple):
    """How the forecast of one series comes about, in units of its target.

    `baseline` (H,) is the forecast if every reading had been the last one; the contributions of all lags and steps
    ahead add up to `forecast` - `baseline`, except for the share `gap`.
    """

    spec: Spec
    unique_id: str
    cutoff: pd.Timestamp
    last: float  # the last reading
    ds: Array  # (H,)
    baseline: Array
    forecast: Array  # the median, before calibration
    by_lag: dict[str, Array]  # by input: (H, T), lag 1 first
    ahead: dict[str, Array]  # by input known ahead: (H, H), the first step ahead first
    gap: float

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "model": self.spec.model,
            "unique_id": self.unique_id,
            "cutoff": self.cutoff.isoformat(),
            "ds": [pd.Timestamp(stamp).isoformat() for stamp in self.ds],
            "last": self.last,
            "baseline": _rounded(self.baseline),
            "forecast": _rounded(self.forecast),
            "attribution": {name: [_rounded(step) for step in found] for name, found in self.by_lag.items()},
            "ahead": {name: [_rounded(step) for step in found] for name, found in self.ahead.items()},
            "gap": float(f"{self.gap:.3g}"),
        }


class _Path(NamedTuple):
    """The straight way of one window from its baseline: `begin + share * way`, and the forecasts (B, H) along it."""

    forecaster: QuantileForecaster
    windows: Windows
    row: int  # of the cutoff
    place: int  # of the series in its frame
    begin: Batch
    way: Batch  # zero where nothing changes

    def forecasts(self, batch: Batch) -> Array:
        """The forecasts of the series (B, H) in units of its target."""
        spec = self.forecaster.spec
        places = 1 if spec.layout is None else spec.layout.places
        center = self.forecaster.bundle.predictor.center(batch).astype(np.float64)
        return self.units(center.reshape(-1, places, spec.horizon)[:, self.place])

    def units(self, scaled: Array) -> Array:
        """Scaled values in units of the target."""
        return self.forecaster.spec.scaler.invert(scaled, *self.loc_scale)

    @property
    def loc_scale(self) -> tuple[Array, Array]:
        """Location and scale of the series."""
        panel, series = self.windows.panel, self.windows.panel.series_of(np.array([self.row]))
        return panel.location[series], panel.scale[series]

    def at(self, share: float) -> Batch:
        """The inputs on the way, a batch of one."""
        return {
            name: values + np.float32(share) * self.way[name] if name in self.way else values
            for name, values in self.begin.items()
        }


def explain(forecaster: QuantileForecaster, history: pd.DataFrame, unique_id: str) -> Explanation:
    """Explain the forecast of one series from its last reading on.

    Integrated gradients (Sundararajan et al. 2017) by central differences along the straight path from a window that
    stays at its last values, covariates too. `history` is that of `QuantileForecaster.forecast`; raises DataError for a
    series that it does not hold.
    """
    path = _path(forecaster, forecaster.latest(history).windows, unique_id)
    baseline, forecast = path.forecasts(_stacked([path.at(0.0), path.at(1.0)]))
    by_lag, ahead, gap = _complete(path, forecast - baseline)
    spec, panel, row = forecaster.spec, path.windows.panel, path.row
    return Explanation(
        spec,
        unique_id,
        pd.Timestamp(panel.stamps[row]),
        float(path.units(panel.observed[row, :1].astype(np.float64))[0]),
        panel.stamps[row + 1 : row + 1 + spec.horizon],
        baseline,
        forecast,
        by_lag,
        ahead,
        gap,
    )


def _complete(path: _Path, change: Array) -> tuple[dict[str, Array], dict[str, Array], float]:
    """The contributions from as many nodes as it takes for them to add up to the change (H,), and what they lack."""
    inputs = inputs_of(path.forecaster.spec.features)
    least = 1e-6 * float(path.loc_scale[1][0])
    tried: list[tuple[dict[str, Array], dict[str, Array], float]] = []
    for along in _TRIES:
        by_lag, ahead = _integrated(path, inputs, along)
        total = np.sum([found.sum(axis=1) for found in (*by_lag.values(), *ahead.values())], axis=0)
        gap = float(np.abs(total - change).max() / max(np.abs(change).max(), least))
        tried.append((by_lag, ahead, gap))
        if gap <= _COMPLETE:
            break
    return min(tried, key=lambda one: one[-1])


def _path(forecaster: QuantileForecaster, windows: Windows, unique_id: str) -> _Path:
    """The way of a series' latest window from its baseline."""
    panel, rows = windows.panel, windows.rows(np.arange(len(windows)))
    found = np.flatnonzero(panel.unique_id[panel.series_of(rows)] == unique_id)
    if not len(found):
        raise DataError(f"{unique_id} has no reading to forecast from")
    layout = forecaster.spec.layout
    place = 0 if layout is None else int(place_windows(windows, found, layout).place[0])
    end = forecaster.bundle.predictor.batch(windows, found)
    way = _way(end, inputs_of(forecaster.spec.features))
    begin = {name: values - way[name] if name in way else values for name, values in end.items()}
    return _Path(forecaster, windows, int(rows[found[0]]), place, begin, way)


def _way(end: Batch, inputs: list[InputChannel]) -> Batch:
    """What distinguishes a window from one that stays at its last values."""
    past = np.zeros_like(end["past"])
    future = np.zeros_like(end["future"]) if "future" in end else None
    for _, channel, known in inputs:
        last = end["past"][:, -1:, ..., channel]
        past[..., channel] = end["past"][..., channel] - last
        if known is not None and future is not None:
            future[..., known] = end["future"][..., known] - last.reshape(1, -1)[:, :1]
    return {"past": past} if future is None else {"past": past, "future": future}


def _integrated(path: _Path, inputs: list[InputChannel], along: _Along) -> tuple[dict[str, Array], dict[str, Array]]:
    """The contributions by lag (H, T) and by step ahead (H, H)."""
    points, weights = np.polynomial.legendre.leggauss(along.nodes)
    points, weights = (points + 1) / 2, weights / 2
    widths = along.width * weights * along.power * points ** (along.power - 1)
    parts = list(zip(points**along.power, widths, strict=True))

    def integral(name: str, channel: int) -> Array:
        changes: Array = (
            np.sum([_changes(path, share, part, name, channel) for share, part in parts], axis=0) / along.width
        )
        return changes

    by_lag = {name: integral("past", channel)[:, ::-1] for name, channel, _ in inputs}
    return by_lag, {name: integral("future", known) for name, _, known in inputs if known is not None}


def _changes(path: _Path, share: float, part: float, name: str, channel: int) -> Array:
    """The change of the forecasts (H, steps) if one step of one channel alone goes a part of its way, around `share`.

    That is the derivative times the part, by a central difference.
    """
    here, way = path.at(share), path.way[name]
    count = way.shape[1]
    moved = np.repeat(here[name], 2 * count, axis=0)
    each = np.arange(count)
    half = np.float32(part / 2) * way[0, ..., channel]
    moved[each, each, ..., channel] += half
    moved[count + each, each, ..., channel] -= half
    same = {other: np.repeat(values, 2 * count, axis=0) for other, values in here.items() if other != name}
    found = path.forecasts({**same, name: moved})
    changes: Array = (found[:count] - found[count:]).T
    return changes


def _stacked(batches: list[Batch]) -> Batch:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
