"""The search `auto`: one bundle of several members, the same for the same seed, blind to what comes later."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.forecaster import open_forecaster
from forecasting.columns import records
from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.selection import search
from forecasting.selection.auto import fit_auto
from forecasting.series.folds import Fold
from forecasting.training.records import Fitted
from tests.selection.small import made

# Keras reads its TensorFlow variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


class Searched(NamedTuple):
    """A search, and what it was given."""

    job: Job
    table: pd.DataFrame
    fold: Fold
    fitted: Fitted
    work: Path


@pytest.fixture(scope="module")
def searched(short: None, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """One search, in peace."""
    job, table, fold = made()
    work = tmp_path_factory.mktemp("auto")
    return Searched(job, table, fold, fit_auto(table, job, fold, work, origin=Origin()), work)


def test_members_have_shares_that_sum_to_one(searched: Searched) -> None:
    """The spec names them, and so does the table of what was tried."""
    spec = open_bundle(searched.fitted.bundle).spec
    tried = searched.fitted.tried
    assert tried is not None
    assert sum(one.weight for one in spec.members) == pytest.approx(1.0)
    assert {"ridge", "seasonal_naive", "theta", "segrnn"} == set(tried["model"])
    assert tried["wql"].is_monotonic_increasing
    assert {one.title for one in spec.members} == set(tried.loc[tried["weight"] > 0, "settings"])


def test_each_network_of_a_search_logs_its_gradients(searched: Searched, database: Path, tmp_path: Path) -> None:
    """Its nested run in MLflow has the norm of the last check and the share that was clipped; baselines have none."""
    home = Path(shutil.copytree(database.parent, tmp_path / "home"))
    registry, tried = Registry(f"sqlite:///{home / 'mlflow.db'}", home), searched.fitted.tried
    assert tried is not None
    run = registry.runs.start("small", "key", {}).run_id
    registry.runs.nest(run, records(tried))

    history = json.loads(next(searched.work.glob("search/*/history.json")).read_text())
    checks = [row for row in history if "gradient_norm" in row]
    with connect(registry.runs.tracking_uri) as client:
        experiment = client.get_run(run).info.experiment_id
        nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run}'")
    found = {one.data.params["model"]: one.data.metrics for one in nested}
    assert found["segrnn"]["gradient_norm"] == pytest.approx(checks[-1]["gradient_norm"], rel=1e-9)
    assert found["segrnn"]["clipped"] == pytest.approx(sum(row["clipped"] for row in checks) / len(checks))
    assert found["segrnn"]["gradient_norm"] > 1e-4
    assert not {"gradient_norm", "clipped"} & {*found["ridge"], *found["theta"]}


def test_the_bundle_answers_like_any_other(searched: Searched) -> None:
    """It forecasts both series over the horizon, in their units, and its intervals are ordered."""
    forecast = open_forecaster(searched.fitted.bundle).forecast(searched.table)
    assert len(forecast) == 12
    by_series = forecast.groupby("unique_id")["q0.5"].mean()
    assert by_series["a"] == pytest.approx(10, abs=1.5)
    assert by_series["b"] == pytest.approx(70, abs=10)
    assert (forecast["q0.1"] <= forecast["q0.5"]).all()
    assert (forecast["q0.5"] <= forecast["q0.9"]).all()


def test_what_comes_after_the_first_cutoff_changes_nothing(searched: Searched, tmp_path: Path) -> None:
    """Members, weights, and every byte of the graph stay as they were."""
    changed = searched.table.assign(y=searched.table["y"].where(searched.table["ds"] <= searched.fold.seen_until, 1e6))
    assert not changed["y"].equals(searched.table["y"])
    again = fit_auto(changed, searched.job, searched.fold, tmp_path, origin=Origin())
    first, second = (open_bundle(one.bundle) for one in (searched.fitted, again))
    assert second.spec.members == first.spec.members
    assert second.manifest.weights == first.manifest.weights


def test_a_killed_search_goes_on(searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trained is recalled, and the end is the same."""

    class Killed(BaseException):
        pass

    def dying(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("forecasting.selection.auto.bagged", dying)
        with pytest.raises(Killed):
            fit_auto(searched.table, searched.job, searched.fold, tmp_path, origin=Origin())
    records = list(tmp_path.glob("search/*/member/record.json"))
    assert records
    assert json.loads(records[0].read_text())["steps"] >= 0

    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(search, "learn_best", unwanted)
    again = fit_auto(searched.table, searched.job, searched.fold, tmp_path, origin=Origin())
    assert open_bundle(again.bundle).manifest.weights == open_bundle(searched.fitted.bundle).manifest.weights


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"head": {"name": "normal"}}, "head.name: auto averages quantiles"),
        ({"train": {"epochs": 3}}, "train.epochs: auto plans its own training, got 3"),
        ({"window": {"horizon": 6, "block": 2, "context": 12}}, "window.block: auto gives the whole horizon at once"),
    ],
)
def test_what_auto_cannot_do_is_refused(sections: dict[str, Any], sentence: str, make_job: Callable[..., Job]) -> None:
    """Each with the key, what came, and what to do."""
    with pytest.raises(ConfigError, match=sentence):
        make_job(model="auto", **sections)
