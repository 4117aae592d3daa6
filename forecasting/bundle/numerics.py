"""Quantile functions of standard distributions, and softmax, in NumPy: SciPy would add 150 MB to the service."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np

__all__ = ["log_softmax", "negative_binomial_quantile", "normal_quantile", "softmax", "student_t_quantile"]

Array = np.ndarray

# Of Gauss and Legendre, on [0, 1]; eight at a time, since many draws would take much memory.
_NODES, _WEIGHTS = (0.5 * part.reshape(6, 8) for part in np.polynomial.legendre.leggauss(48))
_NODES += 0.5
_DEPTH: Final = 38.0  # a tail is followed until it has fallen to exp(-38)
_STIRLING: Final = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_TINY: Final = 1e-200
_MOST_STEPS: Final = 100  # of an iteration that takes five as a rule
_inverse_normal = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])


def normal_quantile(level: Array) -> Array:
    """The quantiles (...) of the standard normal distribution at levels (...) between 0 and 1 (Wichura 1988)."""
    return np.asarray(_inverse_normal(level))


def student_t_quantile(freedom: Array, level: Array) -> Array:
    """The quantiles (...) of Student's distribution with degrees of freedom (...) at levels (...) between 0 and 1.

    t² / (freedom + t²) has the beta distribution (1/2, freedom / 2), and lies below what belongs to the quantile with
    probability |2 level - 1| (DLMF 8.17(ii) and its note on distributions).
    """
    normal = normal_quantile(level)
    freedom, level = np.broadcast_arrays(np.asarray(freedom, np.float64), np.asarray(level, np.float64))
    outer, half = 2 * np.minimum(level, 1 - level), np.full(freedom.shape, 0.5)
    square = (normal * (8 * freedom + 3) / (8 * freedom + 1)) ** 2  # about so, Wallace (1959)
    about = np.log(np.expm1(np.clip(square / freedom, _TINY, 600.0)))
    odds = np.exp(_beta_quantile(half, 0.5 * freedom, 1 - outer, outer, about))
    return np.asarray(np.sign(level - 0.5) * np.sqrt(freedom * odds))


def negative_binomial_quantile(mean: Array, dispersion: Array, level: Array, above: float = -1.0) -> Array:
    """The smallest counts (...) whose distribution function reaches the levels (...); all are known to lie `above`.

    The variance is mean + dispersion mean². Up to k the probability is that of a beta distribution (1 / dispersion,
    k + 1) below 1 / (1 + mean dispersion) (DLMF 8.17.5). Newton's method, and halving where it leads astray.
    """
    mean, size, level = np.broadcast_arrays(mean, 1 / np.asarray(dispersion), level)
    odds = -np.log(mean / size)
    low, high = np.full(mean.shape, above), np.full(mean.shape, np.inf)
    count = np.maximum(np.ceil(_gamma_like(mean, size, level)), low + 1)
    for _ in range(_MOST_STEPS):
        below, beyond, density = (np.exp(part) for part in _beta(size, count + 1, odds))
        more = np.maximum(density / (count + 1), _TINY)  # the probability of one count more
        here = more * (count + 1) / ((size + count) * (mean / (mean + size)))
        missing = np.where(level < 0.5, level - below, beyond - (1 - level))
        reached = missing <= 0
        high = np.where(reached, np.minimum(high, count), np.where(missing <= more, np.minimum(high, count + 1), high))
        low = np.where(~reached, np.maximum(low, count), np.where(missing + here > 0, np.maximum(low, count - 1), low))
        if np.all(high - low <= 1):
            break
        newton = count + np.where(reached, np.floor(missing / here), np.ceil(missing / more))
        halved = np.where(np.isinf(high), 2 * low + 1, np.floor(0.5 * (low + high)))
        count = np.where((newton > low) & (newton < high), newton, np.clip(halved, low + 1, high))
    return high


def softmax(logits: Array) -> Array:
    """Probabilities (..., V) of logits (..., V)."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def log_softmax(logits: Array) -> Array:
    """Logarithms (..., V) of the probabilities of logits (..., V)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _gamma_like(mean: Array, size: Array, level: Array) -> Array:
    """About the quantiles of counts: those of a gamma distribution (Wilson & Hilferty 1931)."""
    ninth = (1 / mean + 1 / size) / 9
    return np.asarray(mean * np.maximum(1 - ninth + normal_quantile(level) * np.sqrt(ninth), 0.0) ** 3)


def _beta_quantile(a: Array, b: Array, level: Array, rest: Array, odds: Array) -> Array:
    """log(x / (1 - x)) (...) of the quantiles x of beta distributions (a, b) at levels = 1 - rest.

    Newton's method from `odds` on, for the logarithm of the smaller probability, which is concave on this scale.
    """
    lower = level < rest
    goal = np.log(np.maximum(np.minimum(level, rest), _TINY))  # zero would be at minus infinity
    for _ in range(_MOST_STEPS):
        below, beyond, density = _beta(a, b, odds)
        smaller = np.where(lower, below, beyond)
        step = (goal - smaller) * np.exp(smaller - density)
        odds = odds + np.where(lower, step, -step)
        if np.all(np.abs(step) <= 1e-6):  # the next one would be as its square
            break
    return odds


def _beta(a: Array, b: Array, odds: Array) -> tuple[Array, Array, Array]:
    """Logarithms of the probabilities (...) below and beyond x of beta distributions (a, b), and of their density.

    `odds` is log(x / (1 - x)), and the density is that of the odds. What lies on the side of x that is away from the
    mean is integrated (DLMF 8.17.20 leaves an integrand without a pole), the rest is its complement.
    """
    left = odds <= np.log(a / b)
    near, far = np.where(left, a, b), np.where(left, b, a)
    density, share = _log_density(a, b, odds), np.exp(-np.logaddexp(0, np.where(left, -odds, odds)))
    tail = density - np.log(near) + np.log1p((a + b) * _falling(near + 1, far, share))
    rest = np.log1p(-np.exp(tail))
    return np.where(left, tail, rest), np.where(left, rest, tail), density


def _log_density(a: Array, b: Array, odds: Array) -> Array:
    """log of x^a (1 - x)^b / B(a, b), by Stirling's formula around the mean, where its large terms cancel."""
    total = a + b
    away = a * (np.log(a / total) + np.logaddexp(0, -odds)) + b * (np.log(b / total) + np.logaddexp(0, odds))
    return np.asarray(0.5 * np.log(a / total * b / (2 * np.pi)) - away + _binet(total) - _binet(a) - _binet(b))


