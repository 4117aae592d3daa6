"""POST /v1/forecast: the numbers of the forecaster itself; for everything that is wrong one code and one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.config.job import Job
from forecasting.config.settings import ServeSettings
from forecasting.serve.requests import ForecastRequest, query_of

PATH = "/v1/forecast"
HEADERS = {"content-type": "application/json"}
SECRET = "s3cr3t-what-came"


@pytest.fixture(scope="session")
def forecaster(stocked: Path) -> Forecaster:
    """The champion of `buoy`."""
    return open_forecaster(stocked / "cache" / "buoy" / "1")


@pytest.fixture(scope="session")
def rich_forecaster(stocked: Path) -> Forecaster:
    """The champion of `farm`, with every kind of covariate."""
    return open_forecaster(stocked / "cache" / "farm" / "1")


@pytest.fixture(scope="session")
def ask(client: Any, columns: Callable[[pd.DataFrame], dict[str, list[Any]]]) -> Callable[..., httpx.Response]:
    """Asks for the forecast of a table."""

    def call(table: pd.DataFrame, **more: Any) -> httpx.Response:
        response: httpx.Response = client.post(PATH, {"name": "buoy", "columns": columns(table), **more})
        return response

    return call


def tabled(response: httpx.Response) -> pd.DataFrame:
    """The answer as a forecast table."""
    assert response.status_code == 200, response.text
    content = response.json()
    table = pd.DataFrame(content["columns"] if "columns" in content else content["records"])
    stamps = {name: table[name].astype("datetime64[us]") for name in ("ds", "cutoff")}
    return table.assign(**stamps).astype({"unique_id": "str"})


def refused(response: httpx.Response, status: int, code: str, text: str) -> None:
    """One code, one sentence that says what is wrong, and nothing of what came."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "details"}
    assert error["code"] == code
    assert text in "; ".join([error["message"], *error["details"]])
    assert SECRET not in response.text
    assert "Traceback" not in response.text


def test_forecast_is_the_forecasters(ask: Any, forecaster: Forecaster, history: Callable[..., pd.DataFrame]) -> None:
    """The same rows, stamps and numbers as without a service, and who made them."""
    table = history("a", "b", rows=20)
    response = ask(table)
    pd.testing.assert_frame_equal(tabled(response), forecaster.forecast(table), rtol=1e-6)
    assert response.json()["model"] == {"name": "buoy", "version": 1, "kind": "drift", "baseline": True, "coverage": {}}


def test_records_are_columns_by_row(
    client: Any, ask: Any, columns: Callable[..., Any], history: Callable[..., pd.DataFrame]
) -> None:
    """Both shapes of a request give the same forecast, answered in the shape that was asked or wished for."""
    table = history("a")
    rows = [dict(zip(columns(table), row, strict=True)) for row in zip(*columns(table).values(), strict=True)]
    by_row = client.post(PATH, {"name": "buoy", "records": rows})
    assert isinstance(by_row.json()["records"], list)
    pd.testing.assert_frame_equal(tabled(by_row), tabled(ask(table)))
    assert "records" in ask(table, answer="records").json()


@pytest.mark.parametrize("damage", ["none", "gap", "shuffled"])
def test_series_come_back_in_the_order_in_which_they_came(
    ask: Any, history: Callable[..., pd.DataFrame], damage: str
) -> None:
    """Whichever way the history takes inside."""
    table = history("c", "a", "b", rows=20)
    table = table.drop(index=[3]) if damage == "gap" else table
    table = table.iloc[np.random.default_rng(1).permutation(len(table))] if damage == "shuffled" else table
    assert list(tabled(ask(table))["unique_id"].unique()) == list(table["unique_id"].unique())


def test_fewer_steps_are_the_first_ones(ask: Any, history: Callable[..., pd.DataFrame]) -> None:
    """`h` cuts the horizon."""
    table = history("a", "b")
    whole = tabled(ask(table))
    pd.testing.assert_frame_equal(tabled(ask(table, h=2)), whole[whole["step"] <= 2].reset_index(drop=True))


