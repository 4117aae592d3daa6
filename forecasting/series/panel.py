"""Panel: all series of a table as dense arrays on their regular grids, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.features import Features
from forecasting.series.frequency import fixed_step
from forecasting.series.moments import Moment, stamps_of
from forecasting.series.scaling import Scaler

__all__ = ["Panel", "build", "join"]

_BLOCK = 4_000_000  # rows


@dataclass(frozen=True)
class Panel:
    """All series, one after the other; series i owns the rows `offsets[i]:offsets[i + 1]` (R rows in all).

    `observed` (R, 1 + past channels) holds the scaled target and past covariates, missing values filled with the
    last reading; `target` (R,) the scaled target with NaN where there was no reading; `ahead` (R, F) what is known
    ahead, NaN where it was not given; `static` (N, S) and `codes` (N, K) one row a series; `start` (N,) the stamp
    of each first row; `location`, `scale` (N,) what was subtracted and divided.
    """

    features: Features
    unique_id: np.ndarray
    offsets: np.ndarray
    start: np.ndarray
    observed: np.ndarray
    target: np.ndarray
    ahead: np.ndarray
    static: np.ndarray
    codes: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each series (N,)."""
        return np.diff(self.offsets)

    def series_of(self, rows: np.ndarray) -> np.ndarray:
        """Which series each of `rows` belongs to."""
        return self.offsets.searchsorted(rows, side="right") - 1

    def rows_at(self, moment: Moment) -> np.ndarray:
        """Each series' last row at or before its stamp (N,); -1 where the series starts later."""
        step, stamps = fixed_step(self.features.freq), stamps_of(moment, self.unique_id)
        if step is not None:
            steps = (stamps - self.start).astype("timedelta64[us]").astype(np.int64) // step.astype(np.int64)
            position = np.minimum(steps, self.lengths - 1)
        else:
            grids = zip(self.offsets[:-1], self.offsets[1:], stamps, strict=True)
            position = np.array([self.stamps[low:high].searchsorted(at, side="right") - 1 for low, high, at in grids])
        return np.where(position < 0, -1, self.offsets[:-1] + position)

    @cached_property
    def stamps(self) -> np.ndarray:
        """The stamp of every row (R,), datetime64."""
        return _stamps(self.start, self.lengths, self.features.freq)


def build(
    grid: pd.DataFrame,
    features: Features,
    scaler: Scaler,
    *,
    context: int = 1,
    horizon: int = 0,
    every_row: bool = False,
) -> Panel:
    """Arrays of a table on its regular grid (`clean.regular_grid`).

    A series shorter than `context` is padded on the left with unobserved rows, so that its last row can be a
    cutoff (with `every_row`: so that each of its rows can); `horizon` rows are appended to every series, for the
    steps that are to be forecast.
    """
    padding = _Padding(context, horizon, every_row)
    return join([_build(block, features, scaler, padding) for block in _blocks(grid)])


def join(panels: Sequence[Panel]) -> Panel:
    """One panel of the series of several that were built with the same features and scaler."""
    first = panels[0]
    if len(panels) == 1:
        return first
    lengths = np.concatenate([panel.lengths for panel in panels])
    arrays = {name: np.concatenate([getattr(panel, name) for panel in panels]) for name in _ROWS}
    return _shared(Panel(features=first.features, offsets=np.concatenate([[0], np.cumsum(lengths)]), **arrays))


_ROWS = ("unique_id", "start", "observed", "target", "ahead", "static", "codes", "location", "scale")


class _Padding(NamedTuple):
    context: int
    horizon: int
    every_row: bool


def _shared(panel: Panel) -> Panel:
    """Where no reading is missing, the target is the first channel itself: one array instead of two."""
    return panel if np.isnan(panel.target).any() else replace(panel, target=panel.observed[:, 0])


def _bounds(grid: pd.DataFrame) -> np.ndarray:
    """The first row of every series."""
    return np.flatnonzero((grid[UNIQUE_ID] != grid[UNIQUE_ID].shift()).to_numpy(dtype=bool))


