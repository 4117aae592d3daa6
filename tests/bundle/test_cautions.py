"""What a forecast stands on is said: short, stale and strange inputs, each in a sentence that names the series."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.cautions import Caution, merged, stale
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.bundle.spec import Spec
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare


@pytest.fixture(scope="module")
def ridge(rich: tuple[pd.DataFrame, Job], tmp_path_factory: pytest.TempPathFactory) -> Forecaster:
    """The ridge of the rich table, open; it reads a context of six hours and every kind of covariate."""
    table, job = rich
    cleaned = clean(table, job.series).table
    data = prepare(cleaned, job, folds(cleaned, job)[0])
    path = tmp_path_factory.mktemp("ridge") / "bundle"
    return open_forecaster(baselines.fit("ridge", data, job, path, origin=Origin()))


@pytest.fixture
def history(rich: tuple[pd.DataFrame, Job]) -> pd.DataFrame:
    """Twelve whole hours of each series, nothing of them unusual, and what is known of the three hours to come."""
    stamps = pd.date_range("2024-03-01", periods=15, freq="h", unit="us")
    parts = [
        pd.DataFrame(
            {"unique_id": pd.array([name] * 15, dtype="str"), "ds": stamps, "y": 10.0 * n, "p": 5.0, "f": 0.5}
        ).assign(label=pd.array(["low"] * 15, dtype="str"), area=area, kind=pd.array([kind] * 15, dtype="str"))
        for n, (name, area, kind) in enumerate([("a", 1.0, "city"), ("b", 2.0, "farm"), ("c", 5.0, "city")], 1)
    ]
    table = pd.concat(parts, ignore_index=True)
    table.loc[table["ds"] > stamps[11], ["y", "p", "label"]] = np.nan
    return table


def kinds(forecaster: Forecaster, table: pd.DataFrame, **asked: Any) -> dict[str, Caution]:
    """The warnings on a forecast, by their kind."""
    return {one.kind: one for one in forecaster.warned(table, **asked)[1]}


def test_nothing_is_said_of_whole_histories(ridge: Forecaster, history: pd.DataFrame) -> None:
    """A warning that always comes is none."""
    assert kinds(ridge, history) == {}


def test_few_readings_are_a_short_context(ridge: Forecaster, history: pd.DataFrame) -> None:
    """Two readings where six are read; three would be half of them."""
    for hours, short in ((2, True), (3, False)):
        since = history["ds"].unique()[12 - hours]
        found = kinds(ridge, history[(history["unique_id"] != "b") | (history["ds"] >= since)])
        assert ("short_context" in found) is short
    assert kinds(ridge, history[history["ds"] >= history["ds"].unique()[10]])["short_context"].series == ("a", "b", "c")


@pytest.mark.parametrize(("column", "value"), [("y", 1e6), ("y", -1e6), ("p", 1e4)])
def test_values_far_outside_are_named_with_their_column(
    ridge: Forecaster, history: pd.DataFrame, column: str, value: float
) -> None:
    """Readings and covariates that the model never met, in either direction."""
    strange = history.copy()
    strange.loc[(strange["unique_id"] == "b") & (strange["ds"] == strange["ds"].unique()[11]), column] = value
    found = kinds(ridge, strange)["out_of_range"]
    assert found.series == ("b",)
    assert f"values of {column} far outside" in found.message


def test_a_series_that_ended_before_the_others_is_stale(ridge: Forecaster, history: pd.DataFrame) -> None:
    """Three steps, the horizon, are no fault; four are one."""
    for hours, old in ((3, False), (4, True)):
        late = history["ds"] > history["ds"].unique()[11 - hours]
        ended = history.assign(y=history["y"].mask((history["unique_id"] == "a") & late))
        assert ("stale" in kinds(ridge, ended)) is old


def test_max_age_counts_to_now(ridge: Forecaster) -> None:
    """A series of last year is stale where the job says how old one may be, and not where it says nothing."""
    ends = np.array(["2024-03-01"], dtype="datetime64[us]")
    assert stale(["a"], ends, ridge.spec) == []
    (found,) = stale(["a"], ends, ridge.spec.model_copy(update={"max_age": 5}))
    assert "ended more than 5 steps before" in found.message


def test_labels_that_the_model_does_not_know_are_named(ridge: Forecaster, history: pd.DataFrame) -> None:
    """Static ones and those of the context."""
    strange = history.assign(kind=history["kind"].mask(history["unique_id"] == "c", "harbor"))
    found = kinds(ridge, strange)["unknown_label"]
    assert (found.series, "kind" in found.what) == (("c",), True)
    odd = (history["unique_id"] == "a") & history["label"].notna()
    assert kinds(ridge, history.assign(label=history["label"].mask(odd, "middle")))["unknown_label"].series == ("a",)


def test_filled_covariates_are_named(ridge: Forecaster, history: pd.DataFrame) -> None:
    """Within the context; what is missing before it was never read. And behind the steps that were asked for."""
    for hour, said in ((11, True), (2, False)):
        lacking = (history["unique_id"] == "b") & (history["ds"] == history["ds"].unique()[hour])
        found = kinds(ridge, history.assign(p=history["p"].mask(lacking)))
        assert ("filled" in found) is said
    near = history[history["ds"] <= history["ds"].unique()[12]]
    assert "behind step 1" in kinds(ridge, near, horizon=1)["filled"].message


def test_warnings_of_shards_become_one() -> None:
    """Numbers add up, ten names are kept."""
    parts = [Caution("stale", "ended", 8, tuple(f"{shard}{n}" for n in range(8))) for shard in "ab"]
    (one,) = merged(parts)
    assert (one.affected, len(one.series)) == (16, 10)
    assert one.message.startswith("16 series ended: a0, ")
    assert one.message.endswith(", …")


def test_old_bundles_know_no_range(make_job: Callable[..., Job], ridge: Forecaster) -> None:
    """A spec without extremes can be read, and says nothing of values."""
    content = ridge.spec.model_dump(mode="json")
    del content["extremes"], content["max_age"], content["missing_ahead"]
    assert Spec.model_validate(content).extremes == ()
