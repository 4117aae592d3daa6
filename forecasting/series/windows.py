"""Windows: every context with its horizon, by index arithmetic; the N×T×D tensor is never materialized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import as_strided

from forecasting.config.series import Window
from forecasting.series.panel import Panel

__all__ = ["Batch", "Windows", "at_rows", "cutoffs_of", "evenly", "scorable", "slide"]

Batch = dict[str, np.ndarray]  # "past" (B,T,D), "future" (B,H,F), "static" (B,S), "codes" (B,K); none is empty


@dataclass(frozen=True)
class Windows:
    """Windows over a panel, kept as runs: run r has its cutoffs at rows `first[r] + k * stride`, k < `count[r]`.

    A window's cutoff is the last row of its context. Memory is two numbers a run, whatever the number of windows.
    """

    panel: Panel
    context: int
    horizon: int
    first: np.ndarray
    count: np.ndarray
    stride: int = 1

    def __len__(self) -> int:
        return int(self.count.sum())

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.count)

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """The panel rows of the cutoffs of windows `indices` (B,)."""
        run = self._ends.searchsorted(indices, side="right")
        rows: np.ndarray = self.first[run] + (indices - self._ends[run] + self.count[run]) * self.stride
        return rows

    def batch(self, indices: np.ndarray) -> Batch:
        """The inputs of windows `indices`, gathered now."""
        panel, features = self.panel, self.panel.features
        rows = self.rows(indices)
        begin = rows - self.context + 1
        width, ahead = panel.observed.shape[1], panel.ahead.shape[1]
        past = np.empty((len(rows), self.context, width + ahead + features.mask), dtype=np.float32)  # (B, T, D)
        past[:, :, :width] = _gather(panel.observed, begin, self.context)
        past[:, :, width : width + ahead] = _known(_gather(panel.ahead, begin, self.context))
        if features.mask:
            past[:, :, -1] = ~np.isnan(_gather(panel.target, begin, self.context))
        series = panel.series_of(rows)
        inputs = {
            "past": past,
            "future": _known(_gather(panel.ahead, rows + 1, self.horizon)),  # (B, H, F)
            "static": panel.static[series],
            "codes": panel.codes[series],
        }
        return {name: values for name, values in inputs.items() if values.shape[-1]}

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The scaled target over the horizon (B, H), NaN where there was no reading."""
        return _gather(self.panel.target, self.rows(indices) + 1, self.horizon)

    def observed(self, indices: np.ndarray) -> np.ndarray:
        """Target and past covariates over the context (B, T, channels), scaled and filled."""
        return _gather(self.panel.observed, self.rows(indices) - self.context + 1, self.context)

    def context_targets(self, indices: np.ndarray) -> np.ndarray:
        """The scaled target over the context (B, T), NaN where there was no reading."""
        return _gather(self.panel.target, self.rows(indices) - self.context + 1, self.context)

    def previous(self, indices: np.ndarray) -> np.ndarray:
        """The scaled target one step before each horizon step (B, H); a missing reading is the last one before it."""
        return _gather(self.panel.observed[:, 0], self.rows(indices), self.horizon)

    def known_ahead(self, indices: np.ndarray) -> np.ndarray:
        """What is known ahead over the horizon (B, H, F), NaN where it was not given."""
        return _gather(self.panel.ahead, self.rows(indices) + 1, self.horizon)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """The indices of all windows, in order, in blocks of `size`."""
        for begin in range(0, len(self), size):
            yield np.arange(begin, min(begin + size, len(self)))


def _gather(values: np.ndarray, begin: np.ndarray, length: int) -> np.ndarray:
    """Rows `begin[b]` to `begin[b] + length` of `values` (R, …) as (B, length, …)."""
    if not len(begin):
        return np.empty((0, length, *values.shape[1:]), dtype=values.dtype)
    # every window as a view; NumPy's `sliding_window_view` takes the time of a small network to say the same
    shape, step = (len(values) - length + 1, length, *values.shape[1:]), values.strides[0]
    gathered: np.ndarray = as_strided(values, shape, (step, *values.strides), writeable=False)[begin]
    return gathered


def _known(values: np.ndarray) -> np.ndarray:
    """What is not known ahead becomes zero, the mean; mostly all is."""
    return values if np.isfinite(values).all() else np.nan_to_num(values)


