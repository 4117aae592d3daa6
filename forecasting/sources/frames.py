"""Frames of a grid over time, every cell a series: NetCDF files, NumPy arrays and pictures into a long table."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.config.source import FramesSource
from forecasting.errors import SourceError
from forecasting.series.frequency import Grid, offset_of
from forecasting.series.layout import cell_names
from forecasting.sources.parsing.columns import covariates
from forecasting.sources.parsing.frames import Frames, read_frames
from forecasting.sources.parsing.paths import matching

__all__ = ["read"]


def read(source: FramesSource, series: Series, _name: str) -> pd.DataFrame:
    """The long table of all files that match, cell by cell; a cell without any value, such as land, gives no rows.

    Raise SourceError for no match, unreadable files, unknown variables or covariates, unequal frames, no time.
    """
    frames = _shaped(read_frames(matching(source.path), source), source)
    _check_covariates(frames, series)
    values = (
        np.where(np.isin(frames.values, source.missing), np.nan, frames.values) if source.missing else frames.values
    )
    steps, rows, columns, channels = values.shape
    stamps = _stamps(frames, source, series)
    cells = values.reshape(steps, rows * columns, channels).swapaxes(0, 1)  # (places, T, D)
    full = np.flatnonzero(~np.isnan(cells[:, :, 0]).all(axis=1))
    if not len(full):
        raise SourceError(f"no cell of {frames.channels[0]} in {source.path} has any value")
    names = np.asarray(cell_names(rows, columns))[full]
    content = {
        UNIQUE_ID: pd.Series(np.repeat(names, steps), dtype="str"),
        DS: np.tile(stamps, len(full)),
        Y: cells[full, :, 0].ravel(),
    }
    for number, channel in enumerate(frames.channels):
        if channel in series.past:
            content[channel] = cells[full, :, number].ravel()
    known = _known(frames)
    content |= {column: np.repeat(known[column].ravel()[full], steps) for column in series.static}
    return pd.DataFrame(content)


def _shaped(frames: Frames, source: FramesSource) -> Frames:
    """Cropped and coarsened."""
    spans = [
        span or (0, size) for span, size in zip((source.rows, source.columns), frames.values.shape[1:3], strict=True)
    ]
    for name, span, size in zip(("rows", "columns"), spans, frames.values.shape[1:3], strict=True):
        if span[1] > size:
            raise SourceError(f"source.{name} {list(span)} reaches beyond the {size} {name} of the frames")
    (top, bottom), (left, right) = spans
    values = _means(frames.values[:, top:bottom, left:right], source.coarsen)
    places = {
        name: _means(place[None, top:bottom, left:right, None].astype(np.float64), source.coarsen)[0, :, :, 0]
        for name, place in frames.places.items()
    }
    return frames._replace(values=values, places=places)


def _means(values: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """(T, Y, X, D) with every block of cells as the mean of those that are read; blocks at the ends may be smaller."""
    if block == (1, 1):
        return values
    steps, rows, columns, channels = values.shape
    lacking = [(0, -size % part) for size, part in zip((rows, columns), block, strict=True)]
    padded = np.pad(values, [(0, 0), *lacking, (0, 0)], constant_values=np.nan)
    blocks = padded.reshape(steps, -(-rows // block[0]), block[0], -(-columns // block[1]), block[1], channels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a block without any value has no mean
        means: np.ndarray = np.nanmean(blocks, axis=(2, 4))
    return means


def _stamps(frames: Frames, source: FramesSource, series: Series) -> np.ndarray:
    """One stamp a frame; a date within a month, or another step of the calendar, is that of the step."""
    if frames.stamps is None:
        if source.start is None:
            raise SourceError("these files have no time: source.start must say when the first frame was taken")
        offset = offset_of(series.freq)
        return pd.date_range(source.start, periods=len(frames.values), freq=offset, unit="us").to_numpy()
    if source.start is not None:
        raise SourceError(f"source.start is for files without time; {source.path} have their own")
    base = Grid.around(pd.Series(frames.stamps), series.freq).base
    if base is None:
        return frames.stamps
    days = frames.stamps.astype("datetime64[D]").astype("datetime64[us]").astype(np.int64)
    at_end = series.freq.split("-")[0].endswith("E")  # a step is called by its end
    step = np.searchsorted(base, days) if at_end else np.searchsorted(base, days, side="right") - 1
    stamps: np.ndarray = base[step].astype("datetime64[us]")
    return stamps


def _known(frames: Frames) -> dict[str, np.ndarray]:
    """What is known of every cell (Y, X): its coordinates, and where it stands."""
    row, column = np.unravel_index(np.arange(frames.values[0, :, :, 0].size), frames.values.shape[1:3])
    stand = {"row": row.astype(np.float64), "column": column.astype(np.float64)}
    return {name: values.reshape(frames.values.shape[1:3]) for name, values in (stand | frames.places).items()}


def _check_covariates(frames: Frames, series: Series) -> None:
    valid = {"past": frames.channels[1:], "static": tuple(_known(frames)), "future": ()}
    wrong = [
        f"  - series.{kind} names {column}; valid: {', '.join(names) or 'none'}"
        for kind, names in valid.items()
        for column in getattr(series, kind)
        if column not in names
    ]
    if wrong:
        raise SourceError(
            "\n".join([f"the frames lack {len(wrong)} of the {len(covariates(series))} covariates:", *wrong])
        )
