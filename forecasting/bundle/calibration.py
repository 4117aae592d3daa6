"""Split-conformal calibration: the residuals of a backtest turn base quantiles into quantiles with valid coverage."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.columns import check_axes
from forecasting.errors import ArtifactError, GatecastError

__all__ = ["Calibration", "identity"]

_SAME = 1e-9  # quantiles closer than this are one: (1 - 0.8) / 2 is not quite 0.1
_REMEMBERED = 32  # lists of quantiles whose moves are cached


class _Move(NamedTuple):
    """The map to A quantiles: the base quantile (A,) of each, and the shift (H, A)."""

    nearest: npt.NDArray[np.intp]
    shift: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Residuals per horizon step of base quantile forecasts, in the scaled space of the network.

    Each wanted quantile tau adds to the nearest base quantile the tau-quantile of its residuals, with the
    finite-sample correction of split conformal prediction (Romano, Patterson and Candès 2019, one-sided). Windows that
    overlap say nearly the same, so the correction counts the independent ones.
    """

    quantiles: tuple[float, ...]  # of the base forecast, increasing
    residuals: npt.NDArray[np.float32]  # (H, Q, J) actual minus base quantile, sorted along J, NaN last
    groups: Mapping[str, Calibration] = field(default_factory=dict)  # of windows with enough residuals of their own
    independent: npt.NDArray[np.float64] | None = None  # (H,) what overlapping windows are worth; none: all of them

    @cached_property
    def counts(self) -> npt.NDArray[np.intp]:
        """(H,) residuals that each step has."""
        return np.asarray(np.isfinite(self.residuals[:, 0]).sum(axis=-1))

    def apply(
        self,
        base: npt.NDArray[Any],
        wanted: Sequence[float],
        groups: Sequence[str] | None = None,
        widths: npt.NDArray[np.float64] | None = None,
    ) -> npt.NDArray[Any]:
        """The `wanted` quantiles (B, H, A) of the base forecast (B, H, Q); they never cross.

        `groups` names the group of each window; an unknown one has the residuals of all. `widths` (B,) multiplies the
        residuals. The base's median stays in place, so calibration moves no point forecast, and bounds the quantiles on
        either side. Raises GatecastError if `wanted` does not increase within (0, 1), or if it holds a quantile that
        the base lacks and some step has no residuals.
        """
        check_axes(base, "BHQ", {"H": len(self.residuals), "Q": len(self.quantiles)}, name="base forecast")
        shift: npt.NDArray[Any]
        nearest, shift = self._moves(tuple(wanted))
        if groups is not None and self.groups:
            shift = np.stack([self.groups.get(group, self)._moves(tuple(wanted)).shift for group in groups])
        if widths is not None and (widths != 1).any():
            shift = shift * widths[:, None, None]
        moved = base[..., nearest] + shift  # (B, H, A)
        middle, has_median = self._median
        return _outward(moved, base[..., middle, None], wanted) if has_median else np.sort(moved, axis=-1)

    def reaching(self, horizon: int) -> Calibration:
        """Extend to a longer horizon: steps that were never calibrated take the residuals of the last one that was."""
        lacking = max(0, horizon - len(self.residuals))
        last = np.repeat(self.residuals[-1:], lacking, axis=0)
        groups = {name: group.reaching(horizon) for name, group in self.groups.items()}
        worth = None if self.independent is None else np.pad(self.independent, (0, lacking), mode="edge")
        return Calibration(self.quantiles, np.concatenate([self.residuals, last]), groups, worth)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that an npz file holds."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "quantiles": np.asarray(self.quantiles, np.float64),
            "residuals": self.residuals,
        }
        if self.independent is not None:
            arrays["independent"] = self.independent
        if self.groups:
            parts = [group.residuals for group in self.groups.values()]
            longest = max(part.shape[-1] for part in parts)
            padded = [np.pad(p, ((0, 0), (0, 0), (0, longest - p.shape[-1])), constant_values=np.nan) for p in parts]
            arrays |= {"groups": np.array(list(self.groups), dtype=np.str_), "grouped": np.stack(padded)}
            worth = [group.independent for group in self.groups.values() if group.independent is not None]
            arrays |= {"grouped_independent": np.stack(worth)} if worth else {}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Calibration:
        """The inverse of `to_arrays`; raises ArtifactError for arrays that cannot be its result."""
        missing = sorted({"quantiles", "residuals"} - set(arrays))
        if missing:
            raise ArtifactError(f"the calibration lacks {', '.join(missing)}; save the bundle again")
        quantiles, residuals = arrays["quantiles"], np.asarray(arrays["residuals"], np.float32)
        if residuals.ndim != 3 or quantiles.shape != residuals.shape[1:2]:
            raise ArtifactError(
                f"the calibration holds quantiles {quantiles.shape} and residuals {residuals.shape},"
                " expected (Q,) and (H, Q, J); save the bundle again"
            )
        levels = tuple(float(tau) for tau in quantiles)
        names, grouped = arrays.get("groups", np.empty(0, np.str_)), arrays.get("grouped", np.empty((0, 0, 0, 0)))
        if grouped.shape[:1] != names.shape or (len(names) and grouped.shape[1:3] != residuals.shape[:2]):
            raise ArtifactError(
                f"the calibration holds {names.shape} groups with residuals {grouped.shape}, expected (groups,) and"
                f" (groups, {residuals.shape[0]}, {residuals.shape[1]}, J); save the bundle again"
            )
        parts = zip(names.tolist(), np.asarray(grouped, np.float32), strict=True)
        worth = arrays.get("grouped_independent", [None] * len(names))
        groups = {
            str(name): cls(levels, part, independent=each) for (name, part), each in zip(parts, worth, strict=True)
        }
        return cls(levels, residuals, groups, _worth(arrays, len(residuals)))

    def _check(self, wanted: Sequence[float]) -> None:
        if not wanted or any(not 0 < tau < 1 for tau in wanted) or list(wanted) != sorted(set(wanted)):
            raise GatecastError(f"quantiles {list(wanted)} must increase strictly and lie between 0 and 1")
        foreign = [tau for tau in wanted if not self._nearest(tau)[1]]
        if foreign and not self.counts.all():
            steps = [int(step) + 1 for step in np.flatnonzero(self.counts == 0)]
            raise GatecastError(
                f"quantiles {foreign} need residuals, but steps {steps} have none; choose from"
                f" {list(self.quantiles)}, or calibrate on more windows"
            )

    @cached_property
    def _moves(self) -> Callable[[tuple[float, ...]], _Move]:
        """`_move`, cached: it takes longer than the arithmetic of a single forecast."""
        return lru_cache(_REMEMBERED)(self._move)

    def _move(self, wanted: tuple[float, ...]) -> _Move:
        self._check(wanted)
        nearest = [self._nearest(tau)[0] for tau in wanted]
        shifts = [self._shift(index, tau) for index, tau in zip(nearest, wanted, strict=True)]
        return _Move(np.array(nearest), np.stack(shifts, axis=-1))

    @cached_property
    def _median(self) -> tuple[int, bool]:
        return self._nearest(0.5)

    def _nearest(self, tau: float) -> tuple[int, bool]:
        """The index of the base quantile nearest to `tau`, and whether it equals `tau`."""
        distance = np.abs(np.asarray(self.quantiles) - tau)
        index = int(distance.argmin())
        return index, bool(distance[index] < _SAME)

    def _shift(self, index: int, tau: float) -> npt.NDArray[np.float32]:
        """(H,) per step the residual of rank (m + 1) tau of m, rounded away from the median, within 1 to n.

        A new exchangeable residual is at most the one of rank k of m with probability k / (m + 1). Where m of the n
        residuals are independent, that rank is n / m times as high. 0 where n is 0, and for the base's median.
        """
        if not self.counts.any() or (abs(tau - 0.5) < _SAME and self._median[1]):
            return np.zeros(len(self.residuals), np.float32)
        worth = self.counts if self.independent is None else np.minimum(self.independent, self.counts)
        beyond = self.counts / np.maximum(worth, 1.0)  # n / m
        exact = (worth + 1) * tau * beyond if tau >= 0.5 else self.counts + 1 - (worth + 1) * (1 - tau) * beyond
        exact = np.round(exact, 6)  # 100 * 0.07 is 7.000000000000001
        rank = np.clip(np.ceil(exact) if tau >= 0.5 else np.floor(exact), 1, np.maximum(self.counts, 1))
        chosen = np.take_along_axis(self.residuals[:, index], rank.astype(np.intp)[:, None] - 1, axis=1)[:, 0]
        return np.where(self.counts > 0, chosen, np.float32(0))


