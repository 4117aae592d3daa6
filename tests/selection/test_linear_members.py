"""Members that are linear maps: what they read, and which of them is chosen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import recalibrate
from forecasting.config.job import Job
from forecasting.evaluation.baselines import ridge
from forecasting.selection.auto import fit_auto
from forecasting.selection.linear_members import contexts_of, ridge_fit, theta_member
from forecasting.selection.members import watch
from forecasting.selection.space import choose_space
from forecasting.selection.theta import SMOOTHINGS, theta
from forecasting.series.folds import Fold, past
from forecasting.series.prepare import prepare
from tests.selection.small import made


def reading(longest: int) -> tuple[Job, pd.DataFrame, Fold]:
    """The small job, whose context is 24, with members that may read so many steps."""
    job, table, fold = made()
    selection = job.selection.model_copy(update={"longest_context": longest})
    return job.model_copy(update={"selection": selection}), table, fold


@pytest.mark.parametrize(("longest", "expected"), [(0, [24]), (10, [24]), (40, [24, 40]), (500, [24, 48, 72])])
def test_contexts_are_multiples_up_to_the_longest(longest: int, expected: list[int]) -> None:
    """Never less than the job's own."""
    job, table, fold = reading(longest)
    data = prepare(table, job, fold)
    assert contexts_of(job, data, watch(data), fold) == expected


def test_no_member_reads_further_than_the_youngest_series_goes_back() -> None:
    """The first validation window of a series that begins late has few steps behind it."""
    job, table, fold = reading(72)
    late = (table["unique_id"] == "b") & (table["ds"] < pd.Timestamp(fold.fit_until) - pd.Timedelta(hours=55))
    data = prepare(table[~late], job, fold)
    watched = watch(data)
    rows = watched.windows.rows(np.arange(len(watched.windows)))
    offsets = watched.windows.panel.offsets
    assert watched.reach == min(row - max(offsets[offsets <= row]) + 1 for row in rows) < 60
    assert contexts_of(job, data, watched, fold)[-1] == watched.reach


def test_no_member_reads_across_a_long_gap(tmp_path: Path) -> None:
    """Two days without readings end 40 hours before the validation span: 24 steps can be read in it, 48 cannot.

    Such an ensemble can still be calibrated anew, as a monitor does.
    """
    job, table, fold = reading(72)
    begin, end = (pd.Timestamp(fold.fit_until) - pd.Timedelta(hours=hours) for hours in (88, 40))
    gap = table["ds"].between(begin, end)
    data = prepare(table[~gap], job, fold)
    assert contexts_of(job, data, watch(data), fold) == [24]
    bundle = fit_auto(table[~gap], job, fold, tmp_path / "work", origin=Origin()).bundle
    known = past(table[~gap], fold.seen_until)
    made = recalibrate(open_bundle(bundle), known, fold.fit_until, tmp_path / "again")
    assert open_bundle(made).spec.context == 24


def test_theta_is_the_one_with_the_least_error_on_the_validation_windows() -> None:
    """Of every context, smoothing, and season, each by its recursion on each window; a wave of a day has a season."""
    job, table, fold = reading(72)
    data = prepare(table, job, fold)
    watched = watch(data)
    found = theta_member([24, 48, 72], data, watched, 24, job.head.quantiles)
    errors = {}
    for context in (24, 48, 72):
        windows = watched.reading(context)
        past = windows.batch(np.arange(len(windows)))["past"][..., 0].astype(float)
        for season in (1, 24):
            for smoothing in SMOOTHINGS:
                made_of = past @ theta(context, job.window.horizon, season, smoothing)
                units = made_of * watched.scale[:, :, 0] + watched.location[:, :, 0]
                errors[context, season, smoothing] = np.nanmean(np.abs(watched.y - units))
    context, season, smoothing = min(errors, key=lambda key: errors[key])
    assert found.context == context > 24
    assert season == 24
    assert found.title == f"theta, smoothing {smoothing:g}, context {context}"


def test_a_longer_ridge_is_chosen_by_the_same_windows() -> None:
    """It learns from windows with its own context before the validation span, and is judged at the same cutoffs."""
    job, table, fold = reading(72)
    data = prepare(table, job, fold)
    usual, longer = ridge_fit(job, data, fold, 24), ridge_fit(job, data, fold, 48)
    cutoffs = [one.valid.panel.stamps[one.valid.rows(np.arange(len(one.valid)))] for one in (usual, longer)]
    np.testing.assert_array_equal(*cutoffs)
    last = longer.train.panel.stamps[longer.train.rows(np.arange(len(longer.train))) + job.window.horizon].max()
    assert last <= np.datetime64(fold.fit_until)
    assert ridge(longer).context == 48


def test_what_comes_after_the_first_cutoff_changes_no_member() -> None:
    """Titles, graphs, and spreads stay."""
    job, table, fold = reading(72)
    changed = table.assign(y=table["y"].where(table["ds"] <= fold.seen_until, 1e6))
    first, second = (choose_space(one, job, fold).linear() for one in (table, changed))
    assert [one.title for one in first] == [one.title for one in second]
    assert [one.content for one in first] == [one.content for one in second]
    assert [one.context for one in first[:2]] == [24, 48]
