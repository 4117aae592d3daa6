"""The sequential test: how often it alarms by chance, how soon it sees a change, and when an alarm ends."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from forecasting.monitor.detector import detect

Floats = npt.NDArray[np.float64]

# Values of at least 0 whose mean, given all before, is exactly 1: the worst case that is still no change.
STREAMS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "exponential": lambda draw, count: draw.exponential(1, count),
    "lognormal": lambda draw, count: np.exp(draw.normal(-0.5, 1, count)),
    "all or nothing": lambda draw, count: 4.0 * (draw.random(count) < 0.25),
    "steady": lambda draw, count: np.maximum(draw.normal(1, 0.2, count), 0),
    "calm and storm": lambda draw, count: (
        draw.exponential(1, count) ** (1 + (np.arange(count) // 50) % 2) / (1 + (np.arange(count) // 50) % 2)
    ),
}
SPREADS = {
    "exponential": 1.0,
    "lognormal": np.sqrt(np.e - 1),
    "all or nothing": np.sqrt(3.0),
    "steady": 0.2,
    "calm and storm": np.sqrt(5.0),  # E X⁴ / 4 - 1 of an exponential
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("stream", STREAMS)
def test_chance_alarms_once_in_a_threshold_or_less(stream: str, known: bool) -> None:
    """200 streams of 100 values at a threshold of 100: no more first alarms than 200, give or take chance.

    An average run length of at least 100 allows for one alarm in 100 values: per stream a mean of 1, and the share of
    streams with any is at most 1; what is asked for here is the rate per value that was watched.
    """
    draw = np.random.default_rng(1)
    spread = SPREADS[stream] if known else np.nan
    watched = first = 0
    for _ in range(200):
        values = STREAMS[stream](draw, 100)
        found = detect(values, np.full(100, spread), 100.0)
        watched += 100 if found.since is None else found.since + 1
        first += found.broken or found.since is not None
    assert first <= watched / 100 + 3 * np.sqrt(watched / 100)
    assert first > 0  # a test that never alarms is none


@pytest.mark.parametrize(("times", "most"), [(1.5, 12), (2.0, 5), (4.0, 3)])
def test_larger_values_are_seen_sooner(times: float, most: int) -> None:
    """With a spread of 0.2, and a threshold as of daily looks at eight tests: median delays of 50 streams."""
    draw, delays = np.random.default_rng(2), []
    for _ in range(50):
        values = np.concatenate([draw.normal(1, 0.2, 60) / 1.1, times * draw.normal(1, 0.2, 60) / 1.1])
        found = next(stop for stop in range(61, 121) if detect(values[:stop], np.full(stop, 0.2), 2920.0).broken)
        delays.append(found - 60)
    assert np.median(delays) <= most


def test_power_grows_as_values_come() -> None:
    """A rise by a quarter, which no single value shows, is seen in the end."""
    values = np.abs(np.random.default_rng(3).normal(1.25, 0.5, 200))
    assert not detect(values[:5], np.full(5, 0.5), 2920.0).broken
    assert detect(values, np.full(200, 0.5), 2920.0).broken


def test_alarm_lasts_until_the_mean_is_back() -> None:
    """It keeps the date of its first value while the change lasts, and ends after a week below 1 on average."""
    bad, good = np.full(30, 3.0), np.full(10, 0.8)
    values = np.concatenate([np.ones(20), bad, good])
    nothing = np.full(60, np.nan)
    found = detect(values[:50], nothing[:50], 1000.0)
    assert found.since is not None
    assert 20 < found.since < 30
    assert detect(values[:53], nothing[:53], 1000.0).since == found.since
    assert detect(values, nothing, 1000.0).since is None
    assert detect(values[:30], nothing[:30], 1e9).since is None


def test_evidence_of_a_value_is_the_bet_on_it() -> None:
    """By hand: one value of 3 and its spread of 0.5, bets of a quarter, a half, all, and two on its square of 16."""
    found = detect(np.array([3.0]), np.array([0.5]), 1e9)
    assert found.evidence == pytest.approx(np.mean([1.5, 2.0, 3.0, 1 + 0.2 * 15, 1 + 0.6 * 15]))
    assert detect(np.array([3.0]), np.array([np.nan]), 1e9).evidence == pytest.approx(np.mean([1.5, 2, 3, 1, 1]))
    two = detect(np.array([3.0, 0.0]), np.full(2, np.nan), 1e9)
    assert two.evidence == pytest.approx(np.mean([2.5 * 0.75, 3 * 0.5, 0.0, 2.0, 2.0]))
