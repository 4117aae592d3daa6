"""Candidates for the ensemble: each a graph with its forecasts of the validation windows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from forecasting.bundle.spec import MemberFit
from forecasting.config.job import Job
from forecasting.selection.greedy import loss
from forecasting.series.folds import Fold
from forecasting.series.panel import Panel
from forecasting.series.prepare import Prepared
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows, at_rows, evenly, slide

__all__ = ["Member", "Watched", "training_windows", "watch", "windows_with"]

MOST_WATCHED = 2_000  # validation windows that the choice is made on, evenly spread


class Watched(NamedTuple):
    """The validation windows that the choice is made on."""

    windows: Windows
    indices: np.ndarray  # (B,)
    y: np.ndarray  # (B, H) in units of the target, NaN where missing
    location: np.ndarray  # (B, 1, 1)
    scale: np.ndarray  # (B, 1, 1)
    scaler: Scaler

    def units(self, scaled: np.ndarray) -> np.ndarray:
        """Forecasts (B, H, Q) of the scaled space in units of the target."""
        return self.scaler.invert(scaled.astype(np.float64), self.location, self.scale)

    def wql(self, scaled: np.ndarray, quantiles: tuple[float, ...]) -> float:
        """The weighted quantile loss of forecasts (B, H, Q) of the scaled space, in units of the target."""
        return loss(self.y, self.units(scaled), quantiles)

    def mae(self, scaled: np.ndarray) -> float:
        """The mean absolute error of point forecasts (B, H) of the scaled space, in units of the target."""
        return float(np.nanmean(np.abs(self.y - self.units(scaled[..., None])[..., 0])))

    @property
    def reach(self) -> int:
        """The most steps of its own series that every validation window has up to its cutoff."""
        rows, panel = self.windows.rows(np.arange(len(self.windows))), self.windows.panel
        return int((rows - panel.offsets[panel.series_of(rows)] + 1).min())

    @property
    def cutoffs(self) -> np.ndarray:
        """When each of them was forecast (B,), as whole numbers."""
        stamps: np.ndarray = self.windows.panel.stamps[self.windows.rows(self.indices)]
        return stamps.astype(np.int64)

    def reading(self, context: int) -> Windows:
        """The same windows with another context, at most `reach`."""
        rows = self.windows.rows(self.indices)
        return at_rows(self.windows.panel, rows, context=context, horizon=self.windows.horizon)


class Member(NamedTuple):
    """A model that the ensemble may take, and how it did on the watched windows."""

    family: str  # stacked, segrnn, or the name of a baseline
    title: str
    content: bytes  # its graph
    context: int
    channels: int
    spread: np.ndarray | None  # (H, Q) around a point forecast
    forecast: np.ndarray  # (B, H, Q) of the watched windows, scaled
    fit: MemberFit | None = None  # of a network
    seconds: float = 0.0
    weights: Path | None = None  # the Keras file of a network
    gradient_norm: float = np.nan  # of a network, at the last check of its training
    clipped: float = np.nan  # the share of its gradients that were clipped


def watch(data: Prepared) -> Watched:
    """The validation windows that the choice is made on, with their readings in units of the target."""
    valid = data.valid
    indices = evenly(len(valid), MOST_WATCHED)
    series = valid.panel.series_of(valid.rows(indices))
    location, scale = (values[series][:, None, None] for values in (valid.panel.location, valid.panel.scale))
    watched = Watched(valid, indices, np.empty(0), location, scale, data.scaler)
    return watched._replace(y=watched.units(valid.targets(indices)[..., None])[..., 0])


def training_windows(job: Job, data: Prepared, fold: Fold, context: int) -> Windows:
    """The training windows with this context, which may be another than that of `data`."""
    panel = data.train.panel
    return windows_with(context, job, panel, end=panel.rows_at(fold.at(fold.fit_until)))


def windows_with(
    context: int, job: Job, panel: Panel, *, begin: np.ndarray | None = None, end: np.ndarray | None = None
) -> Windows:
    """The job's windows over a panel with another context; their targets lie after rows `begin`, up to rows `end`."""
    window = job.window.model_copy(update={"context": context})
    return slide(panel, window, max_gap=job.series.max_gap, begin=begin, end=end)