def test_levels_and_quantiles_name_the_columns(
    ask: Any, forecaster: Forecaster, history: Callable[..., pd.DataFrame]
) -> None:
    """80 percent lies between 0.1 and 0.9; the median is always there; the numbers are the forecaster's."""
    table = history("a")
    given = tabled(ask(table, level=[80, 50]))
    assert list(given.columns[4:]) == ["q0.1", "q0.25", "q0.5", "q0.75", "q0.9"]
    pd.testing.assert_frame_equal(given, forecaster.forecast(table, levels=(80, 50)), rtol=1e-6)
    assert list(tabled(ask(table, quantiles=[0.975, 0.3])).columns[4:]) == ["q0.3", "q0.5", "q0.975"]


def test_what_a_forecast_stands_on_is_said_in_one_place(client: Any, columns: Any, history: Any) -> None:
    """Two of eight readings, and a series that ended a day before; a whole history has no warning."""
    whole = history("a", rows=40)
    assert "warnings" not in client.post(PATH, {"name": "buoy", "columns": columns(whole)}).json()
    short = pd.concat([whole, history("b", rows=2)], ignore_index=True)
    found = client.post(PATH, {"name": "buoy", "columns": columns(short)}).json()["warnings"]
    assert {one["kind"]: one["series"] for one in found} == {"short_context": ["b"], "stale": ["b"]}
    assert found[0]["message"].startswith("1 series have readings at fewer than half of the 8 steps")


def test_covariates_of_every_kind_are_read(
    client: Any, columns: Callable[..., Any], rich: tuple[pd.DataFrame, Job], rich_forecaster: Forecaster
) -> None:
    """Past, future and static, numbers and labels; what is known ahead as rows without y or as a table of its own."""
    table = rich[0]
    names = ["unique_id", "ds", "y", "p", "label", "f", "area", "kind"]
    ahead = pd.concat(
        pd.DataFrame(
            {"unique_id": name, "ds": pd.date_range(rows["ds"].max(), periods=8, freq="h", unit="us")[1:], "f": 0.5}
        )
        for name, rows in table.dropna(subset=["y"]).groupby("unique_id")
    ).astype({"unique_id": "str"})
    last = table["unique_id"].map(table.dropna(subset=["y"]).groupby("unique_id")["ds"].max())
    table = table.loc[table["ds"] <= last, names]
    expected = rich_forecaster.forecast(table, ahead)
    given = client.post(PATH, {"name": "farm", "columns": columns(table), "future": columns(ahead)})
    pd.testing.assert_frame_equal(tabled(given), expected, rtol=1e-5)

    joined = columns(pd.concat([table, ahead], ignore_index=True))
    pd.testing.assert_frame_equal(tabled(client.post(PATH, {"name": "farm", "columns": joined})), expected, rtol=1e-5)

    near = ahead[ahead["ds"] <= ahead["unique_id"].map(ahead.groupby("unique_id")["ds"].min()) + pd.Timedelta("1h")]
    short = {"name": "farm", "columns": columns(table), "future": columns(near)}
    assert tabled(client.post(PATH, {**short, "h": 2}))["step"].tolist() == [1, 2] * 3
    refused(client.post(PATH, {**short, "h": 3}), 422, "unusable_data", "f: needed for each of the next 3 steps")

    missing = client.post(PATH, {"name": "farm", "columns": columns(table)})
    refused(missing, 422, "unusable_data", "f: needed for each of the next 3 steps")
    without = {name: values for name, values in columns(table).items() if name != "p"}
    refused(client.post(PATH, {"name": "farm", "columns": without}), 422, "invalid_request", "column p is missing")


