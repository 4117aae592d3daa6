"""The study behind `gatecast tune`: on validation alone, resumable, and written as a job that loads."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

from forecasting.config.job import Job, load_job, parse_job
from forecasting.errors import ConfigError, DataError
from forecasting.lifecycle.home import open_home
from forecasting.lifecycle.tuned_job import tune as tune_job
from forecasting.lifecycle.tuned_job import write_tuned
from forecasting.selection import search, tuning
from forecasting.selection.tuned import Tuned
from forecasting.series.folds import Fold
from tests.selection.small import made

# Keras reads its TensorFlow variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

SECONDS = 0.01  # so that a study ends after its least number of trials


class Studied(NamedTuple):
    """A study, and what it was given."""

    job: Job
    table: pd.DataFrame
    fold: Fold
    found: Tuned
    work: Path


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    """One study, in peace."""
    job, table, fold = made()
    work = tmp_path_factory.mktemp("tune")
    return Studied(job, table, fold, tuning.tune(table, job, fold, work, seconds=SECONDS), work)


def figures(found: Tuned) -> pd.DataFrame:
    """What does not depend on the clock."""
    return found.trials.drop(columns="seconds")


def test_networks_stand_beside_the_simple_methods(studied: Studied) -> None:
    """The best come first, on the same windows, and the job has the settings of the best network."""
    trials = studied.found.trials
    assert trials["wql"].is_monotonic_increasing
    assert {"ridge", "seasonal_naive", "theta"} < set(trials["model"])
    best = trials[trials["steps"] > 0].iloc[0]
    assert studied.found.job.model.name == best["model"]
    assert f"context {studied.found.job.window.context}," in best["settings"]


def test_a_complete_study_is_not_searched_again(studied: Studied, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call answers from what the first one kept."""

    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(search, "learn_best", unwanted)
    again = tuning.tune(studied.table, studied.job, studied.fold, studied.work, seconds=SECONDS)
    pd.testing.assert_frame_equal(again.trials, studied.found.trials)
    assert again.job == studied.found.job


def test_a_killed_trial_begins_again(studied: Studied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that were under way are tried, and the first trials are those of a study in peace."""

    class Killed(BaseException):
        pass

    def dying(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(search, "learn_best", dying)
        with pytest.raises(Killed):
            tuning.tune(studied.table, studied.job, studied.fold, tmp_path, seconds=SECONDS)
    again = tuning.tune(studied.table, studied.job, studied.fold, tmp_path, seconds=SECONDS)
    networks = studied.found.trials[studied.found.trials["steps"] > 0]
    assert set(again.trials["settings"]) & set(networks["settings"])
    assert len(again.trials) >= tuning.LEAST_TRIALS + 3


def test_the_backtest_changes_nothing(studied: Studied, tmp_path: Path) -> None:
    """Readings after the first cutoff have no part in any figure."""
    later = studied.table["ds"] > studied.fold.seen_until
    assert later.any()
    changed = studied.table.assign(y=studied.table["y"].mask(later, 1e6))
    again = tuning.tune(changed, studied.job, studied.fold, tmp_path, seconds=SECONDS)
    pd.testing.assert_frame_equal(figures(again), figures(studied.found))


def test_the_best_settings_become_a_job(studied: Studied, tmp_path: Path) -> None:
    """Network, context, season, calendar, and training are those that were found; the rest is the user's."""
    config, output = tmp_path / "small.yaml", tmp_path / "small-tuned.yaml"
    content = {
        "name": "small",
        "source": {"kind": "synthetic"},
        "series": {"freq": "h", "max_gap": 5},
        "window": {"horizon": 6},
        "selection": {"budget": "best"},
        "train": {"weight_decay": 0.01},
        "backtest": {"windows": 10},
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    write_tuned(config, output, studied.found)
    written, best = load_job(output), studied.found.job
    assert written.model == best.model
    assert (written.window.context, written.series.season) == (best.window.context, best.series.season)
    assert written.series.calendar == best.series.calendar
    assert (written.train.steps, written.train.learning_rate) == (best.train.steps, best.train.learning_rate)
    assert (written.series.max_gap, written.train.weight_decay, written.backtest.windows) == (5, 0.01, 10)


def test_what_cannot_be_tuned_is_said(home: Path) -> None:
    """A job without stored readings, and a job of symbols."""
    job, _, _ = made()
    with pytest.raises(DataError, match="small has no stored observations; run gatecast ingest first"):
        tune_job(open_home(), job, 1.0)
    symbols = parse_job(
        {
            "name": "text",
            "source": {"kind": "synthetic"},
            "series": {"freq": "h"},
            "window": {"context": 8, "horizon": 2},
            "model": {"name": "in_step"},
            "head": {"name": "categorical"},
        }
    )
    with pytest.raises(ConfigError, match="text forecasts symbols; tune searches for networks that forecast numbers"):
        tune_job(open_home(), symbols, 1.0)
