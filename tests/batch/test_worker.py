"""Shards: the same forecasts as those of the whole table at once, and a bad series harms no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting import sources
from forecasting.bundle.forecaster import open_forecaster
from forecasting.columns import HINDCAST
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import clean
from forecasting.storage import reading as scan
from forecasting.storage.store import Store

MADE = ["model", "version", "created"]
COVARIATES = {"past": ["p"], "future": ["f"], "static": ["s", "k"], "categorical": ["k"]}
JOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bounds": {"lower": -1.2, "upper": 1.2},
    "filled": {"gaps": "fill"},
    "covariates": COVARIATES,
    "covariates filled": {**COVARIATES, "gaps": "fill"},
    "months": {"freq": "MS", "calendar": ["month"]},
    "weeks": {"freq": "W-WED", "past": ["p"]},
}


def wild(job: Job, seed: int) -> pd.DataFrame:
    """Nine series: whole, ended long ago, short, with gaps here and there, without last readings."""
    draw = np.random.default_rng(seed)
    source = job.source.model_copy(update={"series": 9, "seed": seed})
    table = sources.read(job.model_copy(update={"source": source}))
    parts = []
    for number, (_, series) in enumerate(table.groupby("unique_id")):
        part = series.reset_index(drop=True)
        if number in (2, 3):
            part = part[: int(draw.integers(60, 200))]
        if number in (4, 8):
            part = part[-int(draw.integers(3, 40)) :]
        if number > 4:
            holes = draw.random(len(part)) < draw.choice([0.02, 0.3, 0.7])
            part = part.assign(y=part["y"].mask(holes))
            if "p" in part:
                part = part.assign(p=part["p"].mask(draw.random(len(part)) < 0.3))
        if job.series.future:
            part = part.assign(y=part["y"].where(np.arange(len(part)) < len(part) - 4))
        parts.append(part)
    return clean(pd.concat(parts, ignore_index=True), job.series).table


@pytest.fixture(scope="module", params=JOBS)
def fitted(request: pytest.FixtureRequest, make_home: Callable[..., Any]) -> Any:
    """A home of each kind of job."""
    series = {"freq": "h", **JOBS[request.param]}
    season = {"freq": series["freq"], "season": 12}
    return make_home(series=series, source={"kind": "synthetic", "series": 3, "length": 260, "seed": 1, **season})


@pytest.mark.parametrize("seed", [1, 2])
def test_shards_forecast_what_the_whole_history_forecasts(fitted: Any, seed: int, tmp_path: Path) -> None:
    """To the last bit, in the same order, with the same types; now and as of then."""
    place = fitted._replace(path=tmp_path, store=Store(tmp_path))
    place.store.observations.merge("buoy", wild(place.job, seed))
    history = place.store.observations.read("buoy")
    whole = open_forecaster(place.bundle)
    for shards in (1, 4):
        found = place.forecast(shards=shards)
        assert_frame_equal(found.table.drop(columns=MADE), whole.forecast(history), check_exact=True)
        assert found.failures.empty
    at = history["ds"].min() + (history["ds"].max() - history["ds"].min()) * 0.6
    known = history["ds"] <= at
    hidden = {name: history[name].where(known) for name in ("y", "p") if name in history}
    then = history.assign(**hidden) if place.job.series.future else history[known]
    asof = place.forecast(at=at, shards=3).table
    assert_frame_equal(asof.drop(columns=[*MADE, HINDCAST]), whole.forecast(then), check_exact=True)
    read_on = history.loc[~known & history["y"].notna(), "unique_id"].unique()
    assert asof[HINDCAST].tolist() == asof["unique_id"].isin(read_on).tolist()


def test_a_longer_horizon_is_reached_in_shards_too(plain: Any, tmp_path: Path) -> None:
    """The model goes on from its own forecasts; fewer steps are cut."""
    place = plain._replace(path=tmp_path, store=Store(tmp_path))
    place.store.observations.merge("buoy", wild(place.job, 1))
    for horizon in (2, 9):
        found = place.forecast(horizon=horizon, shards=3).table.drop(columns=MADE)
        assert_frame_equal(found, place.expected(horizon=horizon), check_exact=True)


def test_only_what_a_context_needs_is_read(
    place: Any, make_table: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of long histories the last two contexts; of a series that has ended before, all that it has."""
    long = make_table({name: np.sin(np.arange(5000)) for name in "abcd"})
    ended = (long["unique_id"] == "c") & (long["ds"] > long["ds"].min() + pd.Timedelta(days=30))
    place.store.observations.merge("buoy", long[~ended].reset_index(drop=True))
    rows, read = [], scan.scan

    def counted(*args: Any) -> Any:
        table = read(*args)
        rows.append(len(table))
        return table

    monkeypatch.setattr("forecasting.batch.histories.scan", counted)
    assert place.forecast(shards=1).failures.empty
    assert rows == [3 * 2 * 24, 30 * 24 + 1]


def test_bad_series_are_reported_and_the_others_forecast(place: Any, make_table: Callable[..., pd.DataFrame]) -> None:
    """Off the grid, infinite, without a reading: a reason each; all other forecasts are what they would be."""
    good = make_table({name: np.sin(np.arange(100.0)) for name in ("a", "c", "e", "g")})
    bad = make_table({name: np.cos(np.arange(100.0)) for name in ("b", "d", "f")})
    bad.loc[(bad["unique_id"] == "b") & (bad.index % 100 > 90), "ds"] += pd.Timedelta(minutes=7)
    bad.loc[(bad["unique_id"] == "d") & (bad.index % 100 == 95), "y"] = np.inf
    bad.loc[bad["unique_id"] == "f", "y"] = np.nan
    place.store.observations.merge("buoy", pd.concat([good, bad], ignore_index=True))
    found = place.forecast(shards=2)
    assert_frame_equal(found.table.drop(columns=MADE), open_forecaster(place.bundle).forecast(good), check_exact=True)
    reasons = dict(found.failures.itertuples(index=False))
    assert list(reasons) == ["b", "d", "f"]
    assert "off the grid of h" in reasons["b"]
    assert "infinite" in reasons["d"]
    assert reasons["f"] == "no reading"
    assert found.written == 16
    assert place.forecast(shards=2).written == 0


def test_forecasts_that_are_no_numbers_are_not_stored(place: Any) -> None:
    """A reading that single precision cannot hold makes every forecast from it infinite."""
    table = sources.read(place.job)
    table.loc[table.groupby("unique_id").tail(1).index[1:], "y"] = 1e300
    place.store.observations.merge("buoy", table)
    with np.errstate(over="ignore", invalid="ignore"):
        found = place.forecast()
    assert found.table["unique_id"].unique().tolist() == ["buoy-0"]
    assert found.failures.to_dict("list") == {
        "unique_id": ["buoy-1", "buoy-2"],
        "reason": ["forecast is not finite"] * 2,
    }
    assert np.isfinite(place.store.forecasts.read("buoy")["q0.5"]).all()


def test_where_no_series_can_be_forecast_nothing_is_stored(place: Any, make_table: Callable[..., pd.DataFrame]) -> None:
    """All of them with their reasons, in one error."""
    table = make_table({"a": np.full(30, np.nan), "b": np.full(30, np.inf)})
    place.store.observations.merge("buoy", table)
    with pytest.raises(DataError, match=r"none of the 2 series can be forecast:\n  - a: no reading\n  - b: .*infinite"):
        place.forecast(shards=2)
    with pytest.raises(DataError, match="no forecasts of buoy are stored"):
        place.store.forecasts.read("buoy")