def test_missing_readings_are_null(ask: Any, forecaster: Forecaster, history: Callable[..., pd.DataFrame]) -> None:
    """Null in the middle is a gap, null at the end is nothing: the forecast begins after the last reading."""
    table = history("a", rows=20)
    table.loc[[5, 6, 19], "y"] = np.nan
    given = tabled(ask(table))
    assert given["cutoff"].unique().tolist() == [table["ds"][18]]
    pd.testing.assert_frame_equal(given, forecaster.forecast(table), rtol=1e-6)


def test_short_history_is_padded(ask: Any, forecaster: Forecaster, history: Callable[..., pd.DataFrame]) -> None:
    """One reading is enough; what is missing of the context counts as not observed."""
    table = history("a", rows=1)
    pd.testing.assert_frame_equal(tabled(ask(table)), forecaster.forecast(table), rtol=1e-6)


def test_unsorted_rows_are_put_in_order(ask: Any, history: Callable[..., pd.DataFrame]) -> None:
    """The order of the rows of a series does not matter."""
    table = history("a", rows=20)
    pd.testing.assert_frame_equal(tabled(ask(table.iloc[::-1])), tabled(ask(table)))


def test_offsets_are_honoured_across_a_change_of_clocks(
    client: Any, ask: Any, columns: Callable[..., Any], history: Callable[..., pd.DataFrame]
) -> None:
    """Local stamps with their offset are the same hours as in UTC; the answer is in UTC."""
    table = history("a", rows=20, start="2026-03-28T20:00:00")
    local = table["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").map(lambda stamp: stamp.isoformat())
    assert {text[-6:] for text in local} == {"+01:00", "+02:00"}
    given = client.post(PATH, {"name": "buoy", "columns": {**columns(table), "ds": local.tolist()}})
    pd.testing.assert_frame_equal(tabled(given), tabled(ask(table)))
    zulu = client.post(
        PATH, {"name": "buoy", "columns": {**columns(table), "ds": [f"{d}Z" for d in columns(table)["ds"]]}}
    )
    pd.testing.assert_frame_equal(tabled(zulu), tabled(ask(table)))


@pytest.mark.parametrize("form", ["{}Z ", "{}\t", "{} +0000", "{}.000000"])
def test_stamps_are_read_without_a_warning(forecaster: Forecaster, form: str) -> None:
    """Blanks and zones of any form leave the hours as they are, and no library complains into the log."""
    hours = pd.date_range("2026-03-27", periods=12, freq="h")
    written = [form.format(hour.isoformat()) for hour in hours]
    columns = {"unique_id": ["a"] * 12, "ds": written, "y": [1.0] * 12}
    query = query_of(ForecastRequest(columns=columns), forecaster.spec, ServeSettings())
    assert query.readings.ds.tolist() == hours.to_pydatetime().tolist()


def test_offsets_move_no_dates(forecaster: Forecaster) -> None:
    """Midnight in Berlin is a day of its own for a daily model, not 23:00 of the day before."""
    spec = forecaster.spec
    daily = spec.model_copy(update={"features": spec.features.model_copy(update={"freq": "D"})})
    local = pd.date_range("2026-03-27", periods=5, freq="D", tz="Europe/Berlin")
    columns = {"unique_id": ["a"] * 5, "ds": [stamp.isoformat() for stamp in local], "y": [1.0] * 5}
    query = query_of(ForecastRequest(columns=columns), daily, ServeSettings())
    assert query.readings.ds.tolist() == local.tz_localize(None).to_pydatetime().tolist()


def test_readings_after_now_are_readings(ask: Any, history: Callable[..., pd.DataFrame]) -> None:
    """The service has no clock of its own: forecasts begin after the last reading, whenever that is."""
    given = tabled(ask(history("a", rows=20, start="2200-01-01")))
    assert given["cutoff"].dt.year.unique().tolist() == [2200]


def test_series_without_a_reading_are_told(ask: Any, history: Callable[..., pd.DataFrame]) -> None:
    """The others are forecast; where all are empty the request is refused."""
    table = history("a", "b", rows=20)
    table.loc[table["unique_id"] == "a", "y"] = np.nan
    response = ask(table)
    assert response.json()["skipped"] == ["a"]
    assert tabled(response)["unique_id"].unique().tolist() == ["b"]
    refused(ask(table.assign(y=np.nan)), 422, "unusable_data", "has a reading")


