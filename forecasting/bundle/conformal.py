"""The forecasts of a backtest and what happened become the calibration of a bundle."""

from typing import Any

import numpy as np
import numpy.typing as npt

from forecasting.bundle.calibration import Calibration
from forecasting.columns import check_axes
from forecasting.errors import GatecastError

__all__ = ["calibrate"]


def calibrate(
    y: npt.NDArray[Any], base: npt.NDArray[Any], quantiles: tuple[float, ...], *, limit: int = 2000
) -> Calibration:
    """Residuals of the `base` forecasts (N, H, Q) against the actuals `y` (N, H, NaN where missing), per step.

    Both in the scaled space of the network, and from windows that were not trained on. A step keeps at most
    `limit` residuals, drawn from all its windows with a fixed seed: every series and season stays represented,
    and the same input gives the same calibration. A window whose forecast is not finite gives no residual.
    """
    check_axes(y, "NH", name="y")
    check_axes(base, "NHQ", {"N": len(y), "H": y.shape[1], "Q": len(quantiles)}, name="base")
    if list(quantiles) != sorted(set(quantiles)) or not quantiles:
        raise GatecastError(f"quantiles {list(quantiles)} must increase strictly")
    with np.errstate(over="ignore", invalid="ignore"):  # such a residual is not finite and left out below
        residuals = (y[..., None] - base).transpose(1, 2, 0).astype(np.float32)  # (H, Q, N)
    steps = [_sample(step[:, np.isfinite(step).all(axis=0)], limit) for step in residuals]
    kept = np.full((len(steps), len(quantiles), max(step.shape[1] for step in steps)), np.nan, np.float32)
    for row, step in zip(kept, steps, strict=True):
        row[:, : step.shape[1]] = np.sort(step, axis=-1)
    return Calibration(quantiles, kept)


def _sample(residuals: npt.NDArray[np.float32], limit: int) -> npt.NDArray[np.float32]:
    """At most `limit` columns of (Q, N)."""
    count = residuals.shape[1]
    if count <= limit:
        return residuals
    return residuals[:, np.random.default_rng(0).choice(count, limit, replace=False)]
