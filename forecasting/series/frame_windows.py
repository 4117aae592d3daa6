"""Windows in which all series of a layout are read together, and the way back to single series."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.errors import DataError
from forecasting.series.frequency import fixed_step
from forecasting.series.layout import Layout
from forecasting.series.panel import Panel
from forecasting.series.windows import Batch, Windows

__all__ = ["FrameWindows", "PlacedWindows", "joint", "place_windows"]

_SHOWN = 10  # names in a message


@dataclass(frozen=True)
class FrameWindows:
    """Windows of all series of a layout together, at `cutoffs` (B,), counted in steps from the panel's first stamp.

    Gathered by index when they are asked for. A series that is not in the panel, or has no reading yet, is 0 and
    counts as missing; one that has ended keeps its last reading, and counts as missing. Raises DataError where a
    series has no place in the layout, or stamps between those of the others.
    """

    windows: Windows
    layout: Layout
    cutoffs: np.ndarray

    def __len__(self) -> int:
        return len(self.cutoffs)

    def batch(self, indices: np.ndarray) -> Batch:
        """The inputs of frames `indices`: past (B, T, *grid, D), future (B, H, F), static (B, *grid, S)."""
        panel, features, cutoffs = self.windows.panel, self.windows.panel.features, self.cutoffs[indices]
        rows, begun, inside = self._rows(cutoffs - self.windows.context + 1, self.windows.context)  # (B, T, places)
        past = np.zeros((*rows.shape, len(features.inputs)), dtype=np.float32)
        width, ahead = panel.observed.shape[1], panel.ahead.shape[1]
        past[..., :width] = np.where(begun[..., None], panel.observed[rows], 0.0)
        past[..., width : width + ahead] = np.where(inside[..., None], np.nan_to_num(panel.ahead[rows]), 0.0)
        if features.mask:
            past[..., -1] = inside & ~np.isnan(panel.target[rows])
        static = np.where((self._series >= 0)[:, None], panel.static[self._series], np.float32(0))
        static = static.reshape(1, *self.layout.shape, -1) if static.size else np.empty((1, 0))
        inputs = {
            "past": past.reshape(*rows.shape[:2], *self.layout.shape, -1),
            "future": np.nan_to_num(self._ahead[cutoffs[:, None] + np.arange(1, self.windows.horizon + 1)]),
            "static": np.repeat(static, len(rows), axis=0),
        }
        return {name: values for name, values in inputs.items() if values.shape[-1]}

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The scaled target over the horizon (B, M), step by step; NaN where there was no reading."""
        rows, _, inside = self._rows(self.cutoffs[indices] + 1, self.windows.horizon)
        return np.where(inside, self.windows.panel.target[rows], np.float32(np.nan)).reshape(len(rows), -1)

    def previous(self, indices: np.ndarray) -> np.ndarray:
        """The scaled target one step before each of the targets (B, M), the last reading where missing."""
        rows, begun, _ = self._rows(self.cutoffs[indices], self.windows.horizon)
        return np.where(begun, self.windows.panel.observed[rows, 0], np.float32(0)).reshape(len(rows), -1)

    @cached_property
    def _first(self) -> np.ndarray:
        """The step of each series' first row (N,)."""
        return _first_steps(self.windows.panel)

    @cached_property
    def _series(self) -> np.ndarray:
        """The series of the panel at each place, -1 where there is none."""
        panel = self.windows.panel
        strangers = sorted(set(panel.unique_id) - set(self.layout.place_of))
        if strangers:
            raise DataError(
                f"{len(strangers)} series have no place among the {self.layout.places} of the layout:",
                strangers[:_SHOWN],
            )
        if not panel.features.mask and len(panel.unique_id) < len(self.layout.place_of):
            lacking = sorted(set(self.layout.place_of) - set(panel.unique_id))
            raise DataError(
                "the model was fitted where nothing was missing, and needs all series; it lacks:", lacking[:_SHOWN]
            )
        series = np.full(self.layout.places, -1)
        series[[self.layout.place_of[name] for name in panel.unique_id]] = np.arange(len(panel.unique_id))
        return series

    @cached_property
    def _ahead(self) -> np.ndarray:
        """What is known ahead of every step (steps, F): what is known is known of all places."""
        panel = self.windows.panel
        ends = self._first + panel.lengths
        ahead = np.full((ends.max(), panel.ahead.shape[1]), np.nan, dtype=np.float32)
        _, examples = np.unique(np.stack([self._first, ends]), axis=1, return_index=True)
        for series in examples:
            low, high = panel.offsets[series : series + 2]
            span = ahead[self._first[series] : ends[series]]
            span[:] = np.where(np.isnan(span), panel.ahead[low:high], span)
        return ahead

    def _rows(self, begin: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Panel rows (B, length, places) from step `begin` on, whether the series has begun, and not ended."""
        panel, series = self.windows.panel, np.maximum(self._series, 0)  # an empty place points somewhere, unread
        within = (begin[:, None] + np.arange(length))[:, :, None] - self._first[series]
        begun, last = (within >= 0) & (self._series >= 0), panel.lengths[series] - 1
        rows: np.ndarray = panel.offsets[series] + np.clip(within, 0, last)
        return rows, begun, begun & (within <= last)


def joint(windows: Windows, layout: Layout) -> FrameWindows:
    """One window for each cutoff at which any series has one."""
    first = _first_steps(windows.panel)
    series = windows.panel.series_of(windows.first)
    begin = first[series] + windows.first - windows.panel.offsets[series]
    runs = np.unique(np.stack([begin, windows.count], axis=1), axis=0)
    steps = [low + windows.stride * np.arange(count) for low, count in runs]
    return FrameWindows(windows, layout, np.unique(np.concatenate([np.empty(0, dtype=np.int64), *steps])))


class PlacedWindows(NamedTuple):
    """Windows of single series out of frames: the frames that they need, and for each its frame and its place."""

    frames: FrameWindows
    frame: np.ndarray  # (B,)
    place: np.ndarray  # (B,)


def place_windows(windows: Windows, indices: np.ndarray, layout: Layout) -> PlacedWindows:
    """Which frames windows `indices` of a panel need; each frame is there once."""
    panel, rows = windows.panel, windows.rows(indices)
    series = panel.series_of(rows)
    cutoffs, frame = np.unique(_first_steps(panel)[series] + rows - panel.offsets[series], return_inverse=True)
    place = np.array([layout.place_of.get(name, -1) for name in panel.unique_id], dtype=np.int64)
    return PlacedWindows(FrameWindows(windows, layout, cutoffs), frame, place[series])


def _first_steps(panel: Panel) -> np.ndarray:
    """The steps from the panel's first stamp to each series' first row (N,)."""
    start, earliest = panel.start.astype("datetime64[us]"), panel.start.min().astype("datetime64[us]")
    step = fixed_step(panel.features.freq)
    if step is not None:
        steps, between = np.divmod((start - earliest).astype(np.int64), step.astype("timedelta64[us]").astype(np.int64))
        off = between != 0
    else:
        grid = pd.date_range(earliest, start.max(), freq=panel.features.freq)
        steps = grid.get_indexer(pd.DatetimeIndex(start))
        off = steps < 0
    if off.any():
        raise DataError(
            f"series of a layout share their stamps, but {off.sum()} lie between those that begin at {earliest}:",
            [
                f"{name} begins at {stamp}"
                for name, stamp in zip(panel.unique_id[off][:_SHOWN], start[off], strict=False)
            ],
        )
    return np.asarray(steps)
