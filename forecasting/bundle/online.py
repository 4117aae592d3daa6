"""The narrow door for online requests: whole, regular histories become a panel in microseconds, without a table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.frequency import fixed_step
from forecasting.series.panel import Panel
from forecasting.series.time_features import calendar

__all__ = ["Readings", "panel_of"]


class Readings(NamedTuple):
    """A long table as columns of one length: series, stamps (datetime64[us]), values (NaN: none), covariates."""

    unique_id: list[str]
    ds: np.ndarray
    y: np.ndarray
    covariates: dict[str, np.ndarray]

    def table(self) -> pd.DataFrame:
        """The same as a long table."""
        labels = {name for name, values in self.covariates.items() if values.dtype.kind != "f"}
        texts: dict[str, list[Any]] = {name: self.covariates[name].tolist() for name in labels}
        texts[UNIQUE_ID] = self.unique_id
        columns = {DS: self.ds, Y: self.y, **self.covariates}
        return pd.DataFrame({**columns, **{name: pd.array(values, dtype="str") for name, values in texts.items()}})


def panel_of(readings: Readings, spec: Spec) -> Panel | None:
    """The panel of the last context of every series, with the horizon appended; None where it takes more than that.

    It takes more where a model reads covariates, a step is not of fixed length, a series is too short, comes in
    pieces or out of order, has gaps or repeats, or a value is missing or out of bounds: then the table is validated
    and cleaned like any other. Both ways give the same forecasts.
    """
    features, step = spec.features, fixed_step(spec.features.freq)
    if step is None or features.past or features.future or features.static or not len(readings.y):
        return None
    ids = np.asarray(readings.unique_id, dtype=object)
    first = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    stop = np.append(first[1:], len(ids))
    if (stop - first).min() < spec.context or len(set(ids[first])) < len(first):
        return None
    within = np.diff(readings.ds) == step
    within[first[1:] - 1] = True  # from one series to the next any step will do
    if not within.all() or not _usable(readings.y, spec):
        return None
    rows = stop[:, None] - np.arange(spec.context, 0, -1)  # (N, T)
    return _panel(ids[first], readings.ds[rows[:, 0]], readings.y[rows], spec, step)


def _usable(y: np.ndarray, spec: Spec) -> bool:
    low = -np.inf if spec.series.lower is None else spec.series.lower
    high = np.inf if spec.series.upper is None else spec.series.upper
    return bool(np.isfinite(y).all() and (y >= low).all() and (y <= high).all())


def _panel(names: np.ndarray, start: np.ndarray, y: np.ndarray, spec: Spec, step: np.timedelta64) -> Panel:
    """The panel of contexts `y` (N, T) that begin at `start` (N,)."""
    length, features = spec.context + spec.horizon, spec.features
    location, scale = spec.scaler.of(names)
    target = np.full((len(names), length), np.nan, dtype=np.float32)
    target[:, : spec.context] = spec.scaler.apply(y, location[:, None], scale[:, None])
    observed = target.copy()
    observed[:, spec.context :] = target[:, spec.context - 1 : spec.context]
    ahead = np.empty((target.size, len(features.known_ahead)), dtype=np.float32)
    if features.calendar:
        begins, which = np.unique(start, return_inverse=True)  # most series of a request share their stamps
        stamps = pd.DatetimeIndex((begins[:, None] + np.arange(length) * step).ravel())
        channels = calendar(stamps, features.calendar, time_zone=features.time_zone)
        ahead[:] = channels.reshape(len(begins), length, -1)[which].reshape(ahead.shape)
    return Panel(
        features=features,
        unique_id=names,
        offsets=np.arange(len(names) + 1) * length,
        start=start,
        observed=observed.reshape(-1, 1),
        target=target.ravel(),
        ahead=ahead,
        static=np.empty((len(names), 0), dtype=np.float32),
        codes=np.empty((len(names), 0), dtype=np.int32),
        location=location,
        scale=scale,
    )
