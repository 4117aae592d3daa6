"""Quantiles, means and draws of every distribution against scipy."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats

from forecasting.bundle.distributions import DISTRIBUTIONS, distribution

LEVELS = np.array([0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999])


def frozen(name: str, parameters: Any) -> Any:
    """Scipy's distribution of these parameters (..., P)."""
    first, *rest = np.moveaxis(np.asarray(parameters, dtype=float), -1, 0)
    if name == "normal":
        return stats.norm(first, *rest)
    if name == "student_t":
        return stats.t(first, *rest)
    return stats.nbinom(1 / rest[0], 1 / (1 + first * rest[0]))


def parameters(name: str, rng: np.random.Generator, count: int = 400) -> Any:
    """Parameters (count, P) over many orders of magnitude."""
    location, scale = rng.normal(0, 100, count), 10 ** rng.uniform(-3, 4, count)
    if name == "normal":
        return np.stack([location, scale], axis=-1)
    if name == "student_t":
        return np.stack([2 + 10 ** rng.uniform(-3, 4, count), location, scale], axis=-1)
    return np.stack([10 ** rng.uniform(-6, 6, count), 10 ** rng.uniform(-6, 3, count)], axis=-1)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(11)


@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_quantiles_agree_with_scipy(name: str, rng: np.random.Generator) -> None:
    """From one in a thousand to all but one, to 1e-9."""
    output = parameters(name, rng)
    expected = np.stack([frozen(name, output).ppf(level) for level in LEVELS], axis=-1)
    np.testing.assert_allclose(distribution(name, ()).quantile(output, LEVELS), expected, rtol=1e-9, atol=1e-9)


def test_quantiles_of_counts_are_the_smallest_that_reach_the_level(rng: np.random.Generator) -> None:
    """Means from 1e-6 to 1e6, dispersions from 1e-6 to 1e3: whole, never negative, and one less would not do."""
    output = parameters("negative_binomial", rng)
    counts = distribution("negative_binomial", ()).quantile(output, LEVELS)
    mean, size = output[:, :1], 1 / output[:, 1:]
    share = mean / (mean + size)
    assert np.all((counts >= 0) & (counts == np.round(counts)))
    assert np.all(special.betaincc(counts + 1, size, share) >= LEVELS * (1 - 1e-9))
    below = np.where(counts > 0, special.betaincc(np.maximum(counts, 1), size, share), 0.0)
    assert np.all(below < LEVELS * (1 + 1e-9))


def test_quantiles_of_counts_agree_with_scipy(rng: np.random.Generator) -> None:
    """Where scipy's own inversion is exact: means up to 1e3."""
    output = np.stack([10 ** rng.uniform(-2, 3, 400), 10 ** rng.uniform(-3, 1, 400)], axis=-1)
    expected = np.stack([frozen("negative_binomial", output).ppf(level) for level in LEVELS], axis=-1)
    np.testing.assert_array_equal(distribution("negative_binomial", ()).quantile(output, LEVELS), expected)


@pytest.mark.parametrize("name", ["normal", "student_t", "negative_binomial"])
def test_means_agree_with_scipy(name: str, rng: np.random.Generator) -> None:
    """The first moment of each."""
    output = parameters(name, rng)
    np.testing.assert_allclose(distribution(name, ()).mean(output), frozen(name, output).mean(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("normal", [3.0, 2.0]),
        ("student_t", [4.0, 3.0, 2.0]),
        ("negative_binomial", [0.3, 2.0]),
        ("negative_binomial", [40.0, 0.2]),
    ],
)
def test_draws_follow_the_distribution(name: str, values: list[float], rng: np.random.Generator) -> None:
    """Uniform levels give a sample whose distribution function lies within Kolmogorov's bound of scipy's."""
    draws = distribution(name, ()).at(np.tile(values, (20_000, 1)), rng.random(20_000))
    points = np.unique(draws)
    share = np.searchsorted(np.sort(draws), points, side="right") / len(draws)
    assert np.abs(share - frozen(name, values).cdf(points)).max() < 1.63 / np.sqrt(len(draws))  # 99 percent
    assert draws.mean() == pytest.approx(frozen(name, values).mean(), abs=4 * frozen(name, values).std() / 141)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_each_distribution_has_a_level_of_its_own(name: str, rng: np.random.Generator) -> None:
    """Levels (S, H) are shared by all windows (B, S, H, P), and each is the quantile at that level alone."""
    known = (0.1, 0.5, 0.9)
    output = np.sort(rng.gamma(2.0, size=(3, 4, 2, 3)), axis=-1) + (2.0 if name == "student_t" else 0.1)
    output = output[..., :2] if name in ("normal", "negative_binomial") else output
    draws = rng.random((4, 2))
    family = distribution(name, known)
    together = family.at(output, draws)
    assert together.shape == (3, 4, 2)
    for window, path, step in np.ndindex(3, 4, 2):
        alone = family.quantile(output[window, path, step], draws[path, step : step + 1])
        assert together[window, path, step] == pytest.approx(alone[0])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_results_keep_the_precision_of_the_network(name: str, rng: np.random.Generator) -> None:
    """float32 in, float32 out."""
    output = (np.sort(rng.gamma(2.0, size=(5, 3)), axis=-1) + 2).astype("float32")
    output = output[:, :2] if name in ("normal", "negative_binomial") else output
    family = distribution(name, (0.1, 0.5, 0.9))
    results = family.quantile(output, LEVELS), family.at(output, np.full(5, 0.3)), family.mean(output)
    assert {result.dtype for result in results} == {np.dtype("float32")}


