"""How well the mean of values is known that follow each other in time and depend on each other."""

import numpy as np
import numpy.typing as npt

__all__ = ["error_of_mean"]


def error_of_mean(values: npt.NDArray[np.float64], overlap: int) -> float:
    """Standard error of the mean of `values` (N,), of which neighbours up to `overlap` apart share what they tell.

    From the long-run variance with Bartlett's weights (Newey and West 1987) over twice the overlap or, if more, twice
    the cube root of N; a third of N at most. NaN for fewer than six values.
    """
    count = len(values)
    if count < 6:
        return float("nan")
    lags = min(2 * max(overlap, round(float(np.cbrt(count)))), count // 3)
    centred = values - values.mean()
    products = np.array([centred[lag:] @ centred[: count - lag] for lag in range(lags)]) / count
    weights = 1 - np.arange(1, lags) / lags
    variance = max(float(products[0] + 2 * weights @ products[1:]), 0.0)
    return float(np.sqrt(variance / (count - lags)))
