"""Made-up seasonal series with trend and noise, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.config.source import SyntheticSource
from forecasting.series.frequency import offset_of
from forecasting.sources.parsing.columns import covariates

__all__ = ["read"]

_START = "2020-01-01"
_LABELS = np.array(["a", "b", "c"])
_WITHDRAWN = 0.003  # share of steps after which an article is withdrawn
_WEEKS = 28  # steps for which it is, on average


def read(source: SyntheticSource, series: Series, name: str) -> pd.DataFrame:
    """A long table of series `name-0, name-1, …`; each is the same whatever the number of series.

    y = sin(2πt/season + phase) + trend·t + noise, plus half of the known-ahead covariates, which are made up too.
    Intermittent series are Poisson counts with the rate level·exp(y), like the daily sales of single articles: levels
    go from one in thirty steps to ten a step, and now and then an article is not on sale for some weeks.
    """
    ds = pd.date_range(_START, periods=source.length, freq=offset_of(source.freq), unit="us")
    return pd.concat([_one(source, series, ds, (name, number)) for number in range(source.series)], ignore_index=True)


def _one(source: SyntheticSource, series: Series, ds: pd.DatetimeIndex, key: tuple[str, int]) -> pd.DataFrame:
    name, number = key
    generator = np.random.default_rng([source.seed, number])
    step = np.arange(source.length)
    wave = np.sin(2 * np.pi * step / source.season + generator.uniform(0, 2 * np.pi))
    y = wave + source.trend * step + source.noise * generator.standard_normal(source.length)
    kept = generator.random(source.length) >= source.missing
    table = pd.DataFrame({UNIQUE_ID: pd.Series(f"{name}-{number}", index=range(len(ds)), dtype="str"), DS: ds, Y: y})
    for column in covariates(series):
        values = generator.standard_normal(1 if column in series.static else source.length)
        if column in series.categorical:
            values = _LABELS[np.digitize(values, [-0.5, 0.5])]
        elif column in series.future:
            table[Y] += 0.5 * values
        table[column] = pd.Series(np.broadcast_to(values, source.length))
    if source.intermittent:
        table[Y] = _counts(generator, table[Y].to_numpy())
    return table[kept]


def _counts(generator: np.random.Generator, log_rate: np.ndarray) -> np.ndarray:
    """Poisson counts with many zeros, some of them in a row."""
    level = 10 ** generator.uniform(-1.5, 1.0)
    begins = generator.random(len(log_rate)) < _WITHDRAWN
    ends = np.arange(len(log_rate)) + generator.geometric(1 / _WEEKS, len(log_rate))
    until = np.maximum.accumulate(np.where(begins, ends, 0))
    on_sale = np.arange(len(log_rate)) >= until
    return np.asarray(generator.poisson(level * np.exp(log_rate) * on_sale), dtype=np.float64)
