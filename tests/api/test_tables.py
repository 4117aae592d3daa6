"""Tables of any library, under any names, with stamps of any zone: they come in, and go out alike."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import forecasting as fc
from forecasting.api.model import FittedModel, open_model
from forecasting.api.tables import Names, read
from forecasting.config.job import Job
from forecasting.errors import DataError, SourceError


def test_a_table_of_another_library_gives_the_same_forecast_in_that_library(
    model: FittedModel, readings: pd.DataFrame
) -> None:
    """pyarrow in, pyarrow out, with the numbers that pandas gets."""
    answer = model.predict(pa.Table.from_pandas(readings))
    assert isinstance(answer, pa.Table)
    pd.testing.assert_frame_equal(answer.to_pandas(), model.predict(readings), check_dtype=False)


def test_columns_keep_the_names_that_they_came_with(model: FittedModel, readings: pd.DataFrame) -> None:
    """`id_col`, `time_col`, and `target_col` are known at the edge alone."""
    other = {"unique_id": "sensor", "ds": "time", "y": "value"}
    opened = open_model(model.bundle, id_col="sensor", time_col="time", target_col="value")
    answer = opened.predict(readings.rename(columns=other))
    assert answer.columns.tolist()[:2] == ["sensor", "time"]
    pd.testing.assert_frame_equal(answer, model.predict(readings).rename(columns=other))


def test_identifiers_that_are_numbers_come_back_as_numbers(model: FittedModel, readings: pd.DataFrame) -> None:
    """They are texts inside; a join with the table that came still works."""
    answer = model.predict(readings.assign(unique_id=7))
    assert answer["unique_id"].tolist() == [7] * 4


def test_one_series_needs_no_identifier(model: FittedModel, readings: pd.DataFrame) -> None:
    """It is called like the job, and forecast like the same readings with a name."""
    answer = model.predict(readings[["ds", "y"]])
    assert answer["unique_id"].tolist() == ["forecast"] * 4
    np.testing.assert_allclose(answer["stacked"], model.predict(readings)["stacked"], rtol=1e-6)


def test_stamps_come_back_in_their_zone(model: FittedModel, readings: pd.DataFrame) -> None:
    """Readings at noon of Vienna are continued at 13:00 of Vienna, although everything inside is UTC."""
    local = readings.assign(ds=readings["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Vienna"))
    answer = model.predict(local)
    assert answer["ds"].iloc[0] == local["ds"].iloc[-1] + pd.Timedelta(hours=1)
    assert str(answer["ds"].dt.tz) == "Europe/Vienna"


def test_local_stamps_of_a_named_zone_come_back_local(readings: pd.DataFrame, small: Job) -> None:
    """`source.time_zone` says where naive stamps belong; inside they are UTC."""
    source = {"kind": "file", "path": "x.csv", "time_zone": "Europe/Vienna"}
    job = fc.job(freq="h", horizon=4, source=source)
    table, edge, _ = read(readings, job, Names())
    assert table["ds"].iloc[0] == pd.Timestamp("2023-12-31 23:00")
    assert edge.out(table)["ds"].tolist() == readings["ds"].tolist()


def test_texts_are_read_as_a_file_is(small: Job, readings: pd.DataFrame) -> None:
    """Stamps in the layout and numbers in the notation of the job's source; one that is neither is named by its row."""
    source = {"kind": "file", "path": "x.csv", "decimal": ",", "date_format": "%d.%m.%Y %H:%M"}
    job = fc.job(freq="h", horizon=4, source=source)
    texts = {"ds": ["01.02.2024 00:00", "01.02.2024 01:00"], "y": ["1,5", "2,5"]}
    table, _, _ = read(pd.DataFrame(texts), job, Names())
    assert table["y"].tolist() == [1.5, 2.5]
    assert table["ds"].tolist() == [pd.Timestamp("2024-02-01 00:00"), pd.Timestamp("2024-02-01 01:00")]
    with pytest.raises(DataError, match=r"column y: 1 unreadable number.*row 1 'x'"):
        read(pd.DataFrame({**texts, "y": ["1,5", "x"]}), job, Names())


def test_columns_that_the_job_does_not_name_are_named(small: Job, readings: pd.DataFrame) -> None:
    """Nothing is left out in silence."""
    _, _, notes = read(readings.assign(price=1.0), small, Names())
    assert notes == ("the job does not name the column(s) price: left out",)


@pytest.mark.parametrize(
    ("table", "error", "sentence"),
    [
        ([1, 2], DataError, "expected a table of pandas, polars, or pyarrow, got list"),
        (pd.DataFrame({"date": ["2024-01-01"], "y": [1.0]}), SourceError, "the table has no column ds"),
    ],
)
def test_what_is_no_table_is_refused(small: Job, table: Any, error: type[Exception], sentence: str) -> None:
    """With what came and what was expected."""
    with pytest.raises(error, match=sentence):
        fc.fit(table, small)