def body(**changes: Any) -> dict[str, Any]:
    """A good request, changed."""
    stamps = [f"2026-01-05T{hour:02}:00:00" for hour in range(12)]
    table = {"unique_id": ["a"] * 12, "ds": stamps, "y": [float(hour) for hour in range(12)]}
    return {"name": "buoy", "columns": {**table, **changes.pop("columns", {})}, **changes}


Y = [1.0] * 11


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (body(columns={"y": [*Y, SECRET]}), "invalid_request", "y must hold numbers or null"),
        (body(columns={"y": [*Y, True]}), "invalid_request", "y must hold numbers or null"),
        (body(columns={"y": [*Y, [1.0]]}), "invalid_request", "y must hold numbers or null"),
        (body(columns={"y": Y}), "invalid_request", "different lengths"),
        (body(columns={"y": 5}), "invalid_request", "should be a valid list"),
        (body(columns={"unique_id": ["a"] * 11 + [7]}), "invalid_request", "unique_id must hold texts"),
        (body(columns={"unique_id": ["a"] * 11 + [""]}), "invalid_request", "unique_id must hold texts"),
        (body(columns={"unique_id": ["a"] * 11 + [SECRET * 50]}), "invalid_request", "unique_id must hold texts"),
        (body(columns={"ds": [SECRET] * 12}), "invalid_request", "ISO 8601"),
        (body(columns={"ds": ["now"] * 12}), "invalid_request", "ISO 8601"),
        (body(columns={"ds": ["2026-13-05"] * 12}), "invalid_request", "ISO 8601"),
        (body(columns={"ds": ["2026-01+01:00"] * 12}), "invalid_request", "ISO 8601"),
        (body(columns={"ds": [1767571200] * 12}), "invalid_request", "ISO 8601"),
        (body(columns={"ds": ["9999-01-01"] * 12}), "invalid_request", "1700 to 2250"),
        (body(columns={SECRET: Y}), "invalid_request", "1 column(s) are unknown"),
        (body(columns={"ds": [f"2026-01-05T{h:02}:{m:02}:00" for h, m in zip(range(12), range(12), strict=True)]}),
         "unusable_data", "off the grid"),
        (body(columns={"ds": [f"2026-01-{day:02}" for day in range(1, 13)]}), "unusable_data", "24 steps of h"),
        (body(columns={"ds": ["1700-01-01", *(f"2240-01-01T{h:02}:00" for h in range(11))]}), "unusable_data", "span"),
        (body(columns={"ds": ["2026-01-05"] * 12}), "unusable_data", "repeat a stamp"),
        (body(columns={"unique_id": [], "ds": [], "y": []}), "invalid_request", "there are no rows"),
        ({"name": "buoy", "columns": {}}, "invalid_request", "there are no rows"),
        ({"name": "buoy", "records": []}, "invalid_request", "there are no rows"),
        ({"name": "buoy"}, "invalid_request", "as records or as columns"),
        ({"name": "buoy", "columns": {"unique_id": ["a"]}}, "invalid_request", "column ds is missing"),
        ([1, 2], "invalid_request", "body: "),
        (None, "invalid_request", "body: "),
        (body(**{SECRET: 1}), "invalid_request", "unknown key; valid keys: name, records"),
        (body(h=0), "invalid_request", "h: "),
        (body(h=5), "invalid_request", "at most 4 steps"),
        (body(h="2"), "invalid_request", "h: "),
        (body(h=1.5), "invalid_request", "h: "),
        (body(freq="D"), "invalid_request", "this model forecasts at freq h"),
        (body(level=[100]), "invalid_request", "level holds"),
        (body(level=[0]), "invalid_request", "level holds"),
        (body(level=[80] * 21), "invalid_request", "level holds"),
        (body(quantiles=[0.0]), "invalid_request", "quantiles holds"),
        (body(quantiles=[1e-12]), "invalid_request", "quantiles holds"),
        (body(level=[80], quantiles=[0.5]), "invalid_request", "not both"),
        (body(answer=SECRET), "invalid_request", "answer: "),
        (body(columns={"y": [1e300, -1e300] * 6}), "not_finite", "no finite number"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_with_a_reason(client: Any, content: Any, code: str, text: str) -> None:
    """Status 422, the code and a sentence."""
    refused(client.post(PATH, json.dumps(content).encode(), headers=HEADERS), 422, code, text)


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"", "invalid_json", "not valid JSON"),
        (b"{", "invalid_json", "not valid JSON"),
        (b'{"name": "' + SECRET.encode(), "invalid_json", "line 1"),
        (json.dumps(body(columns={"y": [*Y, float("nan")]})).encode(), "invalid_json", "write null for NaN"),
        (json.dumps(body(columns={"y": [*Y, float("inf")]})).encode(), "invalid_json", "not valid JSON"),
        (json.dumps(body(columns={"y": [*Y, 0.5]})).replace("0.5", "1e309").encode(), "invalid_json", "not valid JSON"),
        (b'{"name": "\xff"}', "invalid_json", "not valid JSON"),
        (b'{"name": "\\ud800"}', "invalid_json", "not valid JSON"),
        (b'{"columns":' + b"[" * 100_000, "too_deep", "deeper than 16"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "too_deep", "deeper than 16"),
    ],
)
def test_broken_json_is_refused(client: Any, content: bytes, code: str, text: str) -> None:
    """Status 400; strict JSON has no NaN, no infinity and no number beyond 64 bits."""
    refused(client.post(PATH, content, headers=HEADERS), 400, code, text)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-type": "text/plain"}, "wrong_content_type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "wrong_content_type"),
        ({}, "wrong_content_type"),
        ({**HEADERS, "content-encoding": "gzip"}, "encoded_body"),
    ],
)
def test_other_content_is_refused(client: Any, headers: dict[str, str], code: str) -> None:
    """Status 415; compressed bodies are not unpacked."""
    refused(client.post(PATH, json.dumps(body()).encode(), headers=headers), 415, code, "send")


