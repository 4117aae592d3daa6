"""Every series without a usual forecast is kept with its reason: none, never read, or from an old reading on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting import sources
from forecasting.errors import DataError
from forecasting.runtime.workspace import Workspace
from forecasting.series.clean import clean
from forecasting.series.validate import validate
from forecasting.storage import ingestion
from forecasting.storage.remarks import Remark, recall
from tests.batch.conftest import Home


def one(name: str, forecast: bool, reason: str) -> Remark:
    """A remark in one line."""
    return Remark(unique_id=name, forecast=forecast, reason=reason)


def test_every_series_without_a_usual_forecast_has_its_reason(place: Home) -> None:
    """One that was never read, one without a reading in the store, one that ended a day before the others."""
    raw = sources.read(place.job)
    names = sorted(raw["unique_id"].unique())
    last = raw["ds"].max()
    old = (raw["unique_id"] == names[0]) & (raw["ds"] > last - pd.Timedelta(days=1))
    never = raw[raw["unique_id"] == names[1]].assign(unique_id="never", y=np.nan)
    table = pd.concat([raw[~old], never], ignore_index=True)
    series = ingestion.any_length(place.job.series)
    cleaned = clean(table, series)
    assert cleaned.left_out == {"never": "no reading"}
    ingestion.record(place.store.workspace, place.job.name, validate(table, series), cleaned)
    place.store.observations.merge(place.job.name, cleaned.table)
    hollow = raw[raw["unique_id"] == names[2]].assign(unique_id="hollow", y=np.nan).tail(3)
    place.store.observations.merge(place.job.name, hollow)

    vintage = place.forecast()
    kept = recall(place.store.workspace, place.job.name)
    assert kept is not None
    assert kept.version == 1
    ended = last - pd.Timedelta(days=1)
    assert kept.series == (
        one("hollow", False, "no reading"),
        one("never", False, "left out of the last ingestion: no reading"),
        one(names[0], True, f"stale: its last reading is at {ended}, and it goes on from there"),
    )
    assert vintage.remarks == [kept.series[0], kept.series[2]]

    place.forecast(at=pd.Timestamp(ended))
    assert recall(place.store.workspace, place.job.name) == kept


def test_remarks_are_kept_where_nothing_can_be_forecast(place: Home, tmp_path: Path) -> None:
    """Then every series has one; a file that cannot be read is none."""
    raw = sources.read(place.job)
    place.store.observations.merge(place.job.name, raw.assign(y=np.nan).groupby("unique_id").tail(2))
    assert recall(place.store.workspace, place.job.name) is None
    with pytest.raises(DataError, match="none of the 3 series can be forecast"):
        place.forecast()
    kept = recall(place.store.workspace, place.job.name)
    assert kept is not None
    assert [(remark.forecast, remark.reason) for remark in kept.series] == [(False, "no reading")] * 3
    path = Workspace(tmp_path / "other").remarks("buoy")
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    assert recall(Workspace(tmp_path / "other"), "buoy") is None
