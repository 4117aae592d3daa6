"""The standard error of the mean of values that follow and depend on each other."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.bundle.numerics import student_t_quantile

__all__ = ["Mean", "mean_of"]


class Mean(NamedTuple):
    """A mean, its standard error, and its degrees of freedom; NaN and 0 for fewer than six values."""

    value: float
    error: float
    freedom: int

    def reach(self, confidence: float) -> float:
        """The distance of a one-sided bound of this confidence from the mean, by Student's distribution."""
        if not self.freedom:
            return float("nan")
        return float(student_t_quantile(np.array(self.freedom), np.array(confidence)) * self.error)


def mean_of(values: npt.NDArray[np.float64], overlap: int) -> Mean:
    """The mean of `values` (B,), in which neighbors up to `overlap` apart share information.

    Its error is from the long-run variance with Bartlett's weights (Newey and West 1987) over twice the overlap or, if
    more, twice the cube root of B; a third of B at most. The number of such stretches is the number of independent
    blocks.
    """
    count = len(values)
    if count < 6:
        return Mean(float(values.mean()) if count else float("nan"), float("nan"), 0)
    lags = min(2 * max(overlap, round(float(np.cbrt(count)))), count // 3)
    centered = values - values.mean()
    products = np.array([centered[lag:] @ centered[: count - lag] for lag in range(lags)]) / count
    weights = 1 - np.arange(1, lags) / lags
    variance = max(float(products[0] + 2 * weights @ products[1:]), 0.0)
    return Mean(float(values.mean()), float(np.sqrt(variance / (count - lags))), max(count // lags - 1, 1))
