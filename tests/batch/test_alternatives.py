"""Alternatives of what is known ahead: each is the forecast of its values, stored under its name, and never scored."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting import sources
from forecasting.batch.alternatives import alternative_of, check_names
from forecasting.batch.plan import Request
from forecasting.batch.vintages import Absent, Vintage, forecast_alternatives
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.source import FileSource
from forecasting.errors import ConfigError, DataError, SourceError
from forecasting.monitor.live import live_scores
from forecasting.series.clean import clean
from forecasting.storage.store import Store
from tests.batch.conftest import Home, run_here

BESIDE = ["model", "version", "created"]


@pytest.fixture(scope="module")
def original(make_home: Callable[..., Home]) -> Home:
    """Three series; `f` is known ahead for the 4 hours after the last reading, and the ridge has learned from it."""
    home = make_home(series={"freq": "h", "past": ["p"], "future": ["f"]})
    table = sources.read(home.job)
    known = table["ds"] <= table["ds"].max() - pd.Timedelta(hours=4)
    table[["y", "p"]] = table[["y", "p"]].where(known)
    home.store.observations.merge(home.job.name, clean(table, home.job.series).table)
    return home


@pytest.fixture
def place(original: Home, tmp_path: Path) -> Home:
    """A copy of the stored readings; no test here changes the registry."""
    shutil.copytree(original.path / "tables", tmp_path / "tables")
    return original._replace(path=tmp_path, store=Store(tmp_path))


def stored(place: Home) -> pd.DataFrame:
    """The readings of a home."""
    return place.store.observations.read(place.job.name)


def ahead(place: Home, **values: Any) -> pd.DataFrame:
    """The rows after the last readings with other values."""
    table = stored(place)
    return table.loc[table["y"].isna(), ["unique_id", "ds", "f"]].reset_index(drop=True).assign(**values)


def made(place: Home, runner: Any = run_here, **tables: pd.DataFrame) -> dict[str, Vintage | Absent]:
    """The forecasts of the store and of these alternatives."""
    given = [alternative_of(place.store, place.job, name, table) for name, table in tables.items()]
    return forecast_alternatives(place.store, place.registry, place.job, given, request=Request(), runner=runner)


def vintage(found: dict[str, Vintage | Absent], name: str) -> Vintage:
    """One that was made."""
    one = found[name]
    assert isinstance(one, Vintage), one
    return one


def test_an_alternative_is_the_forecast_of_its_values(place: Home) -> None:
    """The numbers of the bundle on the readings with these values after them; `base` is that of the stored ones."""
    found = made(place, high=ahead(place, f=9.0))
    table, bundle = stored(place), open_forecaster(place.bundle)
    other = table.assign(f=table["f"].where(table["y"].notna(), 9.0))
    for name, history in (("base", table), ("high", other)):
        table_of = vintage(found, name).table.drop(columns=[*BESIDE, "scenario"], errors="ignore")
        pd.testing.assert_frame_equal(table_of, bundle.forecast(history))
    assert not np.allclose(vintage(found, "high").table["q0.5"], vintage(found, "base").table["q0.5"])
    assert vintage(found, "high").table["scenario"].unique().tolist() == ["high"]


def test_alternatives_are_stored_under_their_names_apart_from_what_is_scored(place: Home) -> None:
    """Repeated they change nothing, other values under the same name replace them, and readings score the base."""
    for _ in range(2):
        found = made(place, high=ahead(place, f=9.0), low=ahead(place, f=-9.0))
    assert [vintage(found, name).written for name in ("base", "high", "low")] == [0, 0, 0]
    kept = place.store.alternatives
    assert kept.names("buoy") == ["high", "low"]
    first = kept.read("buoy", "high")
    assert len(first) == 12
    assert len(kept.read("buoy", "high", unique_id=first["unique_id"].iloc[0], version=1)) == 4
    assert kept.read("buoy", "high", version=2).empty
    assert kept.read("buoy", "medium").empty

    again = made(place, high=ahead(place, f=7.0))
    assert vintage(again, "high").written == 12
    second = kept.read("buoy", "high")
    assert len(second) == 12
    assert not np.allclose(first["q0.5"], second["q0.5"])
    assert len(kept.read("buoy", "low")) == 12

    assert len(place.store.forecasts.read("buoy")) == 12
    rows = stored(place)
    place.store.observations.merge("buoy", rows[rows["y"].isna()].assign(y=1.0, p=1.0))
    assert live_scores(place.store, "buoy")["count"].item() == 12


def test_what_an_alternative_lacks_stays_as_stored_and_is_said(place: Home) -> None:
    """Steps without a value keep theirs; series that it does not name, or not after their end, have no forecast."""
    rows = ahead(place, f=9.0)
    first, second, _ = sorted(rows["unique_id"].unique())
    steps = rows.groupby("unique_id").cumcount()
    old = rows[rows["unique_id"] == second].assign(ds=lambda part: part["ds"] - pd.Timedelta(days=5))
    found = vintage(made(place, part=pd.concat([rows[(rows["unique_id"] == first) & (steps < 2)], old])), "part")
    assert found.table["unique_id"].unique().tolist() == [first]
    assert found.failures.to_numpy().tolist() == [[second, "part gives nothing after the last reading"]]
    assert [one.kind for one in found.cautions] == ["as_stored"]
    assert "have no f at some of the next 4 steps" in found.cautions[0].message
    table = stored(place)
    history = table.merge(rows[steps < 2].rename(columns={"f": "g"}), on=["unique_id", "ds"], how="left")
    history = history.assign(f=history["g"].fillna(history["f"])).drop(columns="g")
    expected = open_forecaster(place.bundle).forecast(history[history["unique_id"] == first])
    assert np.allclose(found.table["q0.5"], expected["q0.5"])

    strange = vintage(made(place, wide=pd.concat([rows, rows.assign(unique_id="nowhere")])), "wide")
    assert strange.table["unique_id"].nunique() == 3
    assert [one.message for one in strange.cautions] == [
        "1 series are in this alternative and have no readings: nowhere"
    ]


def test_a_job_without_values_of_its_own_still_has_alternatives(place: Home, tmp_path: Path) -> None:
    """The base has its reason; if no forecast can be made at all, every reason is said."""
    table, rows = stored(place), ahead(place, f=9.0)
    place = place._replace(store=Store(tmp_path / "poor"))
    place.store.observations.merge("buoy", table[table["y"].notna()])
    found = made(place, high=rows)
    assert isinstance(found["base"], Absent)
    assert "must be known for the next 4 steps" in found["base"].reason
    assert vintage(found, "high").rows == 12
    with pytest.raises(DataError, match=r"(?s)no forecast can be made:.*base: .*old: none of the 3 series"):
        made(place, old=rows.assign(ds=rows["ds"] - pd.Timedelta(days=5)))


def test_values_without_a_series_are_those_of_every_series(place: Home, tmp_path: Path) -> None:
    """A file of stamps and values alone, in the columns that the source names."""
    rows = ahead(place, f=9.0)
    one = rows[rows["unique_id"] == rows["unique_id"].iloc[0]]
    one.rename(columns={"ds": "when"})[["when", "f"]].to_csv(tmp_path / "high.csv", index=False)
    source = FileSource.model_validate({"path": "x.csv", "columns": {"ds": "when", "unique_id": "id", "y": "value"}})
    table = sources.ahead(place.job.model_copy(update={"source": source}), str(tmp_path / "high.csv"))
    assert "unique_id" not in table
    high, whole = vintage(made(place, high=table), "high").table, vintage(made(place, high=rows), "high")
    assert whole.written == 0
    pd.testing.assert_frame_equal(high.drop(columns="created"), whole.table.drop(columns="created"))

    rows[["unique_id", "ds"]].assign(g=1).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(
        SourceError, match=r"has no column that is known ahead \(f\); its columns are: unique_id, ds, g"
    ):
        sources.ahead(place.job, str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["base"], "base is the forecast from the stored values"),
        (["a", "a"], "two alternatives have one name"),
        (["a\n"], "a name has up to 64 letters"),
        ([str(number) for number in range(21)], "21 alternatives, allowed are 20"),
    ],
)
def test_a_name_that_no_alternative_can_have_is_refused(names: list[str], message: str) -> None:
    """Reserved, repeated, unreadable, too many."""
    with pytest.raises(ConfigError, match=message):
        check_names(names)


def test_values_that_cannot_be_used_are_refused_with_all_reasons(place: Home, plain: Home) -> None:
    """As an ingestion would; and a model that reads nothing known ahead has no alternatives."""
    rows = ahead(place, f=9.0)
    between = pd.concat([rows, rows.assign(ds=rows["ds"] + pd.Timedelta(minutes=7))])
    for wrong, why in ((rows.assign(f=np.inf), "f has infinite values"), (between, "grid")):
        with pytest.raises(DataError, match=f"(?s)the alternative high cannot be used:.*{why}"):
            alternative_of(place.store, place.job, "high", wrong)
    with pytest.raises(ConfigError, match="reads no covariates known ahead"):
        forecast_alternatives(plain.store, plain.registry, plain.job, [])
