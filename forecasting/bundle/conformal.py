"""From the forecasts of a backtest and their actuals to the calibration of a bundle."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from forecasting.bundle.calibration import Calibration
from forecasting.columns import check_axes
from forecasting.errors import GatecastError

__all__ = ["LEAST", "calibrate"]

LEAST = (
    50  # residuals of every step that a group needs for intervals of its own: coverage within about 6 percentage points
)
_MOST_LAGS = 200  # between residuals that may be wrong together
_MOST_GROUPED = 500  # residuals of a step that a group keeps


def calibrate(  # noqa: PLR0913  (residuals have that many sides)
    y: npt.NDArray[Any],
    base: npt.NDArray[Any],
    quantiles: tuple[float, ...],
    *,
    limit: int = 2000,
    groups: Sequence[str] | None = None,
    weights: npt.NDArray[np.float64] | None = None,
    widths: npt.NDArray[np.float64] | None = None,
    series: npt.NDArray[np.intp] | None = None,
) -> Calibration:
    """Residuals of the `base` forecasts (B, H, Q) against the actuals `y` (B, H), NaN where missing, per step.

    Both are in the scaled space of the network, from windows outside the training data. A step keeps at most `limit`
    residuals, drawn from all its windows with a fixed seed: every series and season stays represented, and the same
    input gives the same calibration. A window whose forecast is not finite gives no residual. `groups` names the group
    of each window: one with at least LEAST residuals of every step has residuals of its own, the others use those of
    all. With `weights` (B,) a step keeps as many as those weights are worth, the heavy more often.
    The residuals of a window are divided by its `widths` (B,).
    `series` (B,) names the series of each window, windows of one series in the order of time: neighbors overlap, and
    count for as much as their residuals are independent.
    """
    check_axes(y, "BH", name="y")
    check_axes(base, "BHQ", {"B": len(y), "H": y.shape[1], "Q": len(quantiles)}, name="base")
    if list(quantiles) != sorted(set(quantiles)) or not quantiles:
        raise GatecastError(f"quantiles {list(quantiles)} must increase strictly")
    with np.errstate(over="ignore", invalid="ignore"):  # such a residual is not finite and left out below
        apart = (y[..., None] - base).transpose(1, 2, 0)  # (H, Q, B)
        residuals = (apart if widths is None else apart / widths).astype(np.float32)
    worth = None if series is None else _independent(residuals[:, len(quantiles) // 2].T, series)
    whole = Calibration(quantiles, _kept(residuals, weights, limit), independent=worth)
    if groups is None:
        return whole
    of = np.asarray(groups)
    parts = {str(name): of == name for name in np.unique(of)}
    own = {
        name: Calibration(
            quantiles,
            _kept(residuals[..., mine], None if weights is None else weights[mine], _MOST_GROUPED),
            independent=None if worth is None else worth * mine.mean(),
        )
        for name, mine in parts.items()
        if mine.sum() >= LEAST
    }
    return Calibration(
        quantiles,
        whole.residuals,
        {name: part for name, part in own.items() if part.counts.min() >= LEAST},
        worth,
    )


def _independent(residuals: npt.NDArray[np.float32], series: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """How many independent residuals those (B, H) of each step are worth (H,): n / (1 + 2 Σ r), over positive r.

    r are their autocorrelations within a series, at lags below the number of steps ahead: forecasts that overlap are
    wrong together (Geyer 1992, the initial positive sequence).
    """
    there = np.isfinite(residuals)
    centered = np.where(there, residuals - np.nanmean(np.where(there, residuals, np.nan), axis=0), 0.0)  # (B, H)
    power = np.maximum(np.square(centered).sum(axis=0), 1e-30)
    inflation, going = np.ones(residuals.shape[1]), np.ones(residuals.shape[1], dtype=bool)
    for lag in range(1, min(residuals.shape[1], _MOST_LAGS, len(residuals))):
        same = (series[lag:] == series[:-lag])[:, None]
        correlation = (centered[lag:] * centered[:-lag] * same).sum(axis=0) / power
        going &= (correlation > 0) & (np.arange(residuals.shape[1]) >= lag)
        inflation += 2 * np.where(going, correlation, 0.0)
    return np.asarray(np.maximum(there.sum(axis=0) / inflation, 1.0))


def _kept(
    residuals: npt.NDArray[np.float32], weights: npt.NDArray[np.float64] | None, limit: int
) -> npt.NDArray[np.float32]:
    """The residuals (H, Q, J) of (H, Q, B) that are kept, sorted along J, NaN last."""
    steps = []
    for step in residuals:
        there = np.isfinite(step).all(axis=0)
        steps.append(_sample(step[:, there], None if weights is None else weights[there], limit))
    kept = np.full((*residuals.shape[:2], max(step.shape[1] for step in steps)), np.nan, np.float32)
    for row, step in zip(kept, steps, strict=True):
        row[:, : step.shape[1]] = np.sort(step, axis=-1)
    return kept


def _sample(
    residuals: npt.NDArray[np.float32], weights: npt.NDArray[np.float64] | None, limit: int
) -> npt.NDArray[np.float32]:
    """At most `limit` columns of (Q, B)."""
    count = residuals.shape[1]
    if weights is not None and count:
        return residuals[:, _systematic(weights, limit)]
    if count <= limit:
        return residuals
    return residuals[:, np.random.default_rng(0).choice(count, limit, replace=False)]


def _systematic(weights: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.intp]:
    """Indices in proportion to their weights, evenly through the windows: as many as the weights are worth.

    Kish's effective sample size, (Σw)² / Σw²; more would promise a precision that so few residuals do not have.
    """
    total = weights.sum()
    size = int(np.clip(round(total**2 / np.square(weights).sum()), 1, limit))
    return np.asarray(np.searchsorted(np.cumsum(weights), (np.arange(size) + 0.5) / size * total))
