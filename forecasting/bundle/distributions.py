"""Forecast distributions: quantiles, means, and draws from the outputs of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from forecasting.bundle.numerics import negative_binomial_quantile, normal_quantile, softmax, student_t_quantile

__all__ = ["DISTRIBUTIONS", "Distribution", "distribution"]

Array = np.ndarray

_COUNTED = 16  # counts up to here are found by adding up probabilities, which is faster than inverting


class Distribution(Protocol):
    """The distribution behind a network's output (..., P); results have the dtype of the output."""

    def quantile(self, output: Array, levels: Array) -> Array:
        """The quantiles (..., Q) at levels (Q,)."""

    def at(self, output: Array, draws: Array) -> Array:
        """The value (...) of each distribution at a quantile level of its own (...); uniform levels give draws."""

    def mean(self, output: Array) -> Array:
        """The mean (...)."""


class Quantiles:
    """Quantiles at known levels; between them the quantile function is linear.

    Beyond them it has the tails of the exponential distribution that goes through the two outermost quantiles:
    q(u) = q_n + s log((1 - u_n) / (1 - u)) above, and its mirror image below. A single level is all there is.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = np.asarray(levels, dtype=np.float64)

    def quantile(self, output: Array, levels: Array) -> Array:
        """(..., P) to (..., Q)."""
        return output if np.array_equal(levels, self.levels) else _each(self, output, levels)

    def at(self, output: Array, draws: Array) -> Array:
        """(..., P) and (...) to (...)."""
        draws = np.broadcast_to(draws, output.shape[:-1])
        if len(self.levels) == 1:
            return np.asarray(output[..., 0])
        right = np.clip(np.searchsorted(self.levels, draws), 1, len(self.levels) - 1)
        low, high = (np.take_along_axis(output, (right + side)[..., None], axis=-1)[..., 0] for side in (-1, 0))
        share = (draws - self.levels[right - 1]) / (self.levels[right] - self.levels[right - 1])
        below, above = self._slopes(output)
        # each logarithm is zero on the inner side of its outermost level
        beyond = above * np.log((1 - self.levels[-1]) / np.minimum(1 - draws, 1 - self.levels[-1]))
        beyond -= below * np.log(self.levels[0] / np.minimum(draws, self.levels[0]))
        return np.asarray(low + np.clip(share, 0.0, 1.0) * (high - low) + beyond, dtype=output.dtype)

    def mean(self, output: Array) -> Array:
        """(..., P) to (...): trapezia between the levels, and the means of the two exponential tails."""
        if len(self.levels) == 1:
            return np.asarray(output[..., 0])
        below, above = self._slopes(output)
        lower = self.levels[0] * (output[..., 0] - below)
        upper = (1 - self.levels[-1]) * (output[..., -1] + above)
        return np.asarray(lower + np.trapezoid(output, self.levels, axis=-1) + upper, dtype=output.dtype)

    def _slopes(self, output: Array) -> tuple[Array, Array]:
        """The scales (...) of the lower and the upper tail."""
        below = (output[..., 1] - output[..., 0]) / np.log(self.levels[1] / self.levels[0])
        above = (output[..., -1] - output[..., -2]) / np.log((1 - self.levels[-2]) / (1 - self.levels[-1]))
        return below, above


class Normal:
    """Parameters (..., 2): location and scale."""

    def quantile(self, output: Array, levels: Array) -> Array:
        """(..., 2) to (..., Q)."""
        return _each(self, output, levels)

    def at(self, output: Array, draws: Array) -> Array:
        """(..., 2) and (...) to (...)."""
        return np.asarray(output[..., 0] + output[..., 1] * normal_quantile(draws), dtype=output.dtype)

    def mean(self, output: Array) -> Array:
        """(..., 2) to (...)."""
        return np.asarray(output[..., 0])


class StudentT:
    """Parameters (..., 3): degrees of freedom above 2, location and scale."""

    def quantile(self, output: Array, levels: Array) -> Array:
        """(..., 3) to (..., Q)."""
        return _each(self, output, levels)

    def at(self, output: Array, draws: Array) -> Array:
        """(..., 3) and (...) to (...)."""
        standard = student_t_quantile(output[..., 0].astype(np.float64), draws)
        return np.asarray(output[..., 1] + output[..., 2] * standard, dtype=output.dtype)

    def mean(self, output: Array) -> Array:
        """(..., 3) to (...)."""
        return np.asarray(output[..., 1])


class NegativeBinomial:
    """Parameters (..., 2): mean m > 0 and dispersion a > 0, so that the variance is m + a m²; values are counts."""

    def quantile(self, output: Array, levels: Array) -> Array:
        """(..., 2) to (..., Q): the smallest counts whose distribution function reaches the levels."""
        return _each(self, output, levels)

    def at(self, output: Array, draws: Array) -> Array:
        """(..., 2) and (...) to (...)."""
        mean, dispersion = np.moveaxis(output.astype(np.float64), -1, 0)
        counts = np.full(mean.shape, np.nan)
        draws = np.broadcast_to(draws, mean.shape)
        odds = mean * dispersion
        probability = np.exp(-np.log1p(odds) / dispersion)  # of zero
        reached = probability.copy()
        for count in range(_COUNTED):
            counts = np.where(np.isnan(counts) & (reached >= draws), count, counts)
            probability *= (count + 1 / dispersion) / (count + 1) * (odds / (1 + odds))
            reached += probability
        large = np.isnan(counts)
        counts[large] = negative_binomial_quantile(mean[large], dispersion[large], draws[large], _COUNTED - 1)
        return counts.astype(output.dtype)

    def mean(self, output: Array) -> Array:
        """(..., 2) to (...)."""
        return np.asarray(output[..., 0])


class Categorical:
    """Logits (..., V) of classes; values are the codes of classes, whose order means nothing."""

    def quantile(self, output: Array, levels: Array) -> Array:
        """(..., V) to (..., Q): codes in their own order."""
        return _each(self, output, levels)

    def at(self, output: Array, draws: Array) -> Array:
        """(..., V) and (...) to (...): the first code at which the probabilities add up to the level."""
        reached = np.cumsum(softmax(output.astype(np.float64)), axis=-1)[..., :-1]
        codes = (reached < np.asarray(draws)[..., None]).sum(axis=-1)
        return np.asarray(codes, dtype=output.dtype)

    def mean(self, output: Array) -> Array:
        """(..., V) to (...): the most probable code, since codes have no mean."""
        return np.asarray(output.argmax(axis=-1), dtype=output.dtype)


DISTRIBUTIONS: Final[dict[str, Callable[[Sequence[float]], Distribution]]] = {
    "quantile": Quantiles,
    "normal": lambda _: Normal(),
    "student_t": lambda _: StudentT(),
    "negative_binomial": lambda _: NegativeBinomial(),
    "categorical": lambda _: Categorical(),
}


def distribution(name: str, levels: Sequence[float]) -> Distribution:
    """The distribution of the head of that name; `levels` are those of the head `quantile`."""
    return DISTRIBUTIONS[name](levels)


def _each(distribution: Distribution, output: Array, levels: Array) -> Array:
    """The value at each level, (..., Q)."""
    *shape, parameters = output.shape
    return distribution.at(np.broadcast_to(output[..., None, :], (*shape, len(levels), parameters)), levels)