def _falling(a: Array, b: Array, x: Array) -> Array:
    """x times the integral of t^a (1 - t)^b / (x^a (1 - x)^b) over the log odds of t up to those of x, below the mode.

    At a length to the left of x, log odds have made the integrand smaller by exp(-fall).
    """
    length = (_DEPTH - (a + b) * np.log1p(-x)) / a  # too long; from there Newton's method stays too long
    for _ in range(8):
        fall, less = a * length + (a + b) * np.log1p(x * np.expm1(-length)), x * np.exp(-length)
        length = length - (fall - _DEPTH) / (a - (a + b) * less / (1 - x + less))
    total = np.zeros_like(length)
    for nodes, weights in zip(_NODES, _WEIGHTS, strict=True):
        lengths = length[..., None] * nodes
        fall = a[..., None] * lengths + (a + b)[..., None] * np.log1p(x[..., None] * np.expm1(-lengths))
        total += np.exp(-fall) @ weights
    return np.asarray(x * length * total)


def _binet(x: Array) -> Array:
    """log Γ(x) - (x - 1/2) log x + x - log(2π) / 2 (Whittaker & Watson, A Course of Modern Analysis, 12.31, 12.33)."""
    total = np.zeros_like(x)
    for _ in range(8):
        total = total + (x + 0.5) * np.log1p(1 / x) - 1
        x = x + 1
    return np.asarray(total + np.polynomial.polynomial.polyval(1 / x**2, _STIRLING) / x)
