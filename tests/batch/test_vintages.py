"""Batch forecasts: what was known then and nothing else, each vintage kept once, under the version that made it."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting import sources
from forecasting.batch.plan import Request
from forecasting.batch.vintages import Absent, Vintage, forecast, forecast_live
from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, parse_job
from forecasting.errors import DataError, RegistryError
from forecasting.evaluation.judging import fit_baselines
from forecasting.monitor.live import live_scores
from forecasting.monitor.score_table import record
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.store import Store

KEYS = ["unique_id", "ds", "cutoff", "version"]


class Place(NamedTuple):
    """A home with stored readings; the ridge is version 1 and live, naive is version 2 and not."""

    job: Job
    table: pd.DataFrame
    bundles: dict[str, Path]
    home: Path
    store: Store
    registry: Registry

    def forecast(self, **named: Any) -> Vintage:
        """A batch forecast of this home."""
        asked = Request(at=named.pop("at", None), horizon=named.pop("horizon", None), shards=named.pop("shards", None))
        return forecast(self.store, self.registry, self.job, request=asked, **named)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Made once; tests copy it. One covariate is known ahead, for 4 hours more than the readings; one is not."""
    home = tmp_path_factory.mktemp("batch") / "home"
    job = parse_job(
        {
            "name": "buoy",
            "source": {"kind": "synthetic", "series": 2, "length": 204, "season": 24, "seed": 1},
            "series": {"freq": "h", "past": ["p"], "future": ["f"]},
            "window": {"context": 24, "horizon": 4},
            "backtest": {"windows": 5},
        }
    )
    table = sources.read(job)
    known = table["ds"] <= table["ds"].max() - pd.Timedelta(hours=4)
    table[["y", "p"]] = table[["y", "p"]].where(known)
    table = clean(table, job.series).table
    fitted = fit_baselines(table, job, folds(table, job), home / "fits", origin=Origin())
    bundles = {entrant.name: entrant.bundles[0] for entrant in fitted}
    store = Store(home)
    store.observations.merge(job.name, table)
    registry = Registry(f"sqlite:///{home / 'mlflow.db'}", home)
    for name in ("ridge", "naive"):
        run = registry.runs.start(job.name, name, {})
        registry.versions.register(job.name, run.run_id, bundles[name], verdict="passed", metrics={})
    registry.aliases.promote(job.name, 1)
    return Place(job, table, bundles, home, store, registry)


@pytest.fixture
def place(original: Place, tmp_path: Path) -> Place:
    """A copy of the stored readings; no test here changes the registry."""
    shutil.copytree(original.home / "tables", tmp_path / "own" / "tables")
    return original._replace(home=tmp_path / "own", store=Store(tmp_path / "own"))


def test_forecast_is_that_of_the_live_bundle(place: Place) -> None:
    """The numbers of the champion's bundle on the stored readings, with model, version and time of creation."""
    before = datetime.now(UTC).replace(tzinfo=None)
    vintage = place.forecast()
    expected = open_forecaster(place.bundles["ridge"]).forecast(place.table)

    pd.testing.assert_frame_equal(vintage.table.drop(columns=["model", "version", "created"]), expected)
    assert (vintage.model, vintage.version, vintage.written) == ("ridge", 1, 8)
    assert vintage.table["model"].unique().tolist() == ["ridge"]
    assert vintage.table["version"].unique().tolist() == [1]
    assert before <= vintage.table["created"].min() <= datetime.now(UTC).replace(tzinfo=None)
    assert vintage.table["cutoff"].unique().tolist() == [place.table.loc[place.table["y"].notna(), "ds"].max()]


def test_vintage_is_stored_exactly_once(place: Place) -> None:
    """Repeated it adds nothing and the first time of creation stays; another version is another vintage."""
    first = place.forecast()
    created = first.table["created"].unique().tolist()
    again = place.forecast()
    other = place.forecast(model="2")
    stored = place.store.forecasts.read("buoy")

    assert (first.written, again.written, other.written) == (8, 0, 8)
    assert (other.model, other.version) == ("naive", 2)
    assert len(stored) == 16
    assert not stored.duplicated(KEYS).any()
    assert stored.loc[stored["version"] == 1, "created"].unique().tolist() == created


