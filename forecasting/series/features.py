"""Features: which channels a model reads, in which order, and how labels become numbers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasting.columns import DS, Y
from forecasting.config.series import Series
from forecasting.series import calendar, events
from forecasting.series.frequency import is_calendar

__all__ = ["Features", "learn_features"]


class Features(BaseModel):
    """Which channels a model reads, and how labels become numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    freq: str
    time_zone: str | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    dates: dict[str, tuple[date, ...]] = {}  # the days of holidays and events, by channel
    days_around: int = 0  # days before and after them that have channels of their own
    vocabulary: dict[str, tuple[str, ...]] = {}  # label covariate → its labels; any other label is "unknown"
    mask: bool = False  # does the model read which readings are real

    @property
    def known_ahead(self) -> tuple[str, ...]:
        """The F channels that are known ahead, in order."""
        return (*self._channels(self.future), *self.of_stamps)

    @property
    def of_stamps(self) -> tuple[str, ...]:
        """The channels that every stamp gives by itself, the last ones of those that are known ahead."""
        return (*calendar.channel_names(self.calendar), *events.channel_names([*self.dates], self.days_around))

    def at_stamps(self, ds: np.ndarray) -> np.ndarray:
        """The channels `of_stamps` of the stamps `ds` (R,), (R, F) float32."""
        of_calendar = calendar.calendar(ds, self.calendar, time_zone=self.time_zone)
        if not self.dates:
            return of_calendar
        days = events.channels(ds, self.dates, self.days_around, freq=self.freq, time_zone=self.time_zone)
        return np.concatenate([of_calendar, days], axis=1)

    @property
    def observed(self) -> tuple[str, ...]:
        """The channels known up to the cutoff only: the target, then the past covariates."""
        return (Y, *self._channels(self.past))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The D channels of the context, in order; the last is the mask where there is one."""
        return (*self.observed, *self.known_ahead, *(("observed",) if self.mask else ()))

    @property
    def static_numbers(self) -> tuple[str, ...]:
        """The S numeric static features."""
        return tuple(name for name in self.static if name not in self.vocabulary)

    @property
    def static_labels(self) -> tuple[str, ...]:
        """The static features that are embedded."""
        return tuple(name for name in self.static if name in self.vocabulary)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each static label; code 0 is "unknown"."""
        return tuple(len(self.vocabulary[name]) + 1 for name in self.static_labels)

    def _channels(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """One channel for a number; one for each label, and one for unknown labels, for a label covariate."""
        return tuple(
            channel
            for name in names
            for channel in (
                (*(f"{name}={label}" for label in self.vocabulary[name]), f"{name}=?")
                if name in self.vocabulary
                else (name,)
            )
        )


def learn_features(table: pd.DataFrame, series: Series, *, time_zone: str | None) -> Features:
    """The features of a job; vocabularies are learned from `table`, which must hold nothing but the past."""
    dates = events.resolve(series, table[DS].min(), table[DS].max())
    return Features(
        freq=series.freq,
        time_zone=None if is_calendar(series.freq) else time_zone,  # a day or longer: plain dates
        past=series.past,
        future=series.future,
        static=series.static,
        calendar=series.calendar,
        dates=dates,
        days_around=series.days_around if dates else 0,
        vocabulary={name: tuple(sorted(table[name].dropna().unique())) for name in series.categorical},
        mask=bool(table[Y].isna().any()),
    )
