"""Losses over windows whose targets may be missing."""

from collections.abc import Sequence
from math import log, pi
from typing import Any

from keras import ops

__all__ = ["binet", "categorical", "negative_binomial", "normal", "pinball", "student_t"]

HALF_LOG_TAU = 0.5 * log(2 * pi)


def pinball(y_true: Any, quantiles: Any, levels: Sequence[float]) -> Any:
    """The masked mean of twice the pinball loss (Koenker & Bassett 1978, eq. 1.2): for the median alone, the MAE.

    `y_true` (B, M) or (B, M, 1) holds NaN where the target is missing; such a target adds neither loss nor gradient.
    `quantiles` (B, M, Q), or (B, M) where Q is 1. The result is a scalar, 0 where no target was observed.
    """
    quantiles = quantiles if len(quantiles.shape) == 3 else ops.expand_dims(quantiles, -1)
    target, observed = _targets(y_true, quantiles)
    error = ops.expand_dims(target, -1) - quantiles  # (B, M, Q)
    level = ops.convert_to_tensor(levels, dtype=quantiles.dtype)
    return _masked_mean(2.0 * ops.mean(ops.maximum(level * error, (level - 1.0) * error), axis=-1), observed)


def normal(y_true: Any, parameters: Any) -> Any:
    """The masked mean negative log likelihood of (B, M) targets under location and scale (B, M, 2); a scalar."""
    target, observed = _targets(y_true, parameters)
    location, scale = parameters[..., 0], parameters[..., 1]
    loss = 0.5 * ops.square((target - location) / scale) + ops.log(scale) + HALF_LOG_TAU
    return _masked_mean(loss, observed)


def student_t(y_true: Any, parameters: Any) -> Any:
    """The masked mean negative log likelihood of (B, M) targets under df, location and scale (B, M, 3); a scalar.

    The gamma functions are written as Binet's, so that nothing large cancels: df may grow toward the normal.
    """
    target, observed = _targets(y_true, parameters)
    half, location, scale = 0.5 * parameters[..., 0], parameters[..., 1], parameters[..., 2]
    # log of Γ(half) sqrt(half) / Γ(half + 1/2), which tends to 0
    normaliser = 0.5 - half * ops.log1p(0.5 / half) + binet(half) - binet(half + 0.5)
    error = (target - location) / scale
    loss = normaliser + (half + 0.5) * ops.log1p(0.5 * ops.square(error) / half) + ops.log(scale) + HALF_LOG_TAU
    return _masked_mean(loss, observed)


def negative_binomial(y_true: Any, parameters: Any) -> Any:
    """The masked mean negative log likelihood of counts (B, M) under mean and dispersion (B, M, 2); a scalar.

    Salinas et al. 2020, section 3.1, with k = 1 / dispersion and z the count:
    log p = log Γ(z + k) - log Γ(z + 1) - log Γ(k) - k log(1 + mean / k) + z log(mean / (mean + k)).
    Binet's form of the gamma functions leaves ratios near one, whose logarithm is exact where counts or k are large.
    """
    target, observed = _targets(y_true, parameters)
    z, mean, k = ops.maximum(target, 0.0), parameters[..., 0], 1.0 / parameters[..., 1]
    gammas = binet(z + k) - binet(k) - binet(z + 1.0) + 1.0 - HALF_LOG_TAU
    roots = 0.5 * (ops.log1p(z / k) + ops.log1p(z))
    return _masked_mean(roots - gammas - _ratios(z, mean, k), observed)


def _ratios(z: Any, mean: Any, k: Any) -> Any:
    """z log(mean / (z + 1)) - (z + k) log((mean + k) / (z + k)), in whichever of two forms has the smaller terms.

    Where k is small, z times the two logarithms all but cancel, and so would their gradients.
    """
    first, second = _log_ratio(mean, z + 1.0, mean - z - 1.0), _log_ratio(mean + k, z + k, mean - z)
    apart = ops.log1p(k / mean)
    together = -z * (apart + _log_ratio(z + 1.0, z + k, 1.0 - k)) - k * second
    return ops.where(apart < ops.abs(first), together, z * first - (z + k) * second)


def categorical(y_true: Any, logits: Any) -> Any:
    """The masked mean cross-entropy of codes (B, M), given as numbers, under logits (B, M, V); a scalar."""
    target, observed = _targets(y_true, logits)
    code = ops.expand_dims(ops.cast(target, "int32"), -1)
    chosen = ops.take_along_axis(logits, code, axis=-1)[..., 0]
    return _masked_mean(ops.logsumexp(logits, axis=-1) - chosen, observed)


def binet(x: Any) -> Any:
    """Binet's function, log Γ(x) - (x - 1/2) log x + x - log(2π) / 2 for x > 0, to 1e-6.

    `keras.ops` has no log Γ. Four steps of the recurrence lead to where the asymptotic series is exact
    (Whittaker & Watson, A Course of Modern Analysis, 12.31 and 12.33).
    """
    total = ops.zeros_like(x)
    for _ in range(4):
        total = total + (x + 0.5) * ops.log1p(1.0 / x) - 1.0
        x = x + 1.0
    square = 1.0 / ops.square(x)
    return total + (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0)) / x


def _log_ratio(a: Any, b: Any, difference: Any) -> Any:
    """log(a / b), through their exact difference where they are near each other."""
    near = ops.abs(difference) < 0.5 * b
    small = ops.where(near, difference / b, ops.zeros_like(b))  # the branch not taken must have a gradient, too
    return ops.where(near, ops.log1p(small), ops.log(a / b))


def _targets(y_true: Any, output: Any) -> tuple[Any, Any]:
    """Targets (B, M), 0 where missing, and the mask of observed ones (B, M), for an output (B, M, P).

    NaN is replaced before any computation: masking a loss afterwards would leave it in the gradient.
    """
    y_true = ops.cast(y_true, output.dtype)
    y_true = y_true[..., 0] if len(y_true.shape) == 3 else y_true
    observed = ops.logical_not(ops.isnan(y_true))
    return ops.where(observed, y_true, ops.zeros_like(y_true)), observed


def _masked_mean(losses: Any, observed: Any) -> Any:
    """The mean of losses (B, M) over the observed targets, 0 without any."""
    weight = ops.cast(observed, losses.dtype)
    return ops.sum(losses * weight) / ops.maximum(ops.sum(weight), 1.0)
