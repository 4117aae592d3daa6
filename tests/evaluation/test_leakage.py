"""The leak audit is quiet on honest code and finds each leak that is planted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle import quantile_forecaster as serving
from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.evaluation import baselines
from forecasting.evaluation.leakage import Moved, audit, perturb_future
from forecasting.series import panel, prepare
from forecasting.series import windows as window
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.scaling import Scaler

World = tuple[pd.DataFrame, Job, list[Path]]
CUTOFF = pd.Timestamp("2024-01-06 16:00")  # the first of the rich job


@pytest.fixture
def world(rich: tuple[pd.DataFrame, Job], tmp_path: Path) -> World:
    """A raw table whose series `a` has no reading at the first cutoff, its job, and two fitted baselines."""
    table, job = rich[0].copy(), rich[1]
    at_cutoff = (table["unique_id"] == "a") & (table["ds"] == CUTOFF)
    assert at_cutoff.sum() == 1
    table.loc[at_cutoff, ["y", "p"]] = np.nan
    cleaned = clean(table, job.series).table
    fold = folds(cleaned, job)[0]
    assert fold.cutoffs[0] == CUTOFF
    data = prepare.prepare(cleaned, job, fold)
    paths = [baselines.fit(n, data, job, tmp_path / n, origin=Origin()) for n in ("seasonal_naive", "ridge")]
    return table, job, paths


def moved(findings: list[Moved]) -> set[str]:
    """What the audit complains of."""
    return {finding.what for finding in findings if finding.moved}


def test_honest_code_passes(world: World) -> None:
    """With past, known-ahead, static and label covariates, a calendar, gaps and series that end early."""
    findings = audit(*world)
    assert moved(findings) == set()
    assert {finding.what for finding in findings} == {
        *("cleaned table", "features and vocabularies", "scaler", "calendar and grid"),
        *("training windows", "validation windows", "ridge fitted anew"),
        *("forecasts of seasonal_naive", "forecasts of ridge"),
    }


def test_the_future_is_really_another_one(world: World) -> None:
    """Everything up to the cutoff and everything known ahead stays; later readings, covariates, labels do not."""
    table, job, _ = world
    changed = perturb_future(table, CUTOFF, job)
    later = table["ds"] > CUTOFF
    pd.testing.assert_frame_equal(changed[~later], table[~later])
    known = ["unique_id", "ds", "f", "area", "kind"]
    pd.testing.assert_frame_equal(changed[known], table[known])
    for name in ("y", "p", "label"):
        assert (changed.loc[later, name] != table.loc[later, name]).all()
        assert 0 < changed.loc[later, name].isna().mean() < 0.3


def test_rows_that_repeat_each_other_do_not_begin_to_contradict(world: World) -> None:
    """Raw tables may hold a row twice: the audit's other future is as clean as the first."""
    table, job, forecasters = world
    twice = pd.concat([table, table[table["ds"] > CUTOFF][:9]], ignore_index=True)
    assert moved(audit(twice, job, forecasters)) == set()


def fitted_on_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scaler sees the whole table that a fold was given, not its training span."""
    honest_past, honest_fit = prepare.past, prepare.fit
    tables: list[pd.DataFrame] = []

    def remember(table: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
        tables.append(table)
        return honest_past(table, until)

    def leak(_: pd.DataFrame, series: Series) -> Scaler:
        return honest_fit(max(tables[-2:], key=len), series)

    monkeypatch.setattr(prepare, "past", remember)
    monkeypatch.setattr(prepare, "fit", leak)


def never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The split cuts nothing off."""
    monkeypatch.setattr(prepare, "past", lambda table, until: table)


def filled_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing values take the next reading instead of the last."""
    honest = panel._fill_forward

    def leak(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        return honest(values[::-1], offsets[-1] - offsets[::-1])[::-1]

    monkeypatch.setattr(panel, "_fill_forward", leak)


def centred_average(monkeypatch: pytest.MonkeyPatch) -> None:
    """A past covariate becomes its average over the hours before and after."""
    honest = panel._covariates

    def leak(*arguments: object) -> list[np.ndarray]:
        channels = honest(*arguments)  # type: ignore[arg-type]
        return [pd.Series(c).rolling(3, center=True, min_periods=1).mean().to_numpy() for c in channels]

    monkeypatch.setattr(panel, "_covariates", leak)


def one_step_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows read one row more than their cutoff."""
    honest = window.Windows.batch

    def leak(self: window.Windows, indices: np.ndarray) -> window.Batch:
        batch, later = (
            honest(self, indices),
            window.at_rows(self.panel, self.rows(indices) + 1, context=self.context, horizon=self.horizon - 1),
        )
        return {**batch, "past": honest(later, np.arange(len(indices)))["past"]}

    monkeypatch.setattr(window.Windows, "batch", leak)


def last_reading_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasts of the past are scaled by what the whole table holds."""
    honest = serving.build

    def leak(grid: pd.DataFrame, *arguments: object, **options: object) -> panel.Panel:
        scaled = grid.assign(y=grid["y"] - grid.groupby("unique_id")["y"].transform("last"))
        return honest(scaled, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(serving, "build", leak)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (fitted_on_everything, {"scaler", "training windows", "validation windows", "ridge fitted anew"}),
        (never_cut, {"features and vocabularies", "scaler", "training windows", "validation windows"}),
        (filled_backwards, {"forecasts of ridge"}),
        (centred_average, {"forecasts of ridge"}),
        (one_step_ahead, {"forecasts of ridge"}),
        (last_reading_of_all, {"forecasts of ridge", "forecasts of seasonal_naive"}),
    ],
)
def test_planted_leaks_are_found(
    plant: Callable[[pytest.MonkeyPatch], None], found: set[str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever they are, something moves and says what."""
    plant(monkeypatch)
    assert found <= moved(audit(*world))
