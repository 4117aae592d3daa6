"""The regular grid of a pandas frequency: every stamp is a whole number of steps plus a phase."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.offsets import BaseOffset, Day, Tick

from forecasting.errors import ConfigError

__all__ = ["EARLIEST", "LATEST", "OFF_GRID", "Grid", "fitting", "fixed_step", "is_calendar", "offset_of"]

EARLIEST, LATEST = np.datetime64("1700-01-01", "us"), np.datetime64("2250-01-01", "us")  # of stamps that are meant
OFF_GRID = -1
_DAY = 86_400_000_000  # microseconds, the unit of every stamp
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CALENDAR = (
    *("B", "MS", "ME", "QS", "QE", "QS-FEB", "QE-JAN", "QS-MAR", "QE-FEB", "YS", "YE"),
    *(f"{alias}-{month}" for alias in ("YS", "YE") for month in _MONTHS),
    *(f"W-{day}" for day in _WEEKDAYS),
)
_FILLED = 0.1  # share of the steps of a frequency that must have a reading before it is called fitting
_ENOUGH = 20  # readings before sparse ones count against a frequency
_DAYS_APART = {"B": (1, 1), "W": (7, 7), "M": (28, 31), "Q": (90, 92), "Y": (365, 366)}


def offset_of(freq: str) -> BaseOffset:
    """The pandas offset of an alias such as 5min, h, B or ME; raise ConfigError for an unknown one."""
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
    except ValueError as error:
        raise ConfigError(f"series.freq {freq!r} is no pandas frequency: {str(error).split('message:')[-1]}") from error
    if offset.n < 1:
        raise ConfigError(f"series.freq {freq!r} must step forward")
    return offset


def is_calendar(freq: str) -> bool:
    """Whether a step is a day or longer, so that stamps are dates and have no time zone."""
    offset = offset_of(freq)
    return not isinstance(offset, Tick) or _microseconds(offset) >= _DAY


@functools.cache
def fixed_step(freq: str) -> np.timedelta64 | None:
    """The step of a frequency of fixed length, in microseconds; none for months, business days and the like."""
    offset = offset_of(freq)
    return np.timedelta64(_microseconds(offset), "us") if isinstance(offset, Tick | Day) else None


@dataclass(frozen=True)
class Grid:
    """Stamps as whole steps of `freq`: a stamp is (index, phase), regular series have one phase.

    `base` holds the dates of a calendar frequency (B, W, ME, …) around the table; for fixed steps it is None.
    """

    offset: BaseOffset
    base: np.ndarray | None

    @classmethod
    def around(cls, ds: pd.Series, freq: str) -> Grid:
        """The grid of `freq` over the span of `ds`."""
        offset = offset_of(freq)
        if isinstance(offset, Tick | Day):
            return cls(offset, None)
        once = offset.base
        first, last = ds.min().normalize() - 2 * once, ds.max().normalize() + 2 * once
        return cls(offset, pd.date_range(first, last, freq=once, unit="us").to_numpy().astype(np.int64))

    def locate(self, ds: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Step number and phase of every stamp, (rows,) int64 each; the phase is OFF_GRID between calendar dates."""
        stamps = ds.to_numpy().astype("datetime64[us]").astype(np.int64)
        if self.base is None:
            step = _microseconds(self.offset)
            return stamps // step, stamps % step
        count = np.searchsorted(self.base, stamps, side="right") - 1
        phase = stamps - self.base[count]
        index, residue = np.divmod(count, self.offset.n)
        return index, np.where(phase < _DAY, residue * _DAY + phase, OFF_GRID)

    def stamps(self, index: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """The inverse of `locate` for stamps on the grid: (rows,) datetime64[us]."""
        if self.base is None:
            stamps: np.ndarray = index * _microseconds(self.offset) + phase
        else:
            residue, within = np.divmod(phase, _DAY)
            stamps = self.base[index * self.offset.n + residue] + within
        return stamps.astype("datetime64[us]")


def fitting(ds: pd.Series) -> str | None:
    """The frequency on whose grid all stamps of one series lie, and without too many gaps, or None."""
    stamps = np.unique(ds.to_numpy().astype("datetime64[us]").astype(np.int64))
    if len(stamps) < 3:
        return None
    apart = np.diff(stamps)
    for freq in _CALENDAR:
        least, most = _DAYS_APART[freq[0]]
        if least * _DAY <= np.median(apart) <= most * _DAY and (apart % _DAY == 0).all():
            phase = Grid.around(ds, freq).locate(ds)[1]
            if (phase == phase[0]).all() and phase[0] != OFF_GRID and freq != "B":
                return freq
            if freq == "B" and (phase != OFF_GRID).all() and (apart >= 3 * _DAY).any():
                return freq
    step = int(np.gcd.reduce(apart))
    sparse = len(apart) >= _ENOUGH and len(apart) * step < _FILLED * apart.sum()  # everything lies on a grid of seconds
    if step % 1000 or sparse:
        return None
    offset = Day(step // _DAY) if step % _DAY == 0 else pd.tseries.frequencies.to_offset(pd.Timedelta(step, unit="us"))
    return str(offset.freqstr)


def _microseconds(offset: BaseOffset) -> int:
    if isinstance(offset, Day):
        return int(offset.n) * _DAY
    return int(offset.nanos) // 1000
