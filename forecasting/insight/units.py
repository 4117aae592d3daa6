"""Units: which hidden units track something that has a name, beyond what chance would give."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.protocol import Forecaster
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.insight.activity import Activity, activities
from forecasting.insight.sample import windows_of
from forecasting.insight.signals import Sampled, numbers, symbols

__all__ = ["TrackedUnit", "UnitScores", "Units", "score", "scored", "units"]

_WINDOWS: Final = 256
_SHIFTS: Final = 200
_ALPHA: Final = 0.05  # chance that any unit passes with any signal where there is nothing to find
_STRONG: Final = 0.5  # correlation from which a unit is said to track a signal
_FLAT: Final = 1e-6  # a signal that never changes is not scored
_SEED: Final = 20_260_102

Array = np.ndarray


class UnitScores(NamedTuple):
    """Correlations (U, signals) from 0 to 1, and which of them pass."""

    correlation: Array
    passed: Array


class TrackedUnit(NamedTuple):
    """A unit, and the signal that it tracks best."""

    member: str | None  # of an ensemble
    layer: int
    direction: str
    unit: int  # from 0, in the order of the weights
    signal: str
    correlation: float


class Units(NamedTuple):
    """How many of a model's units track any of these signals, and which; the strongest first."""

    spec: Spec
    signals: tuple[str, ...]
    total: int
    windows: int
    tracked: tuple[TrackedUnit, ...]
    notes: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of the units that track a signal."""
        return len(self.tracked) / self.total if self.total else 0.0

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "model": self.spec.model,
            "signals": list(self.signals),
            "units": self.total,
            "windows": self.windows,
            "share": float(f"{self.share:.4g}"),
            "tracked": [one._asdict() | {"correlation": round(one.correlation, 3)} for one in self.tracked],
            "notes": list(self.notes),
        }


def units(forecaster: Forecaster, table: pd.DataFrame) -> Units:
    """Score every unit of every recurrent layer that reads the windows of a clean table.

    Raises DataError for too few windows, ConfigError where the package onnx is not installed.
    """
    if isinstance(forecaster, SymbolForecaster):
        sampled = symbols(forecaster, table, _WINDOWS)
    else:
        model = QuantileForecaster(forecaster.bundle)
        sampled = numbers(model, windows_of(model, table), _WINDOWS)
    return scored(forecaster, sampled)


def scored(forecaster: Forecaster, sampled: Sampled) -> Units:
    """Score every unit against signals that were sampled with what it reads."""
    signals = {name: values for name, values in sampled.signals.items() if np.ptp(values, axis=(0, 1)).max() > _FLAT}
    total = 0
    tracked: list[TrackedUnit] = []
    notes: list[str] = []
    for found in activities(forecaster.bundle, sampled.batch):
        if not isinstance(found, Activity):
            notes.append(f"{found.name} has no recurrent cells")
        elif not found.ahead:
            states, cut = _settled(found, signals)
            scores = score(states, cut)
            total += states.shape[-1]
            tracked += _tracked(found, scores, tuple(signals))
    tracked.sort(key=lambda one: -one.correlation)
    count = len(next(iter(sampled.batch.values())))
    return Units(forecaster.spec, tuple(signals), total, count, tuple(tracked), tuple(notes))


def score(states: Array, signals: dict[str, Array]) -> UnitScores:
    """Correlate units (B, T, U) with signals (B, T, channels) over windows in the order of time.

    A signal of several channels counts with their multiple correlation. Chance is what is left where each window meets
    the signals of another one, all shifted in a circle by as many windows: what is alike within a window, and between
    neighbors, stays so. A unit passes if no unit reaches as much with any signal, each in its own standard deviations
    by chance, in 95 % of the shifts (Westfall & Young 1993, max T), and if its correlation is at least 0.5.
    """
    count = len(states)
    rows = _centered(states)
    scale = np.sqrt((rows**2).sum(axis=0))
    rows = np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0)
    bases = [_orthonormal(values) for values in signals.values()]
    ends = np.cumsum([basis.shape[-1] for basis in bases])[:-1]
    basis = np.concatenate(bases, axis=-1).reshape(count, -1, sum(each.shape[-1] for each in bases))

    def correlation(shift: int) -> Array:
        products = rows.T @ np.roll(basis, -shift, axis=0).reshape(len(rows), -1)
        return np.stack([np.sqrt((part**2).sum(axis=1)) for part in np.split(products, ends, axis=1)], axis=1)

    shifts = 1 + np.random.default_rng(_SEED).permutation(count - 1)[:_SHIFTS]
    chance = np.stack([correlation(shift) for shift in shifts.tolist()])
    spread = np.maximum(np.sqrt((chance**2).mean(axis=0)), 1e-12)
    bound = float(np.quantile((chance / spread).max(axis=(1, 2)), 1 - _ALPHA))
    found = correlation(0)
    return UnitScores(found, (found / spread > bound) & (found >= _STRONG))


def _settled(found: Activity, signals: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """States (B, T, U) and signals (B, T, channels) at the steps of a layer that have half a window behind them.

    An LSTM's unit is its cell state as it leaves the cell, tanh(c); of a ConvLSTM, the mean of all places.
    """
    states = found.trace.states
    values = np.tanh(states["cell"]) if "cell" in states else states["hidden"]
    values = values.reshape(*values.shape[:2], found.units, -1).mean(axis=-1)
    size = values.shape[1]
    late = slice(size // 2, None) if found.direction == "forward" else slice(None, -(-size // 2))
    return values[:, late], {name: each[:, found.steps[late]] for name, each in signals.items()}


def _tracked(found: Activity, scores: UnitScores, names: tuple[str, ...]) -> list[TrackedUnit]:
    best = np.where(scores.passed, scores.correlation, 0.0)
    whose = None if found.member is None else found.member.title
    return [
        TrackedUnit(whose, found.layer, found.direction, unit, names[int(row.argmax())], float(row.max()))
        for unit, row in enumerate(best)
        if row.max() > 0
    ]


def _centered(values: Array) -> Array:
    """(B, T, channels) as rows without their mean."""
    rows: Array = values.reshape(-1, values.shape[-1]).astype(np.float64)
    centered: Array = rows - rows.mean(axis=0)
    return centered


def _orthonormal(values: Array) -> Array:
    """A basis of what the channels of a signal span, without its mean: rows as in `_centered`."""
    left, sizes, _ = np.linalg.svd(_centered(values), full_matrices=False)
    basis: Array = left[:, sizes > 1e-9 * max(sizes.max(), 1e-300)]
    return basis
