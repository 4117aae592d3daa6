"""Signals that people have names for, at every step of some windows: of the clock, of the series, of a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.errors import DataError
from forecasting.insight.derivatives import inputs_of
from forecasting.series.calendar import calendar, season_of
from forecasting.series.clean import regular_grid
from forecasting.series.events import channels
from forecasting.series.vocabulary import sequences
from forecasting.series.windows import Batch, Windows

__all__ = ["Sampled", "numbers", "symbols", "text_signals"]

_SEED: Final = 20_260_101
_LEAST: Final = 30  # windows, below which chance explains too much
_CLOCK: Final = ("minute", "hour", "day_of_week", "weekend", "month")
_COMMON: Final = 8  # symbols that have signals of their own, where they are no characters
_QUOTES: Final = '"“”«»'
_PAIRS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}

Array = np.ndarray


class Sampled(NamedTuple):
    """Windows in the order of time, what a model reads of them, and signals (B, T, channels) by name."""

    batch: Batch
    signals: dict[str, Array]


def numbers(forecaster: QuantileForecaster, windows: Windows, most: int) -> Sampled:
    """At most so many windows at random, and what happens in them.

    Calendar, holidays, and events of each stamp; the value, its level and trend over a season, and spikes, all in the
    scale of the window; every covariate. Of a layout, the mean of all places.
    """
    spec, predictor = forecaster.spec, forecaster.bundle.predictor
    candidates = np.arange(len(windows))
    if spec.layout is not None:  # every series stands for all, since they are read together
        candidates = candidates[windows.panel.series_of(windows.rows(candidates)) == 0]
    chosen = candidates[_sample(len(candidates), most)]
    batch, rows = predictor.batch(windows, chosen), windows.rows(chosen)
    ds = windows.panel.stamps[rows[:, None] + np.arange(1 - spec.context, 1)]
    past = batch["past"].reshape(*batch["past"].shape[:2], -1, batch["past"].shape[-1]).mean(axis=2)
    covariates = {name: past[..., place : place + 1] for name, place, _ in inputs_of(spec.features)[1:]}
    return Sampled(batch, {**_of_stamps(spec, ds), **_of_series(past[..., 0], season_of(spec.series)), **covariates})


def symbols(forecaster: SymbolForecaster, table: pd.DataFrame, most: int) -> Sampled:
    """At most so many windows of a clean table's texts, and what happens in them, as `text_signals` says."""
    spec = forecaster.spec
    labels = list(sequences(regular_grid(table, spec.series)).values())
    context = min(spec.context, max(map(len, labels)))
    starts = [(number, start) for number, one in enumerate(labels) for start in range(len(one) - context + 1)]
    chosen = [starts[place] for place in _sample(len(starts), most)]
    vocabulary, unit = forecaster.symbols.vocabulary, forecaster.symbols.unit
    codes = [vocabulary.encode(one) for one in labels]
    read = np.zeros((len(chosen), context + 1), np.int32)  # 0: nothing stands before a window
    read[:, 1:] = [codes[number][start : start + context] for number, start in chosen]
    found = [text_signals(one.tolist(), unit, pd.concat(labels)) for one in labels]
    cut = {
        name: np.stack([found[number][name][start : start + context] for number, start in chosen])[..., None]
        for name in found[0]
    }
    return Sampled({"symbols": read}, cut)


def text_signals(text: list[str], unit: str, every: pd.Series) -> dict[str, Array]:
    """Signals (T,) of a sequence of symbols.

    Of characters: the position in the line and in the word, whether a quotation or a bracket is open, and classes. Of
    other symbols: the eight most common ones of all texts.
    """
    if unit != "character":
        common = every.value_counts().index[:_COMMON]
        return {f"is {symbol!r}": np.array([one == symbol for one in text], float) for symbol in common}
    classes: dict[str, Callable[[str], bool]] = {
        "letter": str.isalpha,
        "upper case": str.isupper,
        "digit": str.isdigit,
        "vowel": lambda one: one.lower() in "aeiou",
        "space": lambda one: one == " ",
        "end of line": lambda one: one == "\n",
        "punctuation": lambda one: not one.isalnum() and not one.isspace(),
    }
    quotes = np.array([one in _QUOTES for one in text])
    depth = np.cumsum([_PAIRS.get(one, 0) for one in text])
    return {
        "position in the line": _since([one == "\n" for one in text]),
        "position in the word": _since([not one.isalpha() for one in text]),
        "inside quotes": np.cumsum(quotes) % 2.0,
        "inside brackets": (depth > 0).astype(float),
        **{name: np.array([bool(is_of(one)) for one in text], float) for name, is_of in classes.items()},
    }


def _sample(count: int, most: int) -> Array:
    """Places at random, in order: their phases in any cycle are then random, too."""
    if count < _LEAST:
        raise DataError(f"units are scored over at least {_LEAST} windows; the readings have {count}")
    return np.sort(np.random.default_rng(_SEED).choice(count, min(count, most), replace=False))


def _of_stamps(spec: Spec, ds: Array) -> dict[str, Array]:
    """Calendar and special days (B, T, channels)."""
    features = spec.features
    found = {
        name.replace("_", " "): calendar(ds.ravel(), [name], time_zone=features.time_zone).reshape(*ds.shape, -1)
        for name in _CLOCK
    }
    for name, days in features.dates.items():
        flags = channels(ds.ravel(), {name: days}, 0, freq=features.freq, time_zone=features.time_zone)
        found[name] = flags.reshape(*ds.shape, -1)
    return found


def _of_series(y: Array, season: int) -> dict[str, Array]:
    """Of readings (B, T), each window in its own scale."""
    scaled = y - y.mean(axis=1, keepdims=True)
    scaled = scaled / np.maximum(scaled.std(axis=1, keepdims=True), 1e-9)
    span = max(2, min(season, y.shape[1] // 4))
    sums = np.cumsum(np.pad(scaled, ((0, 0), (span, 0)), mode="edge"), axis=1)
    level = (sums[:, span:] - sums[:, :-span]) / span
    trend = level - np.pad(level, ((0, 0), (span, 0)), mode="edge")[:, :-span]
    found = {"value": scaled, "level": level, "trend": trend, "spikes": np.abs(scaled - level)}
    return {name: values[..., None] for name, values in found.items()}


def _since(marks: list[bool]) -> Array:
    """Steps since the last mark, from the beginning before the first one."""
    places = np.arange(len(marks))
    last = np.maximum.accumulate(np.where(marks, places, -1))
    return (places - last).astype(float)
