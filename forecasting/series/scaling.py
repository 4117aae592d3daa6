"""Scaling of series and covariates: `fit` on the past, `apply` and `invert` anywhere, the state is plain data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasting.columns import UNIQUE_ID, Y
from forecasting.config.series import Series

__all__ = ["Scaler", "fit"]

_ROBUST = 1.3489795  # interquartile range of the standard normal distribution
_FLOOR = -8.0  # in the scaled space: where `log` puts readings at or below zero
_NOISE = 1e-12  # of the location: less is what rounding leaves of readings that are all the same
_LEAST = 1e-290  # no scale is smaller: readings divided by it would overflow


def _log(y: Any) -> Any:
    """The logarithm; negative infinity at and below zero, NaN where `y` is missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.maximum(y, 0.0))


def _same(y: Any) -> Any:
    return y


_TRANSFORMS: Final[dict[str, Callable[[Any], Any]]] = {"none": _same, "log": _log, "log1p": np.log1p}
_INVERSES: Final[dict[str, Callable[[Any], Any]]] = {"none": _same, "log": np.exp, "log1p": np.expm1}


class Scaler(BaseModel):
    """Location and scale of every series' target and of every numeric covariate.

    The target is first transformed (`log`, `log1p`, or not), then `(y - location) / scale` per series. A series that
    was not there when the scaler was fitted takes the pooled location and scale, so no later reading is ever needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transform: Literal["none", "log", "log1p"] = "none"
    unique_id: tuple[str, ...] = ()
    location: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    pooled: tuple[float, float] = (0.0, 1.0)
    covariates: dict[str, tuple[float, float]] = {}
    borrowed: tuple[str, ...] = ()  # series that never changed while the scaler was fitted: their scale is the panel's

    @functools.cached_property
    def _pairs(self) -> dict[str, tuple[float, float]]:
        """Location and scale by name; no array, or two scalers could not be compared."""
        return dict(zip(self.unique_id, zip(self.location, self.scale, strict=True), strict=True))

    def of(self, unique_ids: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Location and scale (N,) of the series named, each float64; unknown ones have the pooled pair."""
        pairs = np.array([self._pairs.get(name, self.pooled) for name in unique_ids], dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def extended(self, fitted: Scaler) -> Scaler:
        """This scaler, with the state of another for the series that it does not know."""
        new = [index for index, name in enumerate(fitted.unique_id) if name not in self._pairs]
        added = {
            name: (*getattr(self, name), *(getattr(fitted, name)[index] for index in new))
            for name in ("unique_id", "location", "scale")
        }
        borrowed = [name for name in fitted.borrowed if name not in self._pairs]
        return self.model_copy(update=added | {"borrowed": (*self.borrowed, *borrowed)})

    def apply(self, y: np.ndarray, location: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Readings → the scaled space; `location` and `scale` broadcast against `y`."""
        scaled: np.ndarray = (_TRANSFORMS[self.transform](y) - location) / scale
        return np.maximum(scaled, _FLOOR) if self.transform == "log" else scaled

    def invert(self, scaled: np.ndarray, location: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """The scaled space → readings; the exact inverse of `apply` above its floor."""
        readings: np.ndarray = _INVERSES[self.transform](scaled * scale + location)
        return readings

    def apply_covariate(self, name: str, values: np.ndarray) -> np.ndarray:
        """A covariate's values → standardized."""
        location, scale = self.covariates[name]
        standard: np.ndarray = (values - location) / scale
        return standard


def fit(table: pd.DataFrame, series: Series) -> Scaler:
    """Fit the scaler on `table`, which must hold nothing but the past that training may see.

    `standard` uses mean and standard deviation, `robust` median and interquartile range, or the standard deviation
    where most readings are the same. Nothing depends on the unit of a series. One that never changes has no scale of
    its own: it takes its level times the median ratio of scale and level in the panel, and where it is zero the
    median scale.
    """
    y = _TRANSFORMS[series.transform](table[Y]).replace(-np.inf, np.nan)
    location, own = _location_and_spread(y.groupby(table[UNIQUE_ID]), series.scale)
    numeric = [name for name in (*series.past, *series.future, *series.static) if name not in series.categorical]
    return Scaler(
        transform=series.transform,
        unique_id=tuple(location.index),
        location=tuple(location),
        scale=tuple(_scales(location, own)),
        pooled=_pooled(y, series.scale),
        covariates={name: _pooled(table[name], "standard") for name in numeric},
        borrowed=tuple(own.index[own.isna()]),
    )


def _location_and_spread(grouped: Any, kind: str) -> tuple[pd.Series, pd.Series]:
    """Of every group of a pandas SeriesGroupBy; the spread of one without any is NaN."""
    if kind == "none":
        none = grouped.count() * 0.0
        return none, none + 1.0
    location, spread = grouped.mean(), grouped.std(ddof=0)
    if kind == "robust":
        quartiles = (grouped.quantile(0.75) - grouped.quantile(0.25)) / _ROBUST
        location, spread = grouped.median(), quartiles.where(quartiles > _NOISE * location.abs(), spread)
    return location.fillna(0.0), spread.where(spread > np.maximum(_NOISE * location.abs(), _LEAST))


def _scales(location: pd.Series, spread: pd.Series) -> pd.Series:
    """The spread where there is one, else what the other series say; without any, the level itself, or 1."""
    size = location.abs().where(lambda level: level > _LEAST, 0.0)
    share = min((spread / size.where(size > 0)).median(), 1.0) if (spread.notna() & (size > 0)).any() else 1.0
    borrowed = (share * size).where(size > 0, spread.median())
    return spread.fillna(borrowed).fillna(1.0)


def _pooled(values: pd.Series, kind: str) -> tuple[float, float]:
    location, spread = _location_and_spread(values.groupby(np.zeros(len(values), dtype=int)), kind)
    return (float(location.iloc[0]), float(_scales(location, spread).iloc[0])) if len(location) else (0.0, 1.0)