def _worth(arrays: Mapping[str, npt.NDArray[Any]], horizon: int) -> npt.NDArray[np.float64] | None:
    """The number of independent residuals of each step; raises ArtifactError where it is not one a step."""
    worth = arrays.get("independent")
    if worth is not None and worth.shape != (horizon,):
        raise ArtifactError(f"the calibration counts independent residuals {worth.shape}, expected ({horizon},)")
    return None if worth is None else np.asarray(worth, np.float64)


def identity(quantiles: tuple[float, ...], horizon: int) -> Calibration:
    """A calibration without residuals: it returns base quantiles as they are, and no others."""
    return Calibration(quantiles, np.empty((horizon, len(quantiles), 0), np.float32))


def _outward(values: npt.NDArray[Any], median: npt.NDArray[Any], wanted: Sequence[float]) -> npt.NDArray[Any]:
    """`values` (B, H, A) made monotone from the median (B, H, 1) outwards: intervals only ever widen."""
    below = bisect_left(wanted, 0.5)
    ordered = np.empty_like(values)
    low, high = np.minimum(values[..., :below], median), np.maximum(values[..., below:], median)
    ordered[..., :below] = np.minimum.accumulate(low[..., ::-1], axis=-1)[..., ::-1]
    ordered[..., below:] = np.maximum.accumulate(high, axis=-1)
    return ordered