def test_forecast_as_of_then_knows_what_was_known_then(place: Place) -> None:
    """Readings and past covariates after the cutoff do not matter; what is known ahead does."""
    at = pd.Timestamp(2020, 1, 5, 7)
    then = place.forecast(at=at)
    known = place.table["ds"] <= at
    ahead = place.table.assign(y=place.table["y"].where(known), p=place.table["p"].where(known))
    expected = open_forecaster(place.bundles["ridge"]).forecast(ahead[ahead["ds"] <= at + pd.Timedelta(hours=4)])

    pd.testing.assert_frame_equal(then.table.drop(columns=["model", "version", "created", "hindcast"]), expected)
    assert then.table["cutoff"].unique().tolist() == [pd.Timestamp(at)]
    assert place.forecast(at=at).written == 0

    later = place.table.loc[~known & place.table["y"].notna(), ["unique_id", "ds", "y", "p", "f"]]
    place.store.observations.merge("buoy", later.assign(y=1e3, p=-1e3))
    changed = place.forecast(at=at).table
    assert np.array_equal(changed["q0.5"], then.table["q0.5"])
    place.store.observations.merge("buoy", later.assign(f=5.0))
    assert not np.allclose(place.forecast(at=at).table["q0.5"], then.table["q0.5"])


def test_a_cutoff_between_two_readings_is_the_one_before(place: Place) -> None:
    """Half an hour after the reading of seven nothing more is known than at seven."""
    table = place.forecast(at=pd.Timestamp(2020, 1, 5, 7, 30)).table
    assert table["cutoff"].unique().tolist() == [pd.Timestamp("2020-01-05 07:00")]
    assert table["ds"].min() == pd.Timestamp("2020-01-05 08:00")


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ({"model": "newest"}, RegistryError, "buoy has no version or alias newest; it has: 2 @challenger, 1 @champion"),
        ({"at": pd.Timestamp(2019, 12, 31)}, DataError, "no reading at or before 2019-12-31 .* is at 2020-01-01"),
    ],
)
def test_forecast_that_cannot_be_made_stores_nothing(
    place: Place, named: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Which versions there are, which time is the first: what to do instead."""
    with pytest.raises(error, match=message):
        place.forecast(**named)
    with pytest.raises(DataError, match="no forecasts of buoy are stored"):
        place.store.forecasts.read("buoy")


def test_a_run_goes_on_where_nothing_can_be_forecast(
    place: Place, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    """No champion, or nothing known ahead: the reason instead of a table; otherwise the forecast."""
    other = place.job.model_copy(update={"name": "other"})
    assert forecast_live(place.store, place.registry, other) == Absent("nothing is live")

    found = forecast_live(place.store, place.registry, place.job)
    assert isinstance(found, Vintage)
    assert found.written == 8

    poor = Store(tmp_path / "poor")
    poor.observations.merge("buoy", place.table[place.table["y"].notna()])
    absent = forecast_live(poor, place.registry, place.job)
    assert isinstance(absent, Absent)
    assert "lack values that must be known for the next 4 steps" in absent.reason


def test_hindcasts_are_marked_and_not_scored(place: Place) -> None:
    """A forecast from a day ago is one of what is known; from the last reading on it is not, whatever `at` says."""
    last = place.table["ds"][place.table["y"].notna()].max()
    place.forecast()
    assert "hindcast" not in place.store.forecasts.columns("buoy")
    place.forecast(at=last - pd.Timedelta(hours=24))
    place.forecast(at=last + pd.Timedelta(hours=1), model="2")
    made = place.store.forecasts.read("buoy")
    marked = made[made["hindcast"].fillna(False).astype(bool)]
    assert set(marked["cutoff"]) == {last - pd.Timedelta(hours=24)}
    live = place.store.forecasts.read("buoy", hindcasts=False)
    assert len(live) == len(made) - len(marked) > 0
    assert set(live["cutoff"]) == {last}
    assert live_scores(place.store, "buoy").empty
    more = place.table[place.table["ds"] > last].assign(y=1.0, p=1.0)
    place.store.observations.merge("buoy", more)
    assert live_scores(place.store, "buoy")["count"].item() == len(live)
    assert set(record(place.store, place.job)["cutoff"]) == {last}


def test_series_that_has_no_later_readings_is_no_hindcast(place: Place) -> None:
    """One series reads on, the other has ended where the forecast begins."""
    last = place.table["ds"][place.table["y"].notna()].max()
    name = sorted(place.table["unique_id"].unique())[0]
    row = place.table[(place.table["unique_id"] == name) & (place.table["ds"] == last + pd.Timedelta(hours=1))]
    place.store.observations.merge("buoy", row.assign(y=1.0, p=1.0))
    made = place.forecast(at=last).table
    assert made.groupby("unique_id")["hindcast"].all().to_dict() == {
        one: one == name for one in place.table["unique_id"].unique()
    }
