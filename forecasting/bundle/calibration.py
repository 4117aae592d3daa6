"""Split-conformal calibration: the residuals of a backtest turn base quantiles into quantiles that keep their word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from forecasting.columns import check_axes
from forecasting.errors import ArtifactError, GatecastError

__all__ = ["Calibration", "identity"]

_SAME = 1e-9  # quantiles closer than this are one: (1 - 0.8) / 2 is not quite 0.1


@dataclass(frozen=True, eq=False)
class Calibration:
    """Residuals per horizon step of base quantile forecasts, in the scaled space of the network.

    Each wanted quantile tau adds to the nearest base quantile the tau-quantile of its residuals, with the
    finite-sample correction of split conformal prediction (Romano, Patterson and Candès 2019, one-sided).
    """

    quantiles: tuple[float, ...]  # of the base forecast, increasing
    residuals: npt.NDArray[np.float32]  # (H, Q, R) actual minus base quantile, sorted along R, NaN last

    @cached_property
    def counts(self) -> npt.NDArray[np.intp]:
        """(H,) residuals that each step has."""
        return np.asarray(np.isfinite(self.residuals[:, 0]).sum(axis=-1))

    def apply(self, base: npt.NDArray[Any], wanted: Sequence[float]) -> npt.NDArray[Any]:
        """The `wanted` quantiles (N, H, W) of the base forecast (N, H, Q); they never cross.

        The base's median stays where it is, so that calibration moves no point forecast, and bounds the
        quantiles on either side. Raises GatecastError where `wanted` does not increase within (0, 1), or
        where a step without residuals is asked for a quantile that the base does not hold.
        """
        check_axes(base, "NHQ", {"H": len(self.residuals), "Q": len(self.quantiles)}, name="base forecast")
        self._check(wanted)
        moved = np.stack([self._quantile(base, tau) for tau in wanted], axis=-1)  # (N, H, W)
        middle, has_median = self._nearest(0.5)
        if not has_median:
            return np.sort(moved, axis=-1)
        return _outward(moved, base[..., middle], np.asarray(wanted))

    def reaching(self, horizon: int) -> Calibration:
        """For a longer horizon: steps that were never calibrated take the residuals of the last one that was."""
        lacking = max(0, horizon - len(self.residuals))
        last = np.repeat(self.residuals[-1:], lacking, axis=0)
        return Calibration(self.quantiles, np.concatenate([self.residuals, last]))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that an npz file holds."""
        return {"quantiles": np.asarray(self.quantiles, np.float64), "residuals": self.residuals}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Calibration:
        """What `to_arrays` gave; raise ArtifactError where the arrays cannot be that."""
        missing = sorted({"quantiles", "residuals"} - set(arrays))
        if missing:
            raise ArtifactError(f"the calibration lacks {', '.join(missing)}; save the bundle again")
        quantiles, residuals = arrays["quantiles"], np.asarray(arrays["residuals"], np.float32)
        if residuals.ndim != 3 or quantiles.shape != residuals.shape[1:2]:
            raise ArtifactError(
                f"the calibration holds quantiles {quantiles.shape} and residuals {residuals.shape},"
                " expected (Q,) and (H, Q, R); save the bundle again"
            )
        return cls(tuple(float(tau) for tau in quantiles), residuals)

    def _check(self, wanted: Sequence[float]) -> None:
        if not wanted or any(not 0 < tau < 1 for tau in wanted) or list(wanted) != sorted(set(wanted)):
            raise GatecastError(f"quantiles {list(wanted)} must increase strictly and lie between 0 and 1")
        foreign = [tau for tau in wanted if not self._nearest(tau)[1]]
        if foreign and not self.counts.all():
            steps = [int(step) + 1 for step in np.flatnonzero(self.counts == 0)]
            raise GatecastError(
                f"quantiles {foreign} need residuals, and steps {steps} have none; ask for some of"
                f" {list(self.quantiles)}, or calibrate on more windows"
            )

    def _nearest(self, tau: float) -> tuple[int, bool]:
        """Index of the base quantile nearest to `tau`, and whether it is `tau` itself."""
        distance = np.abs(np.asarray(self.quantiles) - tau)
        index = int(distance.argmin())
        return index, bool(distance[index] < _SAME)

    def _quantile(self, base: npt.NDArray[Any], tau: float) -> npt.NDArray[Any]:
        index, same = self._nearest(tau)
        if same and abs(tau - 0.5) < _SAME:
            return base[..., index]
        return base[..., index] + self._shift(index, tau)  # (N, H)

    def _shift(self, index: int, tau: float) -> npt.NDArray[np.float32]:
        """(H,) per step the residual of rank (n + 1) tau of n, rounded away from the median, within 1 to n.

        A new exchangeable residual is at most the one of rank k with probability k / (n + 1). 0 where n is 0.
        """
        if not self.counts.any():
            return np.zeros(len(self.residuals), np.float32)
        exact = np.round((self.counts + 1) * tau, 6)  # 100 * 0.07 is 7.000000000000001
        rank = np.clip(np.ceil(exact) if tau >= 0.5 else np.floor(exact), 1, np.maximum(self.counts, 1))
        chosen = np.take_along_axis(self.residuals[:, index], rank.astype(np.intp)[:, None] - 1, axis=1)[:, 0]
        return np.where(self.counts > 0, chosen, np.float32(0))


def identity(quantiles: tuple[float, ...], horizon: int) -> Calibration:
    """A calibration without residuals: it gives base quantiles as they are, and no others."""
    return Calibration(quantiles, np.empty((horizon, len(quantiles), 0), np.float32))


def _outward(values: npt.NDArray[Any], median: npt.NDArray[Any], wanted: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """`values` (N, H, W) made monotone from the median (N, H) outwards: intervals only ever widen."""
    below = wanted < 0.5
    low = np.minimum(values[..., below], median[..., None])[..., ::-1]
    high = np.maximum(values[..., ~below], median[..., None])
    ordered = [np.minimum.accumulate(low, axis=-1)[..., ::-1], np.maximum.accumulate(high, axis=-1)]
    return np.concatenate(ordered, axis=-1)