def _blocks(grid: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The table in blocks of whole series: what is made on the way to float32 then never takes much memory."""
    bounds = _bounds(grid)
    low = 0
    for bound in [*bounds[1:].tolist(), len(grid)]:
        if bound - low >= _BLOCK or bound == len(grid):
            yield grid.iloc[low:bound]
            low = bound


def _build(grid: pd.DataFrame, features: Features, scaler: Scaler, padding: _Padding) -> Panel:
    context, horizon, every_row = padding
    bounds = _bounds(grid)
    counts = np.diff(np.append(bounds, len(grid)))
    lead = np.full_like(counts, context - 1) if every_row else np.maximum(context - _last_reading(grid, bounds), 0)
    lengths = lead + counts + horizon
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    unique_id = grid[UNIQUE_ID].iloc[bounds].to_numpy()
    place = np.repeat(offsets[:-1] + lead - bounds, counts) + np.arange(len(grid)) if (lead + horizon).any() else None
    start = _earlier(grid[DS].to_numpy()[bounds], lead, features.freq)
    location, scale = scaler.of(unique_id)
    target = _spread(
        scaler.apply(grid[Y].to_numpy(), np.repeat(location, counts), np.repeat(scale, counts)), place, offsets[-1]
    )
    return _shared(
        Panel(
            features=features,
            unique_id=unique_id,
            offsets=offsets,
            start=start,
            observed=_observed(grid, features, scaler, target, place, offsets),
            target=target,
            ahead=_ahead(grid, features, scaler, place, start, lengths),
            static=_static(grid.iloc[bounds], features, scaler),
            codes=_codes(grid.iloc[bounds], features),
            location=location,
            scale=scale,
        )
    )


def _last_reading(grid: pd.DataFrame, bounds: np.ndarray) -> np.ndarray:
    """Rows of each series up to and including its last reading (N,); at least one."""
    position = np.where(grid[Y].notna(), np.arange(len(grid)), 0)
    last = np.maximum.reduceat(position, bounds) if len(bounds) else np.empty(0, dtype=np.int64)
    counts: np.ndarray = np.maximum(last - bounds + 1, 1)
    return counts


def _spread(values: np.ndarray, place: np.ndarray | None, rows: int) -> np.ndarray:
    """Put table rows at their places among `rows` panel rows, NaN elsewhere; float32."""
    if place is None:
        return values.astype(np.float32)
    spread = np.full(rows, np.nan, dtype=np.float32)
    spread[place] = values
    return spread


def _observed(
    grid: pd.DataFrame,
    features: Features,
    scaler: Scaler,
    target: np.ndarray,
    place: np.ndarray | None,
    offsets: np.ndarray,
) -> np.ndarray:
    """Target and past covariates, each filled with its own last value; zero before the first one."""
    channels = [target, *(_spread(c, place, offsets[-1]) for c in _covariates(grid, features.past, features, scaler))]
    observed = np.empty((offsets[-1], len(channels)), dtype=np.float32)
    for channel, values in enumerate(channels):
        observed[:, channel] = _fill_forward(values, offsets)
    return observed


def _ahead(
    grid: pd.DataFrame,
    features: Features,
    scaler: Scaler,
    place: np.ndarray | None,
    start: np.ndarray,
    lengths: np.ndarray,
) -> np.ndarray:
    rows = int(lengths.sum())
    ahead = np.empty((rows, len(features.known_ahead)), dtype=np.float32)
    covariates = _covariates(grid, features.future, features, scaler)
    for channel, values in enumerate(covariates):
        ahead[:, channel] = _spread(values, place, rows)
    if features.of_stamps:
        ahead[:, len(covariates) :] = features.at_stamps(_stamps(start, lengths, features.freq))
    return ahead


def _covariates(grid: pd.DataFrame, names: tuple[str, ...], features: Features, scaler: Scaler) -> list[np.ndarray]:
    channels: list[np.ndarray] = []
    for name in names:
        if name in features.vocabulary:
            labels = features.vocabulary[name]
            missing = grid[name].isna().to_numpy()
            known = [np.where(missing, np.nan, (grid[name] == label).to_numpy(dtype=float)) for label in labels]
            unknown = np.where(missing, np.nan, (~grid[name].isin(labels)).to_numpy(dtype=float))
            channels.extend([*known, unknown])
        else:
            channels.append(scaler.apply_covariate(name, grid[name].to_numpy(dtype=float)))
    return channels


def _static(first: pd.DataFrame, features: Features, scaler: Scaler) -> np.ndarray:
    columns = [scaler.apply_covariate(name, first[name].to_numpy(dtype=float)) for name in features.static_numbers]
    values = np.column_stack(columns) if columns else np.empty((len(first), 0))
    return np.nan_to_num(values).astype(np.float32)


def _codes(first: pd.DataFrame, features: Features) -> np.ndarray:
    columns = [
        pd.Index(features.vocabulary[name]).get_indexer(pd.Index(first[name])) + 1 for name in features.static_labels
    ]
    return np.column_stack(columns).astype(np.int32) if columns else np.empty((len(first), 0), dtype=np.int32)


def _fill_forward(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Replace NaN by the last value of the same series, by zero before the first one; never looks ahead."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    source = np.where(missing, 0, np.arange(len(values)))
    starts = offsets[:-1][np.diff(offsets) > 0]
    source[starts] = starts
    filled: np.ndarray = np.nan_to_num(values[np.maximum.accumulate(source)])
    return filled


def _stamps(start: np.ndarray, lengths: np.ndarray, freq: str) -> np.ndarray:
    """The stamps of all rows; series that share start and length share the work."""
    if not len(start):
        return np.empty(0, dtype="datetime64[us]")
    step = fixed_step(freq)
    if step is not None:
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        stamps: np.ndarray = np.repeat(start, lengths) + within * step
        return stamps
    grids: dict[tuple[np.datetime64, int], np.ndarray] = {}
    for key in zip(start, lengths, strict=True):
        if key not in grids:
            grids[key] = pd.date_range(key[0], periods=int(key[1]), freq=freq).to_numpy().astype("datetime64[us]")
    return np.concatenate([grids[key] for key in zip(start, lengths, strict=True)])


def _earlier(start: np.ndarray, steps: np.ndarray, freq: str) -> np.ndarray:
    """Each stamp moved back by its number of steps."""
    moved = start.astype("datetime64[us]")
    for i in np.flatnonzero(steps):
        moved[i] = pd.date_range(end=start[i], periods=int(steps[i]) + 1, freq=freq)[0].to_datetime64()
    return moved
