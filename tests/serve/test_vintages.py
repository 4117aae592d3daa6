"""What is stored, as the service tells it: series, history, vintages and live scores."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.monitor.live import live_scores
from forecasting.storage.store import Store


@pytest.fixture(scope="module")
def store(stocked: Path) -> Store:
    """The tables behind the service."""
    return Store(stocked)


def vintages(client: Any, query: str = "") -> pd.DataFrame:
    """Stored forecasts as a table."""
    response = client.get(f"/v1/vintages?name=buoy{query}")
    assert response.status_code == 200, response.text
    rows = pd.DataFrame(response.json()["vintages"])
    stamps = {name: rows[name].astype("datetime64[us]") for name in ("ds", "cutoff", "created")}
    return rows.assign(**stamps).astype({"unique_id": "str", "model": "str"})


def test_series_are_listed(client: Any) -> None:
    """All stored names, in order."""
    assert client.get("/v1/series/buoy").json() == {"series": ["a", "b"], "remarks": []}


def test_history_is_the_last_readings(client: Any, store: Store) -> None:
    """Oldest first, at most as many as asked for."""
    rows = client.get("/v1/history?name=buoy&unique_id=b&n=5").json()["history"]
    expected = store.observations.read("buoy", unique_id="b").tail(5)
    assert [row["y"] for row in rows] == expected["y"].tolist()
    assert [pd.Timestamp(row["ds"]) for row in rows] == expected["ds"].tolist()
    assert len(client.get("/v1/history?name=buoy&unique_id=b").json()["history"]) == 40


def test_vintages_are_the_stored_forecasts_newest_first(client: Any, store: Store) -> None:
    """Every row and column, by cutoff, then by series and step."""
    stored = store.forecasts.read("buoy")
    expected = stored.sort_values(["cutoff", "unique_id", "ds"], ascending=[False, True, True], ignore_index=True)
    found = vintages(client)
    assert found.pop("scenario").unique().tolist() == ["base"]
    pd.testing.assert_frame_equal(found, expected)


def test_pages_together_are_everything(client: Any) -> None:
    """Each page holds whole vintages and says where the next one begins."""
    pages: list[pd.DataFrame] = []
    offset: int | None = 0
    while offset is not None:
        told = client.get(f"/v1/vintages?name=buoy&limit=4&offset={offset}").json()
        pages.append(pd.DataFrame(told["vintages"]))
        assert told["total"] == 6
        offset = told["next"]
    assert [len(page) for page in pages] == [16, 8]
    pd.testing.assert_frame_equal(pd.concat(pages, ignore_index=True), pd.DataFrame(_rows(client)))
    beyond = {"vintages": [], "total": 6, "next": None, "scenarios": ["base"]}
    assert client.get("/v1/vintages?name=buoy&offset=6").json() == beyond


def _rows(client: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get("/v1/vintages?name=buoy").json()["vintages"]
    return rows


def test_vintages_can_be_chosen(client: Any) -> None:
    """By series, by cutoff with or without an offset from UTC, by version."""
    rows = vintages(client)
    cutoff = rows["cutoff"].iloc[10]
    found = vintages(client, f"&unique_id=b&cutoff={cutoff.isoformat()}&version=1")
    expected = rows[(rows["unique_id"] == "b") & (rows["cutoff"] == cutoff)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)
    local = cutoff.tz_localize("UTC").tz_convert("Asia/Kolkata").isoformat().replace("+", "%2B")
    pd.testing.assert_frame_equal(vintages(client, f"&unique_id=b&cutoff={local}"), expected)
    assert client.get("/v1/vintages?name=buoy&version=2").json()["total"] == 0


@pytest.mark.parametrize("by", [None, "step", "day", "version"])
def test_scores_are_those_of_the_monitor(client: Any, store: Store, by: Any) -> None:
    """The same numbers, per group or for all."""
    told = client.get("/v1/scores", params={"name": "buoy"} | ({"by": by} if by else {})).json()["scores"]
    expected = live_scores(store, "buoy", by)
    assert len(told) == len(expected) > 0
    for name in ("mae", "wql", "coverage", "bias", "count"):
        assert [row[name] for row in told] == pytest.approx(expected[name].tolist())
    if by == "day":
        assert [pd.Timestamp(row["day"]) for row in told] == expected["day"].tolist()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/series/other", 404, "unknown_model"),
        ("/v1/series/..", 404, "not_found"),
        ("/v1/series/%2e%2e%2fbuoy", 404, "not_found"),
        ("/v1/series/farm", 404, "nothing_stored"),
        ("/v1/history?name=buoy", 422, "invalid_request"),
        ("/v1/history?name=buoy&unique_id=z", 404, "unknown_series"),
        ("/v1/history?name=../buoy&unique_id=a", 404, "unknown_model"),
        ("/v1/history?name=buoy&unique_id=a&n=0", 422, "invalid_request"),
        ("/v1/history?name=buoy&unique_id=a&n=1e9", 422, "invalid_request"),
        ("/v1/history?name=buoy&unique_id=%00%27%20OR%201=1", 404, "unknown_series"),
        ("/v1/vintages?name=farm", 404, "nothing_stored"),
        ("/v1/vintages?name=buoy&cutoff=yesterday", 422, "invalid_request"),
        ("/v1/vintages?name=buoy&version=-1", 422, "invalid_request"),
        ("/v1/vintages?name=buoy&limit=100000", 422, "invalid_request"),
        ("/v1/vintages", 422, "invalid_request"),
        ("/v1/scores?name=buoy&by=series", 422, "invalid_request"),
        ("/v1/scores?name=farm", 404, "nothing_stored"),
    ],
)
def test_what_is_not_there_is_told(client: Any, path: str, status: int, code: str) -> None:
    """A code, and no word of what came."""
    response = client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "yesterday" not in response.text


def test_extreme_stamps_are_only_stamps(client: Any) -> None:
    """The first and the last one that a calendar has find nothing and break nothing."""
    for stamp in ("0001-01-01T00:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00%2B14:00"):
        assert client.get(f"/v1/vintages?name=buoy&cutoff={stamp}").status_code in (200, 422)
        assert client.get(f"/v1/scores?name=buoy&since={stamp}").status_code in (200, 422)


@pytest.mark.parametrize("stamp", ["9999", "99999999999999", "-1", "9999-12-31T23:59:59-12:00", "1066-10-14T00:00:00"])
def test_numbers_and_other_ages_are_no_stamps(client: Any, stamp: str) -> None:
    """9999 is neither the year nor 9,999 seconds after 1970: it is refused, like a stamp that no table can hold."""
    for path in ("/v1/scores?name=buoy&since=", "/v1/vintages?name=buoy&since=", "/v1/vintages?name=buoy&cutoff="):
        assert client.get(path + stamp.replace("+", "%2B")).status_code == 422


def test_what_was_forecast_long_ago_is_read_only_where_asked_for(copied: Path, service: Any) -> None:
    """By default the last 1,000 hours before the newest cutoff; `since` reaches further back, for scores as well."""
    store = Store(copied)
    stored = store.forecasts.read("buoy")
    for hours in (999, 1030):  # before the newest cutoff
        shift = stored["cutoff"].max() - pd.Timedelta(hours=hours) - stored["cutoff"].min()
        first = stored[stored["cutoff"] == stored["cutoff"].min()]
        old = first.assign(ds=first["ds"] + shift, cutoff=first["cutoff"] + shift)
        store.forecasts.append("buoy", old)
        readings = old[["unique_id", "ds"]].assign(y=1.0)
        store.observations.merge("buoy", readings)
    since = "&since=2025-01-01T00:00:00"
    with service(copied) as client:
        total = [client.get(f"/v1/vintages?name=buoy{query}").json()["total"] for query in ("", since)]
        scores = [client.get(f"/v1/scores?name=buoy&by=day{query}").json()["scores"] for query in ("", since)]
        page = client.get("/accuracy?model=buoy").text
    assert total == [8, 10]
    days = [[row["day"][:10] for row in rows] for rows in scores]
    newest = stored["cutoff"].max()
    gone = str(newest - pd.Timedelta(hours=1030))[:10]
    assert len(days[1]) == len(days[0]) + 1
    assert days[1][0] == gone != days[0][0]
    assert days[0][0] in page
    assert gone not in page
    pd.testing.assert_frame_equal(
        pd.DataFrame(scores[1]).drop(columns="day"), live_scores(store, "buoy", "day").drop(columns="day")
    )


def test_a_damaged_table_is_one_sentence(copied: Path, service: Any) -> None:
    """503 on every route that reads it, and a page for people; no path and no foreign backtrace."""
    log = copied / "tables" / "buoy" / "observations" / "_delta_log"
    sorted(log.glob("*.json"))[-1].write_bytes(b"")
    with service(copied) as client:
        for path in ("/v1/history?name=buoy&unique_id=a", "/v1/series/buoy", "/v1/scores?name=buoy"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "damaged_table")
            assert str(copied) not in answer.text
        page = client.get("/?model=buoy")
        assert page.status_code == 503
        assert page.headers["content-type"].startswith("text/html")
        assert "Something went wrong" in page.text
        assert str(copied) not in page.text