def evenly(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` windows, evenly spread from the first to the last, in order."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def at_rows(panel: Panel, rows: np.ndarray, *, context: int, horizon: int) -> Windows:
    """One window for each cutoff row; each must have `context` rows up to it and `horizon` rows after it."""
    return Windows(panel, context, horizon, np.asarray(rows, dtype=np.int64), np.ones(len(rows), dtype=np.int64))


def slide(
    panel: Panel,
    window: Window,
    *,
    max_gap: int | None = None,
    begin: np.ndarray | None = None,
    end: np.ndarray | None = None,
) -> Windows:
    """All windows of the panel whose context is observed well enough and whose horizon holds a reading.

    No window crosses from one series to the next, nor a gap of more than `max_gap` steps (default: the context).
    Targets start after row `begin` and stop at row `end` of each series (N,); -1 is before its first row.
    """
    longest_gap = window.context if max_gap is None else max_gap
    earliest = panel.offsets[:-1] - 1 if begin is None else np.maximum(begin, panel.offsets[:-1] - 1)
    stops = panel.offsets[1:] if end is None else np.maximum(end + 1, panel.offsets[:-1])
    firsts: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    for series in range(len(panel.unique_id)):
        low, high = int(panel.offsets[series]), int(stops[series])
        missing = np.isnan(panel.target[low:high])
        for seg_low, seg_high in _segments(missing, longest_gap):
            first, count = _runs(missing, seg_low, seg_high, window, int(earliest[series]) - low)
            firsts.append(first + low)
            counts.append(count)
    empty = np.empty(0, dtype=np.int64)
    return Windows(
        panel,
        window.context,
        window.horizon,
        np.concatenate([empty, *firsts]),
        np.concatenate([empty, *counts]),
        window.stride,
    )


def cutoffs_of(missing: np.ndarray, window: Window, *, max_gap: int | None = None) -> np.ndarray:
    """The cutoffs of all windows that `slide` would lay over one series, with this mask (rows,), with a stride of 1."""
    longest_gap = window.context if max_gap is None else max_gap
    every = window.model_copy(update={"stride": 1})
    found = [_runs(missing, low, high, every, -1) for low, high in _segments(missing, longest_gap)]
    runs = [begin + np.arange(length) for first, count in found for begin, length in zip(first, count, strict=True)]
    return np.concatenate([np.empty(0, dtype=np.int64), *runs])


def scorable(missing: np.ndarray, window: Window) -> np.ndarray:
    """The cutoffs at which one series, with this mask (rows,), can be judged.

    Its context is observed well enough, its whole horizon is there, and something was read in it.
    """
    real = np.concatenate([[0], np.cumsum(~missing)])
    cutoffs = np.arange(max(len(missing) - window.horizon, 0))
    in_context = real[cutoffs + 1] - real[np.maximum(cutoffs + 1 - window.context, 0)]
    in_horizon = real[cutoffs + 1 + window.horizon] - real[cutoffs + 1]
    good: np.ndarray = cutoffs[(in_context / window.context >= window.min_observed) & (in_horizon > 0)]
    return good


def _segments(missing: np.ndarray, longest_gap: int) -> list[tuple[int, int]]:
    """The stretches [low, high) of one series between gaps longer than `longest_gap`."""
    if not missing.any():
        return [(0, len(missing))]
    real = np.flatnonzero(~missing)
    if not len(real):
        return []
    breaks = np.flatnonzero(np.diff(real) - 1 > longest_gap)
    lows = real[np.append(0, breaks + 1)]
    highs = real[np.append(breaks, len(real) - 1)] + 1
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _runs(missing: np.ndarray, low: int, high: int, window: Window, earliest: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs of good cutoffs (rows counted from the series' start) in the stretch [low, high)."""
    context, horizon, stride = window.context, window.horizon, window.stride
    begin = max(low + context - 1, earliest)
    if high - horizon <= begin:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if not missing[low:high].any():
        return np.array([begin]), np.array([(high - horizon - begin - 1) // stride + 1])
    real = np.concatenate([[0], np.cumsum(~missing)])
    cutoffs = np.arange(begin, high - horizon, stride)
    in_context = real[cutoffs + 1] - real[cutoffs + 1 - context]
    in_horizon = real[cutoffs + 1 + horizon] - real[cutoffs + 1]
    good = (in_context / context >= window.min_observed) & (in_horizon > 0)
    edges = np.diff(np.concatenate([[0], good.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return cutoffs[starts] if len(starts) else np.empty(0, dtype=np.int64), stops - starts
