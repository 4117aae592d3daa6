"""What a fit may see: nothing after `seen_until` is looked at, nothing is learned after `fit_until`."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import Prepared, prepare
from forecasting.series.windows import Windows


@pytest.fixture
def world(rich: tuple[pd.DataFrame, Job]) -> tuple[pd.DataFrame, Job, Fold]:
    """The clean table of every kind of covariate, its job, and its fold."""
    table, job = rich
    cleaned = clean(table, job.series).table
    return cleaned, job, folds(cleaned, job)[0]


def changed_after(table: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Every value of the rows after `moment` is another one; some are missing, one label is new."""
    changed, draw = table.copy(), np.random.default_rng(3)
    later = (table["ds"] > moment).to_numpy()
    assert later.any()
    for name in ("y", "p", "f"):
        changed.loc[later, name] = draw.normal(50, 9, later.sum())
    changed.loc[later & (draw.random(len(table)) < 0.2), "y"] = np.nan
    changed.loc[later, ["label", "kind"]] = "new"
    return changed


def same(one: Windows, other: Windows) -> bool:
    """Whether two sets of windows hold the same inputs and targets."""
    if len(one) != len(other):
        return False
    indices = np.arange(len(one))
    a, b = one.batch(indices), other.batch(indices)
    targets = np.array_equal(one.targets(indices), other.targets(indices), equal_nan=True)
    return targets and all(np.array_equal(a[name], b[name]) for name in a)


def test_nothing_after_what_was_seen_matters(world: tuple[pd.DataFrame, Job, Fold]) -> None:
    """Not even whether those rows exist."""
    table, job, fold = world
    first = prepare(table, job, fold)
    for other in (changed_after(table, fold.seen_until), table[table["ds"] <= fold.seen_until]):
        again = prepare(other, job, fold)
        pd.testing.assert_frame_equal(again.seen, first.seen)
        assert (again.features, again.scaler) == (first.features, first.scaler)
        assert same(again.train, first.train)
        assert same(again.valid, first.valid)


def test_nothing_is_learned_from_the_validation_span(world: tuple[pd.DataFrame, Job, Fold]) -> None:
    """Another validation span changes the validation windows and nothing else."""
    table, job, fold = world
    first, again = prepare(table, job, fold), prepare(changed_after(table, fold.fit_until), job, fold)
    assert (again.features, again.scaler) == (first.features, first.scaler)
    assert same(again.train, first.train)
    assert not same(again.valid, first.valid)


def test_the_training_span_does_matter(world: tuple[pd.DataFrame, Job, Fold]) -> None:
    """The comparisons above can fail: one reading before `fit_until` moves scaler and windows."""
    table, job, fold = world
    changed = table.copy()
    changed.loc[changed.index[changed["y"].notna() & (changed["ds"] < fold.fit_until)][5], "y"] += 1.0
    first, again = prepare(table, job, fold), prepare(changed, job, fold)
    assert again.scaler != first.scaler
    assert not same(again.train, first.train)


def test_targets_of_training_and_validation_meet_at_the_border(world: tuple[pd.DataFrame, Job, Fold]) -> None:
    """Training targets end at `fit_until`, validation targets lie after it and end at `seen_until`."""
    table, job, fold = world
    data = prepare(table, job, fold)
    train, valid = _cutoffs(data, "train"), _cutoffs(data, "valid")
    horizon = pd.Timedelta(job.window.horizon, "h")
    assert train.max() == fold.fit_until - horizon
    assert valid.min() == fold.fit_until
    assert valid.max() == fold.seen_until - horizon


def _cutoffs(data: Prepared, span: str) -> pd.DatetimeIndex:
    windows: Windows = getattr(data, span)
    return pd.DatetimeIndex(windows.panel.stamps[windows.rows(np.arange(len(windows)))])


def test_spans_without_a_window_are_refused(
    make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]
) -> None:
    """Long enough in rows, but every context has too few readings: one sentence with the figures."""
    window = {"context": 6, "horizon": 3, "min_observed": 0.9}
    job = make_job({"max_gap": 0}, window=window, train={"validation": 10}, backtest={"windows": 5})
    table = make_table({"a": np.where(np.arange(60) % 2 == 0, 1.0, np.nan)})
    with pytest.raises(DataError, match=r"the training span holds no window of 6 \+ 3 steps with 90% .* more than 0"):
        prepare(table, job, folds(table, job)[0])


def test_a_reading_far_from_all_others_is_named_where_the_history_is_too_short(
    make_job: Callable[..., Job], make_table: Callable[..., pd.DataFrame]
) -> None:
    """One row in 2034 after a month: not only "bring more data", but which row it is and how far away."""
    job = make_job({"freq": "D"}, backtest={"windows": 20})
    frame = pd.concat([make_table({"a": range(30)}, "D"), make_table({"a": [1.0]}, "D", "2034-05-30")])
    table = clean(frame.reset_index(drop=True), job.series).table
    with pytest.raises(DataError, match=r"too short.*a has a reading at 2034-05-30 00:00:00, 3,773 steps of D after"):
        folds(table, job)


def test_a_frequency_that_does_not_fit_is_named_where_no_window_is_left(
    make_job: Callable[..., Job], make_table: Callable[..., pd.DataFrame]
) -> None:
    """Hourly readings under 15min: a context of which a quarter is read is no matter of more data."""
    job = make_job({"freq": "15min"}, backtest={"windows": 2})
    table = clean(make_table({"a": range(200)}), job.series).table
    with pytest.raises(DataError, match=r"most readings lie 4 steps of 15min apart: series\.freq: h would fit"):
        prepare(table, job, folds(table, job)[0])
