"""p-values of readings, the false alarms that they make in a year, and the faults that they find."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from forecasting.insight.anomalies import JUDGED, AlarmRule, conformal, join, judge, normal_scores, outer_chance

LEVELS = np.array([0.1, 0.5, 0.9])
EDGE = 1.2815515655446004  # the normal quantile of 0.9
HOURS = 24 * 365
WARM = 2000  # hours before anybody counts
RULE = AlarmRule(alpha=1 / 730, window=24, memory=5000)  # one alarm a month
START = pd.Timestamp("2024-01-01")


def history() -> pd.DataFrame:
    """Nothing was judged before."""
    return pd.DataFrame({name: pd.Series(dtype="float64") for name in ("unique_id", "ds", "y", *JUDGED)})


def stream(seed: int, noise: str, memory: float, hours: int = WARM + HOURS) -> pd.DataFrame:
    """A series with a season and an autoregression, forecast once a day with the quantiles that its noise has."""
    draw = np.random.default_rng(seed)
    kinds = {"normal": stats.norm(), "heavy": stats.t(3), "skew": stats.expon(loc=-1)}
    shocks = kinds[noise].rvs((hours + 24, 1), random_state=draw)[:, 0]
    ahead = np.cumsum(kinds[noise].rvs((20_000, 24), random_state=draw) * memory ** np.arange(24), axis=1)
    offsets = np.quantile(ahead, LEVELS, axis=0).T  # (24, Q)
    errors = np.zeros(hours)
    for hour in range(1, hours):
        errors[hour] = memory * errors[hour - 1] + shocks[hour]
    hour = np.arange(hours)
    season = 3 * np.sin(2 * np.pi * hour / 24)
    step = hour % 24
    known = np.where(hour >= 24, errors[np.maximum(hour - step - 1, 0)], 0.0)
    forecast = (season + known * memory ** (step + 1))[:, None] + offsets[step]
    table = pd.DataFrame({"unique_id": "a", "ds": START + pd.to_timedelta(hour, unit="h"), "y": season + errors})
    return table.assign(forecast=list(forecast), outer=0.1)


def judged(table: pd.DataFrame, rule: AlarmRule = RULE) -> pd.DataFrame:
    """The readings judged by their forecasts."""
    z = normal_scores(table["y"].to_numpy(), np.stack([*table["forecast"]]), LEVELS)
    return judge(table.drop(columns="forecast").assign(z=z), history(), rule)


def events(found: pd.DataFrame, rule: AlarmRule = RULE) -> pd.DataFrame:
    """The events after the first weeks."""
    alarms = found[(found["chance"] <= rule.alpha) & (found["ds"] >= START + pd.Timedelta(hours=WARM))]
    hours = (alarms["ds"] - START) // pd.Timedelta(hours=1)
    return join(alarms.assign(index=hours), pd.DataFrame(columns=["unique_id"]), rule.window)


def test_scores_are_linear_between_quantiles() -> None:
    """By hand: on a quantile, halfway between two, and beyond the outer ones with the slope of each side."""
    forecast = np.array([[0.0, 10.0, 30.0]] * 6)
    found = normal_scores(np.array([10.0, 5.0, 20.0, 30.0, 50.0, -10.0]), forecast, LEVELS)
    assert found == pytest.approx([0, -EDGE / 2, EDGE / 2, EDGE, 2 * EDGE, -2 * EDGE])


def test_scores_of_normal_quantiles_are_those_of_the_distribution() -> None:
    """With the quantiles of a normal distribution, the score is (y - mean) / deviation, wherever y is."""
    y = np.linspace(-30, 40, 71)
    quantiles = np.array([stats.norm(5, 3).ppf(LEVELS)] * 71)
    assert normal_scores(y, quantiles, LEVELS) == pytest.approx((y - 5) / 3)


def test_scores_of_degenerate_forecasts() -> None:
    """No width: on it 0, off it as far as can be; one side without width takes the other's; one quantile: unknown."""
    forecast = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 2.0], [np.nan, 1.0, np.nan], [0.0, np.nan, 2.0]])
    found = normal_scores(np.array([1.0, 2.0, -1.0, 1.0, 1.0]), forecast, LEVELS)
    assert found[[0, 1, 4]] == pytest.approx([0, 1000, 0])
    assert found[2] == pytest.approx(-EDGE - 1 / (2 / (2 * EDGE)))
    assert np.isnan(found[3])


def test_chance_by_quantiles_alone() -> None:
    """Inside the interval that of the normal distribution; outside Laplace's: halved as often as its tail says."""
    z, level = np.array([0.0, 0.5, EDGE, -2 * EDGE]), np.full(4, 0.1)
    laplace = 0.1 * np.exp(-np.log(5))  # b = q / ln(0.5 / 0.1), so one more q is a factor of 5
    assert outer_chance(z, level) == pytest.approx([1.0, 2 * stats.norm.sf(0.5), 0.2, 2 * laplace])


def test_conformal_p_values_by_hand() -> None:
    """Rank / (n + 1), ties counted against the reading; beyond all of them smaller, the further the smaller."""
    reference = np.array([1.0, 2.0, 3.0, 3.0])
    assert conformal(np.array([0.5, 1.0, 2.5, 3.0]), reference) == pytest.approx([5 / 5, 5 / 5, 3 / 5, 3 / 5])
    beyond = conformal(np.array([3.0001, 6.0, 12.0]), reference)
    assert beyond[0] == pytest.approx(1 / 5, rel=1e-3)
    gamma = np.mean(np.log(reference) - np.log(1.0))
    assert beyond[1:] == pytest.approx(np.array([2.0, 4.0]) ** (-1 / gamma) / 5)
    counts = conformal(np.array([0.0, 1.0, 2.0, 4.0]), np.zeros(9), doubling=True)
    assert counts == pytest.approx([1.0, 0.1, 0.05, 0.0125])


