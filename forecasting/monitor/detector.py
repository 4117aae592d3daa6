"""A sequential test that gains power with every whole horizon: has the mean of a sequence risen above 1?"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Detection", "detect", "recovered"]

_STAKES: Final = np.array([0.25, 0.5, 1.0])  # shares of what is bet on a mean above 1
_SPREAD_STAKES: Final = np.array([0.2, 0.6])  # the same on values far above 1, for their spread
_RECOVERY: Final = (4, 7)  # values after an alarm: least and most whose mean may end it

Floats = npt.NDArray[np.float64]


class Detection(NamedTuple):
    """The evidence for a mean above 1: below its threshold it may be chance; an alarm lasts until the mean is back."""

    evidence: float
    since: int | None  # the value at which the alarm was raised that still lasts

    @property
    def broken(self) -> bool:
        """Whether an alarm lasts."""
        return self.since is not None


def detect(values: Floats, spreads: Floats, threshold: float) -> Detection:
    """Watch values (B,) of at least 0 in the order in which they came; `spreads` (B,) are their standard deviations.

    As long as the mean of the next value, whatever came before, is at most 1, an alarm comes once in `threshold` values
    on average, or less often. This is an e-detector (Shin, Ramdas, and Rinaldo 2024) of the kind of Shiryaev and
    Roberts: a mixture of bets on the next value, opened anew at every value, since nobody knows when a change begins.
    It asks nothing of the values' distribution or independence. A spread makes it faster; NaN is unknown.
    """
    wealth = np.zeros(len(_STAKES) + len(_SPREAD_STAKES))
    evidence, since, last = 0.0, None, 0
    for place, factors in enumerate(_payoffs(values, spreads)):
        wealth = (1 + wealth) * factors
        mean = float(wealth.mean())
        if mean >= threshold:
            since, last, evidence = place if since is None else since, place, mean
            wealth = np.zeros_like(wealth)
        elif since is None or _is_back(values[last + 1 : place + 1]):
            since, evidence = None, mean
    return Detection(evidence, since)


def recovered(values: Floats) -> bool:
    """Whether values (B,) that came after an alarm were back at a mean of at most 1 at any time, for long enough."""
    return any(_is_back(values[:stop]) for stop in range(1, len(values) + 1))


def _payoffs(values: Floats, spreads: Floats) -> Floats:
    """What each bet makes of a stake of 1 (B, bets): on average at most 1 if all is well.

    For a value of at least 0 whose mean is at most 1, so is the mean of 1 + stake · (value - 1), and that of the square
    of its excess over 1 is at most its variance.
    """
    linear = 1 + _STAKES * (values[:, None] - 1)
    excess = np.maximum(values - 1, 0) / np.where(spreads > 0, spreads, np.nan)
    squared = 1 + _SPREAD_STAKES * (np.where(np.isnan(excess), 1.0, excess)[:, None] ** 2 - 1)
    payoffs: Floats = np.minimum(np.concatenate([linear, squared], axis=1), 1e6)
    return payoffs


def _is_back(since: Floats) -> bool:
    least, most = _RECOVERY
    return len(since) >= least and float(since[-most:].mean()) <= 1
