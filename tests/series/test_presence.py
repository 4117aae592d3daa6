"""Cutoffs and validation are counted in windows that exist, back from each series' own end where they end apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.evaluation import baselines
from forecasting.evaluation.backtest import backtest, find_origins
from forecasting.evaluation.leakage import audit
from forecasting.series.clean import clean
from forecasting.series.folds import folds, past
from forecasting.series.moments import Ends, steps_between
from forecasting.series.prepare import prepare

Tables = Callable[..., pd.DataFrame]
Jobs = Callable[..., Job]

NAN = np.nan


def river(length: int = 1500) -> np.ndarray:
    """A daily gauge that was out for seven months twice, the second time close to its end."""
    y = 5 + np.sin(2 * np.pi * np.arange(length) / 365) + np.random.default_rng(1).normal(0, 0.1, length)
    y[700:910], y[1220:1430] = NAN, NAN
    return y


def test_a_gauge_with_long_outages_has_its_validation_and_cutoffs(make_table: Tables, make_job: Jobs) -> None:
    """Sixty cutoffs and a validation of 100 days reach behind the outage, and hold as many windows as without it."""
    plan = {"windows": 60, "step": 1}
    job = make_job({"freq": "D"}, window={"context": 30, "horizon": 7}, backtest=plan, train={"validation": 100})
    table = clean(make_table({"gauge": river()}, "D"), job.series).table
    (fold,) = folds(table, job)
    start = pd.Timestamp("2024-01-01")
    at = (fold.cutoffs - start).days.to_numpy()
    assert len(at) == 60
    # half of a context of 30 days is read again from day 1444 on; the last day with a whole horizon is 1492
    late, early = at[at >= 1430], at[at < 1430]
    assert late.tolist() == list(range(1444, 1493))
    # before the outage, a cutoff needs one reading in its horizon: day 1219 is the last one that is read
    assert early.tolist() == list(range(1219 - len(early), 1219))
    data = prepare(table, job, fold)
    assert len(data.valid) == 100 - 7 + 1
    assert (fold.seen_until - start).days == early[0]
    assert (fold.fit_until - start).days == early[0] - 100
    assert len(find_origins(table, job, (fold,)).cutoff) == 60


def test_validation_reaches_behind_an_outage(make_table: Tables, make_job: Jobs) -> None:
    """The span before the first cutoff is an outage: the windows that exist lie before it."""
    y = np.arange(400.0)
    y[250:340] = NAN
    job = make_job(backtest={"windows": 20}, window={"context": 12, "horizon": 3}, train={"validation": 30})
    table = clean(make_table({"a": y}), job.series).table
    (fold,) = folds(table, job)
    first = int((fold.cutoffs[0] - table["ds"].iloc[0]) / pd.Timedelta(hours=1))
    assert first == 400 - 3 - 20
    data = prepare(table, job, fold)
    assert len(data.valid) == 30 - 3 + 1
    # 377 - 3 - 351 + 1 windows after the outage (whose first context is whole at 351), the others before day 250
    after = 377 - 3 - 351 + 1
    assert int((fold.fit_until - table["ds"].iloc[0]) / pd.Timedelta(hours=1)) == 250 - 3 - (28 - after)


@pytest.fixture
def apart(make_table: Tables, make_job: Jobs) -> tuple[pd.DataFrame, Job]:
    """Three series that end weeks apart, of which each has cutoffs of its own."""
    draw = np.random.default_rng(2)
    table = make_table({name: draw.normal(size=length) for name, length in {"a": 400, "b": 150, "c": 260}.items()})
    return table, make_job(
        {"calendar": ["hour"]}, backtest={"windows": 5, "step": 2, "cutoffs": "each"}, train={"validation": 20}
    )


def test_every_series_is_judged_before_its_own_end(apart: tuple[pd.DataFrame, Job]) -> None:
    """All three have five cutoffs, the last a horizon of three steps before their last reading."""
    table, job = apart
    (fold,) = folds(table, job)
    origins = find_origins(table, job, (fold,))
    ends = table.groupby("unique_id")["ds"].max()
    hour = pd.Timedelta(hours=1)
    for name, end in ends.items():
        mine = sorted((end - pd.DatetimeIndex(origins.cutoff[origins.unique_id == name])) / hour)
        assert mine == [3, 5, 7, 9, 11]


def test_a_fit_sees_no_series_after_its_own_first_cutoff(apart: tuple[pd.DataFrame, Job]) -> None:
    """Other readings there change neither windows nor scaler; one reading before does."""
    table, job = apart
    (fold,) = folds(table, job)
    own = table["unique_id"].map(fold.at(fold.seen_until))
    changed = table.assign(y=table["y"].mask(table["ds"] > own, 1e6))
    assert (changed["y"] == 1e6).sum() == 3 * 11
    first, again = prepare(table, job, fold), prepare(changed, job, fold)
    assert first.scaler == again.scaler
    assert first.seen.equals(again.seen)
    assert len(first.valid) == 3 * (20 - 3 + 1)
    touched = table.assign(y=table["y"].mask(table["ds"] == own, 1e6))
    assert not first.seen.equals(prepare(touched, job, fold).seen)


def test_models_are_backtested_at_each_series_own_cutoffs(apart: tuple[pd.DataFrame, Job], tmp_path: Path) -> None:
    """Naive repeats the reading at the cutoff of each series, and the leak audit finds nothing."""
    table, job = apart
    (fold,) = folds(table, job)
    bundle = baselines.fit("naive", prepare(table, job, fold), job, tmp_path / "naive", origin=Origin())
    origins = find_origins(table, job, (fold,))
    scored = backtest(table, origins, [bundle], "naive").scored
    known = table.set_index(["unique_id", "ds"])["y"]
    expected = known.loc[list(zip(scored.unique_id, scored.cutoff, strict=True))].to_numpy()
    np.testing.assert_allclose(scored.point[:, 0], expected, rtol=1e-5)
    assert [finding for finding in audit(table, job, [bundle]) if finding.moved] == []


def test_on_a_calendar_the_same_series_are_judged_together(apart: tuple[pd.DataFrame, Job], make_job: Jobs) -> None:
    """Only the series that ends last reaches the cutoffs: what `each` is for."""
    table = apart[0]
    together = make_job(backtest={"windows": 5, "step": 2}, train={"validation": 20})
    assert set(find_origins(table, together, folds(table, together)).unique_id) == {"a"}


@pytest.mark.parametrize(("freq", "last"), [("ME", "2024-02-29"), ("B", "2024-03-04"), ("h", "2024-03-04 05:00")])
def test_own_stamps_lie_as_many_steps_before_the_own_end(freq: str, last: str) -> None:
    """On calendars, too: months have other lengths, weekends no business day."""
    grid = pd.date_range(end=last, periods=30, freq=freq)
    ends = Ends(pd.Series({"a": grid[-1], "b": grid[-9]}), freq)
    found = ends.at(grid[-4])
    assert found.to_dict() == {"a": grid[-4], "b": grid[-12]}
    assert steps_between(grid[-4], grid[-1], freq) == 3
    assert steps_between(grid[-1], grid[-4], freq) == -3


def test_what_a_series_without_an_end_has_is_never_past(make_table: Tables) -> None:
    """A series that a moment does not know is not known at it."""
    table = make_table({"a": [1, 2], "b": [3, 4]})
    assert past(table, pd.Series({"a": pd.Timestamp("2024-01-01")}))["y"].tolist() == [1]


def test_layouts_are_judged_at_the_same_stamps(make_job: Jobs) -> None:
    """Frames exist at one stamp."""
    with pytest.raises(ConfigError, match=r"backtest\.cutoffs: symbols and layouts"):
        make_job({"layout": "line"}, backtest={"cutoffs": "each"})
