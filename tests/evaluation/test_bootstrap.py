"""The block bootstrap against a plain loop, and its bounds against their nominal coverage."""

from dataclasses import replace
from math import ceil, sqrt

import numpy as np
import pytest
from scipy import stats

from forecasting.errors import ConfigError, GatecastError
from forecasting.evaluation.bootstrap import better
from forecasting.evaluation.metrics import Scored


def make(error: np.ndarray, *, series: int = 1, model: str = "net") -> Scored:
    """Windows at hourly cutoffs, all actuals 10, whose point forecasts are wrong by `error` (C * series, H)."""
    cutoffs = np.datetime64("2024-01-01", "us") + np.arange(len(error) // series) * np.timedelta64(1, "h")
    return Scored(
        model=model,
        unique_id=np.tile([f"s{i}" for i in range(series)], len(cutoffs)),
        cutoff=np.repeat(cutoffs, series),
        y=np.full(error.shape, 10.0),
        forecast=10.0 + error[..., None],
        quantiles=(0.5,),
        scale=np.ones(len(error)),
        squared_scale=np.ones(len(error)),
    )


def loop_bounds(ours: np.ndarray, theirs: np.ndarray, length: int, confidence: float) -> tuple[float, float, float]:
    """Bounds for losses (C,) of two models: block by block, row by row."""
    count = len(ours)
    blocks = ceil(count / length)
    starts = np.random.default_rng(1).integers(0, count, (2000, blocks))
    samples = []
    for row in starts:
        drawn = [(start + offset) % count for start in row for offset in range(length)][:count]
        samples.append(1 - sum(ours[i] for i in drawn) / sum(theirs[i] for i in drawn))
    mean = 1 - ours.sum() / theirs.sum()
    student = stats.t.ppf(confidence, count // length - 1) / stats.norm.ppf(confidence)
    stretch = sqrt(count / (count - length)) * student
    low, high = (mean + stretch * (np.quantile(samples, share) - mean) for share in (1 - confidence, confidence))
    return mean, low, high


@pytest.mark.parametrize(
    ("cutoffs", "horizon", "step", "length"),
    [
        (30, 1, 1, 8),  # twice the cube root of 30, rounded up
        (30, 6, 1, 12),  # twice the 6 cutoffs that forecast the same date
        (30, 6, 4, 8),  # 2 cutoffs overlap: the cube root rules
        (31, 20, 1, 15),  # two blocks at least
        (3, 2, 1, 1),
    ],
)
def test_bounds_match_a_plain_loop(cutoffs: int, horizon: int, step: int, length: int) -> None:
    """The prefix sums draw exactly the blocks that a loop over a circle draws, with the length that is documented."""
    random = np.random.default_rng(3)
    ours, theirs = random.gamma(2, 1, (2, cutoffs, horizon))
    found = better(make(ours), make(theirs), metric="mae", confidence=0.9, step=step)
    expected = loop_bounds(ours.sum(axis=1), theirs.sum(axis=1), length, 0.9)
    assert tuple(found) == pytest.approx(expected, rel=1e-9)


def test_series_of_a_cutoff_stay_together() -> None:
    """Three series give the same bounds as one series with their summed losses, in any order of windows."""
    random = np.random.default_rng(3)
    ours, theirs = random.gamma(2, 1, (2, 30 * 3, 2))
    shuffled = random.permutation(90)
    mine = make(ours, series=3)
    names = ("unique_id", "cutoff", "y", "forecast", "scale", "squared_scale")
    mine = replace(mine, **{name: getattr(mine, name)[shuffled] for name in names})

    found = better(mine, make(theirs, series=3), metric="mae", confidence=0.8, step=1)

    by_cutoff = (losses.reshape(30, 3, 2).sum(axis=(1, 2)) for losses in (ours, theirs))
    assert tuple(found) == pytest.approx(loop_bounds(*by_cutoff, 8, 0.8), rel=1e-9)


def test_one_cutoff_resamples_the_series() -> None:
    """Many series at one date: each series is a block of its own."""
    random = np.random.default_rng(3)
    ours, theirs = random.gamma(2, 1, (2, 40, 3))
    order = np.argsort([f"s{i}" for i in range(40)])
    found = better(make(ours, series=40), make(theirs, series=40), metric="mae", confidence=0.9, step=1)
    expected = loop_bounds(ours.sum(axis=1)[order], theirs.sum(axis=1)[order], 1, 0.9)
    assert tuple(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("cutoffs", "correlation", "horizon"),
    [(50, 0.5, 1), (200, 0.5, 1), (20, 0.0, 6), (60, 0.0, 40)],
)
def test_bounds_hold_about_as_often_as_they_promise(cutoffs: int, correlation: float, horizon: int) -> None:
    """Simulated losses, AR(1) or from forecasts that overlap: the 90 % bound lies below the truth in about 90 %."""
    random = np.random.default_rng(11)
    hits = [
        better(*simulate(random, cutoffs, correlation, horizon), metric="mae", confidence=0.9, step=1).low <= 0.05
        for _ in range(200)
    ]
    assert 0.83 <= np.mean(hits) <= 0.97


def simulate(random: np.random.Generator, cutoffs: int, correlation: float, horizon: int) -> tuple[Scored, Scored]:
    """Two models whose mean absolute errors are 9.5 and 10 with correlated noise in common and of their own."""
    noise = random.normal(size=(3, cutoffs + 100 + horizon))
    for t in range(1, noise.shape[1]):
        noise[:, t] += correlation * noise[:, t - 1]
    shared = np.lib.stride_tricks.sliding_window_view(noise, horizon, axis=1)[:, 100 : 100 + cutoffs]  # (3, C, H)
    common, own, other = shared
    return make(9.5 + 0.5 * common + 0.5 * own), make(10 + 0.5 * common + 0.5 * other, model="other")


def test_root_metrics_are_compared_after_the_root() -> None:
    """Half the error is 50 % better in RMSE, 75 % better in MSE."""
    error = np.random.default_rng(0).normal(size=(20, 3))
    for metric, share in [("rmse", 0.5), ("mse", 0.75), ("mae", 0.5)]:
        found = better(make(0.5 * error), make(error), metric=metric, confidence=0.9, step=1)
        assert tuple(found) == pytest.approx((share, share, share))


def test_a_model_is_not_better_than_itself() -> None:
    """A tie is exactly 0, bounds included."""
    same = make(np.random.default_rng(0).normal(size=(20, 3)))
    assert tuple(better(same, same, metric="mae", confidence=0.9, step=1)) == (0, 0, 0)


def test_bounds_are_unknown_where_nothing_can_be_resampled() -> None:
    """A single window, or a forecast that is not finite: the bounds are NaN, which no rule lets pass."""
    one, two = make(np.array([[1.0]])), make(np.array([[2.0]]))
    assert better(one, two, metric="mae", confidence=0.9, step=1).mean == pytest.approx(0.5)
    assert np.isnan(better(one, two, metric="mae", confidence=0.9, step=1).low)
    broken = make(np.array([[1.0], [np.nan], [1.0]]))
    whole = make(np.ones((3, 1)))
    for pair in ((broken, whole), (whole, broken)):
        assert np.isnan(better(*pair, metric="mae", confidence=0.9, step=1)).all()


def test_windows_that_differ_are_refused() -> None:
    """Only what was scored on the same windows, actuals and quantiles can be compared; the error says what differs."""
    scored = make(np.ones((6, 2)))

    def refuses(message: str, **changes: object) -> None:
        other = replace(scored, model="other", **changes)  # type: ignore[arg-type]
        with pytest.raises(GatecastError, match=f"net and other cannot be compared: {message}"):
            better(scored, other, metric="mae", confidence=0.9, step=1)

    refuses(
        "2 window.s. were scored for only one", cutoff=np.append(scored.cutoff[:-1], np.datetime64("2030-01-01", "us"))
    )
    refuses("other was scored twice", cutoff=np.append(scored.cutoff[:-1], scored.cutoff[0]))
    refuses("their actuals differ", y=scored.y + 1)
    refuses("their quantiles or horizons differ", quantiles=(0.1, 0.5), forecast=np.repeat(scored.forecast, 2, axis=-1))
    with pytest.raises(ConfigError, match="cannot be ranked by 'width'"):
        better(scored, scored, metric="width", confidence=0.9, step=1)