def test_known_quantiles_come_back_as_they_are(rng: np.random.Generator) -> None:
    """At its own levels the distribution of quantiles is what the network said."""
    output = np.sort(rng.normal(size=(6, 4)), axis=-1)
    np.testing.assert_array_equal(
        distribution("quantile", (0.1, 0.3, 0.5, 0.9)).quantile(output, np.array([0.1, 0.3, 0.5, 0.9])), output
    )
    again = distribution("quantile", (0.1, 0.3, 0.5, 0.9)).quantile(output, np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(again, output[:, [0, 2, 3]])


def test_between_known_quantiles_the_line_is_straight() -> None:
    """Half way between the levels .1 and .5 lies half way between their quantiles."""
    family = distribution("quantile", (0.1, 0.5, 0.9))
    np.testing.assert_allclose(family.quantile(np.array([1.0, 3.0, 9.0]), np.array([0.3, 0.6])), [2.0, 4.5])


def test_tails_are_those_of_the_exponential_distribution() -> None:
    """Beyond quantiles that an exponential distribution has, its own quantiles follow; below, mirrored."""
    known = np.array([0.1, 0.5, 0.9])
    right, left = stats.expon(scale=2.0).ppf, lambda level: -stats.expon(scale=2.0).ppf(1 - np.asarray(level))
    family = distribution("quantile", known)
    np.testing.assert_allclose(family.quantile(right(known), np.array([0.95, 0.999])), right([0.95, 0.999]))
    np.testing.assert_allclose(family.quantile(left(known), np.array([0.05, 0.001])), left([0.05, 0.001]))


@pytest.mark.parametrize("known", [(0.1, 0.5, 0.9), (0.05, 0.2, 0.5, 0.6, 0.99), (0.1, 0.2)])
def test_mean_of_quantiles_is_the_integral_of_the_quantile_function(
    known: tuple[float, ...], rng: np.random.Generator
) -> None:
    """Against numerical integration, tails included."""
    output = np.sort(rng.normal(5, 2, len(known)))
    family = distribution("quantile", known)
    expected = integrate.quad(lambda u: float(family.at(output, np.array(u))), 0, 1, points=known, limit=400)[0]
    assert float(family.mean(output)) == pytest.approx(expected, rel=1e-6)


def test_one_quantile_is_the_whole_distribution() -> None:
    """With the median alone every level, every draw and the mean are the median."""
    family, output = distribution("quantile", (0.5,)), np.array([[3.0], [4.0]])
    np.testing.assert_array_equal(family.quantile(output, np.array([0.1, 0.9])), [[3.0, 3.0], [4.0, 4.0]])
    np.testing.assert_array_equal(family.mean(output), [3.0, 4.0])


def test_codes_are_drawn_by_their_probabilities(rng: np.random.Generator) -> None:
    """Shares of draws are the softmax of the logits; the mean is the most probable code."""
    logits = np.array([0.5, 2.0, -30.0, 1.0])
    codes = distribution("categorical", ()).at(np.tile(logits, (20_000, 1)), rng.random(20_000))
    shares = np.bincount(codes.astype(int), minlength=4) / len(codes)
    np.testing.assert_allclose(shares, special.softmax(logits), atol=0.015)
    assert float(distribution("categorical", ()).mean(logits)) == 1.0


def test_codes_stay_within_their_classes() -> None:
    """Levels next to 0 and 1 give a code that exists, also with logits that leave one class only."""
    family = distribution("categorical", ())
    for logits in ([0.0, 1.0, 2.0], [1e4, 0.0, 0.0], [0.0, 0.0, 1e4]):
        codes = family.at(np.tile(logits, (2, 1)).astype("float32"), np.array([1e-12, 1 - 1e-12]))
        assert set(codes.tolist()) <= {0.0, 1.0, 2.0}
    assert family.at(np.array([0.0, 0.0, 1e4]), np.array(1e-12)) == 2.0
