"""The fast path: whole, regular histories become a panel in microseconds, without a table."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.aggregate import step_ends
from forecasting.series.features import Features
from forecasting.series.frequency import fixed_step
from forecasting.series.panel import Panel
from forecasting.series.windows import Windows, at_rows

__all__ = ["Readings", "panel_of", "step_of", "windows_of"]


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


def step_of(spec: Spec) -> np.timedelta64 | None:
    """The step between readings of a model on the fast path.

    None for a model that reads covariates or symbols, or whose steps vary in length.
    """
    features = spec.features
    if features.past or features.future or features.static or spec.symbols:
        return None
    return fixed_step(features.freq)


def panel_of(readings: Readings, spec: Spec) -> Panel | None:
    """The panel of the last context of every series, with the horizon appended; None if the fast path does not apply.

    It does not apply if a model reads covariates, a step varies in length, a series is too short, comes in pieces or
    out of order, has gaps or duplicates, is not aggregated yet, or a value is missing or out of bounds: then the table
    is validated and cleaned like any other. Both ways give the same forecasts.
    """
    step = step_of(spec)
    if step is None or not len(readings.y):
        return None
    ids, ds = np.array(readings.unique_id, dtype=object), readings.ds
    edges = np.ones(len(ids) + 1, dtype=bool)
    edges[1:-1] = ids[1:] != ids[:-1]
    bounds = np.flatnonzero(edges)
    first, stop, names = bounds[:-1], bounds[1:], ids[bounds[:-1]]
    if (stop - first).min() < spec.context or len(set(names)) < len(names):
        return None
    within = ds[1:] - ds[:-1] == step
    within[first[1:] - 1] = True  # between two series any step will do
    if not within.all() or not _usable(readings.y, spec):
        return None
    if spec.series.aggregate is not None and (step_ends(pd.Series(ds[first]), spec.features.freq) != ds[first]).any():
        return None
    rows = stop[:, None] - np.arange(spec.context, 0, -1)  # (N, T)
    return _panel(names, ds[rows[:, 0]], readings.y[rows], spec, step)


def windows_of(readings: Readings, spec: Spec) -> Windows | None:
    """The window at the last reading of every series, in the panel of `panel_of`; None without one."""
    panel = panel_of(readings, spec)
    if panel is None:
        return None
    return at_rows(panel, panel.offsets[1:] - spec.horizon - 1, context=spec.context, horizon=spec.horizon)


def _usable(y: np.ndarray, spec: Spec) -> bool:
    least, most = float(y.min()), float(y.max())  # NaN where any value is
    low, high = spec.series.bounds
    return math.isfinite(least) and math.isfinite(most) and low <= least and most <= high


def _panel(names: np.ndarray, start: np.ndarray, y: np.ndarray, spec: Spec, step: np.timedelta64) -> Panel:
    """The panel of contexts `y` (N, T) that begin at `start` (N,)."""
    length, features = spec.context + spec.horizon, spec.features
    location, scale = spec.scaler.of(names)
    target = np.empty((len(names), length), dtype=np.float32)
    target[:, : spec.context] = spec.scaler.apply(y, location[:, None], scale[:, None])
    observed = target.copy()
    target[:, spec.context :] = np.nan
    observed[:, spec.context :] = target[:, spec.context - 1 : spec.context]
    return Panel(
        features=features,
        unique_id=names,
        offsets=np.arange(len(names) + 1) * length,
        start=start,
        observed=observed.reshape(-1, 1),
        target=target.reshape(-1),
        ahead=_ahead(start, length, features, step),
        static=np.empty((len(names), 0), dtype=np.float32),
        codes=np.empty((len(names), 0), dtype=np.int32),
        location=location,
        scale=scale,
    )


def _ahead(start: np.ndarray, length: int, features: Features, step: np.timedelta64) -> np.ndarray:
    """The features known ahead of `length` steps from each of `start` (N,) on, (N * length, F)."""
    if not features.of_stamps:
        return np.empty((len(start) * length, 0), dtype=np.float32)
    same = bool((start == start[0]).all())  # as in most requests
    begins, which = (start[:1], np.zeros(len(start), np.intp)) if same else np.unique(start, return_inverse=True)
    stamps = (begins[:, None] + np.arange(length) * step).ravel()
    channels = features.at_stamps(stamps)
    return channels.reshape(len(begins), -1)[which].reshape(-1, channels.shape[1])