def test_content_type_may_name_a_charset(client: Any) -> None:
    """As many clients send it."""
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post(PATH, json.dumps(body()).encode(), headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["nothing", "../buoy", "..", "buoy/../farm", "<img src=x>", "buoy\x00", SECRET])
def test_unknown_models_are_refused(client: Any, name: str) -> None:
    """Status 404; a name leads to a served model or nowhere."""
    refused(client.post(PATH, body(name=name)), 404, "unknown_model", "served are: buoy, farm")


def test_name_is_needed_where_several_are_served(client: Any) -> None:
    """Status 422, with their names."""
    refused(client.post(PATH, {"columns": body()["columns"]}), 422, "unknown_model", "name one of them: buoy, farm")


def test_limits_are_told(copied: Path, service: Any, columns: Any, history: Callable[..., pd.DataFrame]) -> None:
    """Too many rows or series: 422 with the limit; a body that is too large: 413."""
    with service(copied, max_rows=30, max_series=2, max_body_mb=0.01) as client:
        assert client.post(PATH, {"name": "buoy", "columns": columns(history("a", "b"))}).status_code == 200
        rows = client.post(PATH, {"name": "buoy", "columns": columns(history("a", rows=31))})
        series = client.post(PATH, {"name": "buoy", "columns": columns(history("a", "b", "c", rows=9))})
        large = client.post(PATH, b" " * 10_001, headers=HEADERS)
    refused(rows, 422, "invalid_request", "31 rows, allowed are 30")
    refused(series, 422, "invalid_request", "3 series, allowed are 2")
    refused(large, 413, "too_large", "larger than 0.01 MB")