@pytest.mark.parametrize("distribution", [stats.norm(), stats.expon(), stats.t(2)], ids=["normal", "exponential", "t"])
def test_p_values_are_uniform_on_exchangeable_scores(distribution: stats.rv_continuous) -> None:
    """Kolmogorov and Smirnov find nothing, and in the tail, where alarms are, they are not too small."""
    draw = np.random.default_rng(1)
    found = np.array(
        [conformal(scores[-1:], scores[:-1])[0] for scores in np.abs(distribution.rvs((4000, 501), random_state=draw))]
    )
    assert stats.kstest(found, "uniform").pvalue > 0.01
    for alpha in (0.01, 0.002, 0.001):  # 1 / 501 is the smallest rank: the last one is read from the tail
        assert (found <= alpha).mean() <= alpha + 3 * np.sqrt(alpha / len(found))


@pytest.mark.parametrize(("noise", "memory"), [("normal", 0.0), ("normal", 0.9), ("heavy", 0.5), ("skew", 0.5)])
def test_false_alarms_of_a_year_are_within_the_setting(noise: str, memory: float) -> None:
    """One a month is twelve a year: three series without a fault have no more on average, and not none either."""
    counts = [len(events(judged(stream(seed, noise, memory)))) for seed in range(3)]
    assert 1 <= np.mean(counts) <= 12
    assert max(counts) <= 12 + 2 * np.sqrt(12)


def planted(kind: str) -> pd.DataFrame:
    """A stream with a fault in hour 6000."""
    table = stream(7, "normal", 0.5, hours=6500)
    y = table["y"].to_numpy().copy()
    if kind == "spike":
        y[6000] += 10
    elif kind == "flat":
        y[6000:6030] = y[6000]
    else:
        y[6000:6100] += 3
    return table.assign(y=y)


@pytest.mark.parametrize("kind", ["spike", "flat", "level"])
def test_planted_fault_is_one_event(kind: str) -> None:
    """A spike at once, a value that stays within hours, and a level within half a day; it is one event, by its name."""
    found = events(judged(planted(kind)))
    fault = START + pd.Timedelta(hours=6000)
    mine = found[(found["start"] >= fault) & (found["start"] <= fault + pd.Timedelta(hours=12))]
    assert len(mine) == 1
    assert mine["kind"].iloc[0] in ({"spike"} if kind == "spike" else {kind, "spike"} if kind == "level" else {"flat"})
    assert mine["chance"].iloc[0] < RULE.alpha / 10


def test_one_fault_does_not_hide_the_next() -> None:
    """The readings of a fault are none to measure others by: a second one, a week later and smaller, is found, too."""
    table = planted("spike")
    y = table["y"].to_numpy().copy()
    y[6000:6010] += 40
    y[6200] += 8
    found = events(judged(table.assign(y=y)))
    assert (found["start"] == START + pd.Timedelta(hours=6200)).any()


def test_new_level_becomes_usual() -> None:
    """A shift for good is an event that ends: after a few days its readings are what others are measured by."""
    table = stream(7, "normal", 0.0, hours=7000)
    found = judged(table.assign(y=table["y"] + np.where(np.arange(7000) >= 6000, 30.0, 0.0)))
    late = found[found["ds"] > START + pd.Timedelta(hours=6200)]
    assert (late["chance"] <= RULE.alpha).mean() < 0.01


def test_parts_give_what_the_whole_gives() -> None:
    """Judged day by day, with what was judged before as history, every reading gets the same p-value."""
    table = stream(3, "normal", 0.5, hours=480)
    z = normal_scores(table["y"].to_numpy(), np.stack([*table["forecast"]]), LEVELS)
    plain = table.drop(columns="forecast").assign(z=z)
    whole, parts = judge(plain, history(), RULE), history()
    for day in range(20):
        new = judge(plain.iloc[24 * day : 24 * (day + 1)], parts, RULE)
        parts = new if parts.empty else pd.concat([parts, new], ignore_index=True)
    pd.testing.assert_frame_equal(parts[[*whole.columns]], whole, check_dtype=False)


def test_alarms_close_together_are_one_event() -> None:
    """By hand: two alarms within the gap, one beyond it, and one that continues an event of before."""
    stamps = START + pd.to_timedelta([5, 7, 20], unit="h")
    alarms = pd.DataFrame({"unique_id": "a", "ds": stamps, "index": [5, 7, 20], "chance": [1e-3, 1e-4, 1e-3]})
    before = pd.DataFrame(
        [{"unique_id": "a", "start": START, "end": START, "last": 2, "alarms": 1, "chance": 1e-5, "told": True}]
    )
    found = join(alarms, before, 3)
    assert found["start"].to_list() == [START, START + pd.Timedelta(hours=20)]
    assert found["end"].to_list() == [stamps[1], stamps[2]]
    assert found["alarms"].to_list() == [3, 1]
    assert found["chance"].to_list() == [1e-5, 1e-3]
    assert bool(found["told"].iloc[0])
