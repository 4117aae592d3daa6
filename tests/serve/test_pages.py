"""The page for people as HTML: what each view says, in every state, and that nothing it is given becomes markup."""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.forecaster import open_forecaster
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.runtime.workspace import Workspace
from forecasting.serve.errors import ServiceError
from forecasting.serve.pages.render import address
from forecasting.serve.pages.upload import columns_of_csv
from forecasting.serve.pages.views import example_stamps
from forecasting.storage.remarks import Remark, Remarks, keep
from forecasting.storage.store import Store

VIEWS = ["/", "/accuracy", "/results", "/versions", "/upload"]
EVIL = "<img src=x onerror=alert(1)>"
EVIL_SERIES = '"></script><script>alert(1)</script>'


class Reader(HTMLParser):
    """All tags with their attributes, the text beside scripts, and the JSON inside of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        (self.scripts if self._script else self.texts).append(data)

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def read(client: Any, path: str, status: int = 200, **more: Any) -> Reader:
    """A page that was answered as HTML."""
    answer = client.get(path, **more)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return Reader(answer.text)


def registry_of(home: Path) -> Registry:
    """The registry of a home."""
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home)


def csv_of(table: pd.DataFrame) -> bytes:
    """A table as a person would save it."""
    return table.to_csv(index=False).encode()


def chart_of(page: Reader) -> dict[str, Any]:
    """The content of the first chart."""
    content: dict[str, Any] = json.loads(page.scripts[0])
    return content


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_accessible_by_structure(client: Any, view: str) -> None:
    """Landmarks, one main heading, a label for every field, a caption for every table, words for every chart."""
    page = read(client, f"{view}?model=buoy")

    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    labelled = {attributes["for"] for attributes in page.all("label")}
    fields = [field for tag in ("select", "input") for field in page.all(tag) if field.get("type") != "hidden"]
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "h1", "footer")] == [1] * 5
    assert page.all("html") == [{"lang": "en"}]
    assert len(ids) == len(set(ids))
    assert {field["id"] for field in fields} <= labelled
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attributes.get("aria-label") for _, attributes in page.tags if "data-chart" in attributes)
    assert next(attributes["href"] for attributes in page.all("a") if "aria-current" in attributes).startswith(view)


@pytest.mark.parametrize("view", VIEWS)
def test_pages_ask_no_other_host_and_run_no_inline_script(client: Any, view: str) -> None:
    """Every script is a file of this service, what stands inside a script is data, and no tag has a handler."""
    page = read(client, f"{view}?model=buoy")

    links = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert all(str(link).startswith(("/", "#")) and not str(link).startswith("//") for link in links)
    assert all("src" in script or script["type"] == "application/json" for script in page.all("script"))
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on") or key == "style"]
    assert all(json.loads(script) for script in page.scripts)


def test_forecast_is_that_of_the_forecaster(client: Any, stocked: Path, write_bundle: Any, tmp_path: Path) -> None:
    """The page draws the champion's forecast of the stored readings, number for number."""
    chart = chart_of(read(client, "/?model=buoy&series=b"))

    table = Store(stocked).observations.read("buoy", unique_id="b")
    expected = open_forecaster(write_bundle(tmp_path / "1", seed=1)).forecast(table)
    np.testing.assert_array_equal(chart["median"]["y"], expected["q0.5"])
    np.testing.assert_array_equal(chart["bands"][0]["low"], expected["q0.1"])
    np.testing.assert_array_equal(chart["bands"][0]["high"], expected["q0.9"])
    assert chart["median"]["x"] == [stamp.isoformat() for stamp in expected["ds"]]
    assert chart["history"]["y"] == table["y"].tolist()
    assert chart["came"] is None


def test_vintage_stands_against_what_came(client: Any, stocked: Path) -> None:
    """An earlier forecast is drawn as it was stored, the readings after it apart, and its error is counted."""
    stored = Store(stocked).forecasts.read("buoy", unique_id="a")
    first = stored[stored["cutoff"] == stored["cutoff"].min()]
    cutoff = first["cutoff"].iloc[0]
    page = read(client, f"/?model=buoy&series=a&vintage={cutoff.isoformat()}@1")
    chart = chart_of(page)

    readings = Store(stocked).observations.read("buoy", unique_id="a").set_index("ds")["y"]
    error = (first.set_index("ds")["q0.5"] - readings).abs().mean()
    assert chart["median"]["y"] == first["q0.5"].tolist()
    assert chart["cutoff"] == cutoff.isoformat()
    assert max(chart["history"]["x"]) == cutoff.isoformat()
    assert chart["came"]["y"] == readings[cutoff : first["ds"].max()].tolist()
    assert f"Mean error so far {error:.4g} 4 readings have come" in page.text
    assert "What came" in page.text
    assert len(page.all("option")) == 2 + 2 + 1 + 3  # models, series, now and three vintages


def test_accuracy_is_that_of_the_scores(client: Any) -> None:
    """The page shows what /v1/scores gives."""
    page = read(client, "/accuracy?model=buoy")
    total = client.get("/v1/scores?name=buoy").json()["scores"][0]
    steps = client.get("/v1/scores?name=buoy&by=step").json()["scores"]

    assert f"Mean absolute error {total['mae']:.4g}" in page.text
    assert f"Inside the interval {round(100 * total['coverage'], 1):g}% 80% are promised" in page.text
    assert json.loads(page.scripts[2])["y"] == [row["mae"] for row in steps]
    one = read(client, "/accuracy?model=buoy&series=a")
    assert one.scripts[0] != page.scripts[0]


def test_results_show_leaderboard_and_verdict(
    copied: Path, tmp_path: Path, service: Any, register: Any, write_bundle: Any
) -> None:
    """A run's outcome.json becomes a sentence, the rules of the gate and the leaderboard with its best figures."""
    registry = registry_of(copied)
    register(copied, "buoy", write_bundle(tmp_path / "3", seed=3), "pages")
    run = registry.versions.get("buoy", 3).run_id
    rule = {"rule": "beats_naive", "figure": 0.1, "bound": 0, "passed": False, "sentence": f"no better than {EVIL}"}
    board = [{"model": "stacked", "wql": 0.5, "coverage": 0.8}, {"model": "naive", "wql": 0.25, "coverage": None}]
    outcome = {"version": 2, "model": "naive", "promoted": False, "fallback": True, "champion": 2}
    outcome |= {"verdict": [rule], "leaderboard": board}
    with connect(registry.versions.tracking_uri) as mlflow:
        mlflow.log_text(run, json.dumps(outcome), "outcome.json")

    with service(copied, names=("buoy",), timeout_seconds=60) as client:
        page = read(client, "/results")
        older = read(client, f"/results?run={registry.versions.get('buoy', 1).run_id}")

    assert "Refused stacked failed 1 of 1 rules: beats naive. The best baseline, naive, went live" in page.text
    assert f"beats naive failed no better than {EVIL}" in page.text
    assert [attributes.get("class") for attributes in page.all("td")][-4:] == [None, None, "best", None]
    assert "0.25 –" in page.text
    assert "This run left no results" in older.text


def test_report_of_a_run_is_a_file_to_keep(
    copied: Path, tmp_path: Path, service: Any, register: Any, write_bundle: Any, make_keys: Any
) -> None:
    """Only of a run of that model, only with a key that may read; a run without one is said to have none."""
    registry = registry_of(copied)
    register(copied, "buoy", write_bundle(tmp_path / "3", seed=3), "pages")
    run, older = (registry.versions.get("buoy", version).run_id for version in (3, 1))
    other = registry.versions.get("farm", 1).run_id
    with connect(registry.versions.tracking_uri) as mlflow:
        for name in (run, other):
            mlflow.log_text(name, "<!doctype html><p>naïve</p>", "report.html")

    with service(copied, timeout_seconds=60) as client:
        found = client.get(f"/results/report?model=buoy&run={run}")
        assert found.text == "<!doctype html><p>naïve</p>"
        assert found.headers["content-disposition"] == f"attachment; filename*=UTF-8''buoy-{run[:8]}.html"
        for missing in (older, other, "../../mlflow.db"):
            refusal = client.get("/results/report", params={"model": "buoy", "run": missing})
            assert (refusal.status_code, refusal.json()["error"]["code"]) == (404, "not_found")
    setting, secrets = make_keys("forecast", "read")
    with service(copied, timeout_seconds=60, keys=setting) as client:
        for secret, status in ((None, 401), (secrets["forecast"], 403), (secrets["read"], 200)):
            given = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            assert client.get(f"/results/report?model=buoy&run={run}", headers=given).status_code == status


def test_versions_have_no_buttons_without_keys(client: Any) -> None:
    """Where no key is configured nobody can promote, so nothing on the page says so."""
    page = read(client, "/versions?model=buoy")

    assert "champion" in page.text
    assert "none is configured" in page.text
    assert not [button for button in page.all("button") if "data-post" in button]


def test_page_shows_nothing_without_a_key(copied: Path, service: Any, make_keys: Any) -> None:
    """With keys configured a page without one names neither models nor series; with one it is the page."""
    setting, secrets = make_keys("read", "admin")
    with service(copied, keys=setting, timeout_seconds=60) as client:
        for view in VIEWS:
            locked = client.get(f"{view}?model=buoy")
            assert locked.status_code == 200
            assert "API key" in locked.text
            assert not re.search("buoy|farm", locked.text)
        plain = read(client, "/versions?model=buoy", headers={"Authorization": f"Bearer {secrets['read']}"})
        full = read(client, "/versions?model=buoy", headers={"X-API-Key": secrets["admin"]})
        refused = read(client, "/", headers={"Authorization": f"Bearer {secrets['read']}"})

    assert not [button for button in plain.all("button") if "data-post" in button]
    posts = [button["data-post"] for button in full.all("button") if "data-post" in button]
    assert posts == ["/v1/models/buoy/promote"]
    assert "this API key has no scope forecast" in refused.text


def test_states_without_anything_to_show_say_why(database: Path, copied: Path, tmp_path: Path, service: Any) -> None:
    """No model, an unknown one, no readings: one helpful sentence each, and the command that helps."""
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(database, empty / "mlflow.db")
    with service(empty, timeout_seconds=60) as client:
        for view in VIEWS:
            assert "No model serves yet" in read(client, view).text
        assert "gatecast run configs/quickstart.yaml" in read(client, "/").text
    with service(empty, names=("buoy",)) as client:
        assert "This model is not ready No version of buoy is open yet" in read(client, "/", 503).text
    with service(copied, timeout_seconds=60) as client:
        assert "No readings are stored yet" in read(client, "/?model=farm").text
        assert "No readings are stored yet" in read(client, "/accuracy?model=farm").text
        assert "no model of that name is served" in read(client, "/?model=../../etc", 404).text


def test_registry_that_is_down_costs_only_what_needs_it(copied: Path, service: Any) -> None:
    """Without MLflow's database versions and results say so, and forecasts are drawn from the cache."""
    (copied / "serve").mkdir(exist_ok=True)
    with service(copied, timeout_seconds=60) as client:
        client.get("/readyz")
    (copied / "mlflow.db").write_bytes(b"this is no database" * 100)
    with service(copied, timeout_seconds=60) as client:
        assert "The model registry does not answer" in read(client, "/versions?model=buoy", 503).text
        assert "The model registry does not answer" in read(client, "/results?model=buoy", 503).text
        assert chart_of(read(client, "/?model=buoy"))["median"]


def test_unusual_readings_stand_beside_the_accuracy(copied: Path, service: Any) -> None:
    """Those of the chosen series, with what was expected; a series that is called like markup stays text."""
    now = pd.Timestamp("2026-01-05 10:00").as_unit("us")
    event = {"kind": "spike", "chance": 1e-4, "alarms": 1, "y": 9.0, "expected": 2.0, "low": 1.5, "high": 2.5}
    event |= {"cutoff": now - pd.Timedelta(hours=1), "version": 1}
    rows = [
        {"unique_id": name, "start": now, "end": now, "told": True, "created": now, **event} for name in ("a", EVIL)
    ]
    Store(copied).anomalies.keep("buoy", pd.DataFrame(rows))
    with service(copied, timeout_seconds=60) as client:
        page = read(client, "/accuracy?model=buoy")
        assert "2026-01-05 10:00 an unusual reading 9 1.5 to 2.5 10,000" in page.text
        assert EVIL in page.text
        assert EVIL not in read(client, "/accuracy?model=buoy&series=a").text


def test_readings_of_unusual_events_are_marked(copied: Path, service: Any) -> None:
    """On the chart of their series, and on the day whose forecast they met; nothing is marked elsewhere."""
    store = Store(copied)
    last = store.observations.read("buoy", unique_id="a").tail(4)
    made = store.forecasts.read("buoy", unique_id="a")["cutoff"]
    day = made.min().normalize()
    event = {"unique_id": "a", "start": last["ds"].iloc[1], "end": last["ds"].iloc[2], "kind": "level", "chance": 1e-4}
    event |= {"alarms": 2, "y": 9.0, "expected": 2.0, "low": 1.5, "high": 2.5, "cutoff": made.min(), "version": 1}
    now = pd.Timestamp("2026-01-05").as_unit("us")
    store.anomalies.keep("buoy", pd.DataFrame([event | {"told": True, "created": now}]))
    with service(copied, timeout_seconds=60) as client:
        page = read(client, "/?model=buoy&series=a")
        marked = chart_of(page)["unusual"]
        assert marked["x"] == [stamp.isoformat() for stamp in last["ds"].iloc[1:3]]
        assert marked["y"] == last["y"].iloc[1:3].tolist()
        assert "Unusual reading" in page.text
        assert chart_of(read(client, "/?model=buoy&series=b"))["unusual"] is None
        error = json.loads(read(client, "/accuracy?model=buoy&series=a").scripts[0])
        days = [pd.Timestamp(stamp) for stamp in error["x"]]
        assert [mark for stamp, mark in zip(days, error["marks"], strict=True) if stamp == day] == ["1 unusual event"]
        assert sum(map(bool, error["marks"])) == 1
        assert not any(json.loads(read(client, "/accuracy?model=buoy&series=b").scripts[0])["marks"])


def test_accuracy_without_forecasts_says_how_to_get_some(copied: Path, service: Any) -> None:
    """Readings alone give nothing to compare."""
    shutil.rmtree(copied / "tables" / "buoy" / "forecasts")
    with service(copied, timeout_seconds=60) as client:
        page = read(client, "/accuracy?model=buoy")
        assert "Nothing to compare yet" in page.text
        assert chart_of(read(client, "/?model=buoy"))["median"]


def test_names_with_markup_stay_text(
    copied: Path, tmp_path: Path, service: Any, register: Any, write_bundle: Any, history: Callable[..., pd.DataFrame]
) -> None:
    """A model and series that are called like markup are shown as they are called, on every page.

    The service takes no such model by itself, so its slot is given that name here: the pages do not rely on it.
    """
    version = register(copied, EVIL, write_bundle(tmp_path / "evil", seed=1), "evil")
    registry_of(copied).aliases.promote(EVIL, version)
    table = history(EVIL_SERIES, "'+alert(1)+'")
    Store(copied).observations.merge(EVIL, table)
    with service(copied, names=("buoy",), timeout_seconds=60) as client:
        slots = client.app.state.gatecast.catalog._slots
        slots[EVIL] = slots.pop("buoy")
        slots[EVIL].name = slots[EVIL].refusal = EVIL
        slots[EVIL].current = replace(slots[EVIL].current, name=EVIL)
        pages = [read(client, f"{view}?model={quote(EVIL)}&series={quote(EVIL_SERIES)}") for view in VIEWS]
        answer = client.post(f"/upload?model={quote(EVIL)}", csv_of(table), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200
    assert all(f"{EVIL}. Version 1 goes on answering" in page.text for page in pages)
    pages.append(Reader(answer.text))

    for page in pages:
        assert not page.all("img")
        assert all("src" in script or script["type"] == "application/json" for script in page.all("script"))
        assert all(json.loads(script) for script in page.scripts)
    assert EVIL_SERIES in pages[0].text
    assert EVIL_SERIES in pages[-1].text


def test_uploaded_file_is_forecast(client: Any, history: Callable[..., pd.DataFrame], columns: Any) -> None:
    """The numbers of an uploaded file are those of /v1/forecast, in charts, table and CSV alike."""
    table = history("x", "y", rows=20)
    answer = client.post("/upload?model=buoy&h=3&level=90", csv_of(table), headers={"Content-Type": "text/csv"})
    page = Reader(answer.text)
    asked = {"name": "buoy", "columns": columns(table), "h": 3, "level": [90]}
    expected = pd.DataFrame(client.post("/v1/forecast", asked).json()["columns"])

    found = pd.read_csv(pd.io.common.StringIO(json.loads(page.scripts[0])))
    assert found.columns.tolist() == expected.columns.tolist()
    np.testing.assert_allclose(found["q0.95"], expected["q0.95"], rtol=1e-12)
    assert json.loads(page.scripts[1])["median"]["y"] == expected["q0.5"].head(3).tolist()
    assert len(page.all("tr")) == 1 + 6
    assert "90% interval" in page.text


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"unique_id,ds,y\na,2026-01-01,1\na,2026-01-01 01:00,x\n", "invalid_csv", r"y holds 1 value\(s\) .* in row 3"),
        (b"unique_id,y\na,1\n", "invalid_request", "column ds is missing"),
        (b"date,time,y\n2026-01-01,10:00,1\n", "invalid_request", "unknown to this model"),
        (b"unique_id,ds,y,extra\na,2026-01-01,1,2\n", "invalid_request", "unknown to this model"),
        (b"unique_id,ds,y\na,yesterday,1\n", "invalid_request", "ISO 8601"),
        (b"unique_id,ds,y\n", "invalid_request", "there are no rows"),
        (b"", "invalid_csv", "save it as CSV"),
        (b"\xff\xfe\x00\x01", "invalid_csv", "save it as CSV"),
        (b"a,b\n1,2,3,4\n5\n", "invalid_csv", "save it as CSV"),
        (b"unique_id,ds,y\na,2026-01-01,inf\n", "invalid_request", "too large"),
    ],
)
def test_file_that_cannot_be_forecast_is_told_why(client: Any, body: bytes, code: str, detail: str) -> None:
    """Each fault of a file is one sentence of the service, and no echo of the file."""
    answer = client.post("/upload?model=buoy", body, headers={"Content-Type": "text/csv"})
    error = answer.json()["error"]

    assert answer.status_code == 422
    assert error["code"] == code
    assert re.search(detail, "; ".join(error["details"]))
    assert "yesterday" not in answer.text


def test_columns_are_known_by_their_usual_names(client: Any, history: Callable[..., pd.DataFrame]) -> None:
    """One series needs no unique_id, and is named like the model; another case or word is no other column."""
    table = history("a", rows=20)
    own = client.post("/upload?model=buoy", csv_of(table), headers={"Content-Type": "text/csv"})
    renamed = table.drop(columns="unique_id").rename(columns={"ds": "Timestamp", "y": "Value"})
    other = client.post("/upload?model=buoy", csv_of(renamed), headers={"Content-Type": "text/csv"})
    found, expected = (pd.read_csv(io.StringIO(json.loads(Reader(one.text).scripts[0]))) for one in (other, own))
    assert found["unique_id"].tolist() == ["buoy"] * len(found)
    pd.testing.assert_frame_equal(found.drop(columns="unique_id"), expected.drop(columns="unique_id"))


@pytest.mark.parametrize(
    ("freq", "stamps"),
    [
        ("h", ["2026-01-05 13:00:00", "2026-01-05 14:00:00"]),
        ("D", ["2026-01-05", "2026-01-06"]),
        ("MS", ["2026-02-01", "2026-03-01"]),
        ("5s", ["2026-01-05 13:00:00", "2026-01-05 13:00:05"]),
    ],
)
def test_the_example_of_a_file_has_the_steps_of_its_model(freq: str, stamps: list[str]) -> None:
    """A daily model shows days, not hours."""
    assert example_stamps(freq) == stamps


def chosen(page: str) -> dict[str, str]:
    """The column of the file that a form offers for each of the model's."""
    selects = re.findall(
        r'<label for="(column-\d+)">(\w+)</label>\s*<select id="\1"(.*?)</select>', page, flags=re.DOTALL
    )
    offered = {name: re.search(r" selected>(.*?)<", options) for _, name, options in selects}
    return {name: found[1] if found else "" for name, found in offered.items()}


def test_columns_of_a_file_are_detected_and_can_be_chosen(client: Any, history: Callable[..., pd.DataFrame]) -> None:
    """Usual names are known; what is chosen is read, whatever it is called, and all other columns are ignored."""
    csv, table = {"Content-Type": "text/csv"}, history("a", rows=20)
    other = table.rename(columns={"unique_id": "Station", "ds": "Date", "y": "Load"})
    other.insert(0, "y", 1.0)  # a column that has the name of another one
    form = client.post("/upload/columns?model=buoy", csv_of(other).split(b"\n")[0], headers=csv)
    assert form.status_code == 200
    assert chosen(form.text) == {"unique_id": "", "ds": "Date", "y": "y"}
    assert re.findall(r'<option value="\d+"[^>]*>(\w+)<', form.text) == ["y", "Station", "Date", "Load"] * 3

    asked = client.post("/upload?model=buoy", csv_of(table), headers=csv).text
    mapped = client.post("/upload?model=buoy&columns=1,2,3", csv_of(other), headers=csv)
    assert mapped.status_code == 200
    assert Reader(mapped.text).scripts == Reader(asked).scripts


def test_a_header_of_thousands_is_not_offered_for_every_column(client: Any) -> None:
    """A form is as long as the product of both: 300 columns are enough for a person."""
    header = ",".join(f"c{number}" for number in range(301)).encode()
    answer = client.post("/upload/columns?model=buoy", header, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 422
    assert "301 columns, of which 300" in answer.text


@pytest.mark.parametrize("columns", ["1,2", "1,2,2", "1,2,9", "1,2,3,0", "1,2,x", "-1,2,3", ","])
def test_columns_that_cannot_be_meant_are_refused(
    client: Any, history: Callable[..., pd.DataFrame], columns: str
) -> None:
    """Too few, too many, the same one twice, one that the file lacks, no number: 422."""
    body = b"note," + csv_of(history("a", rows=20)).replace(b"\n", b"\n,")[:-1]
    answer = client.post(f"/upload?model=buoy&columns={columns}", body, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 422


def test_upload_keeps_the_limits(client: Any, copied: Path, service: Any, make_keys: Any) -> None:
    """Another content type, too many rows, steps or levels, and a key without the scope are refused."""
    body = b"unique_id,ds,y\n" + b"".join(b"a,2026-01-01 %02d:00,1\n" % hour for hour in range(12))
    csv = {"Content-Type": "text/csv"}
    assert client.post("/upload?model=buoy", body, headers={"Content-Type": "text/html"}).status_code == 415
    for query in ("h=99", "h=0", "level=100", "level=nan", "h=x"):
        assert client.post(f"/upload?model=buoy&{query}", body, headers=csv).status_code == 422, query
    setting, secrets = make_keys("read")
    with service(copied, keys=setting, max_rows=10) as limited:
        assert limited.post("/upload?model=buoy", body, headers=csv).status_code == 401
        key = {"X-API-Key": secrets["read"]}
        assert limited.post("/upload?model=buoy", body, headers=csv | key).status_code == 403
    with service(copied, max_rows=10) as limited:
        assert "12 rows, allowed are 10" in limited.post("/upload?model=buoy", body, headers=csv).text


def test_series_without_a_usual_forecast_are_listed_with_their_reasons(copied: Path, service: Any) -> None:
    """On the page of every series, above its own chart, and for programs."""
    said = [
        Remark(unique_id="<gone>", forecast=False, reason="left out of the last ingestion: no reading"),
        Remark(unique_id="b", forecast=True, reason="stale: its last reading is at noon"),
    ]
    keep(Workspace(copied), "buoy", Remarks(version=1, created=datetime(2026, 2, 1), series=tuple(said)))  # noqa: DTZ001
    with service(copied) as client:
        first, second = (client.get("/", params={"model": "buoy", "series": name}).text for name in ("a", "b"))
        answer = client.get("/v1/series/buoy").json()
    for page in (first, second):
        assert "2 series without a usual forecast" in page
        assert '<th scope="row">&lt;gone&gt;</th><td>none</td>' in page
    assert "Its latest stored forecast" in second
    assert "Its latest stored forecast" not in first
    assert answer == {"series": ["a", "b"], "remarks": [one.model_dump() for one in said]}


def test_spreadsheet_with_semicolons_and_decimal_commas_is_understood(client: Any) -> None:
    """What a European spreadsheet saves: a byte order mark, semicolons, decimal commas, empty cells."""
    spec = client.app.state.gatecast.catalog.slot("farm").current.forecaster.spec
    body = "\ufeffunique_id;ds;y;p;label\nNA;2026-01-01 00:00;1,5;;NA\nNA;2026-01-01 01:00;NA;2;low\n".encode()

    found = columns_of_csv(body, spec, most=100)

    assert found["unique_id"] == ["NA", "NA"]
    assert found["y"] == [1.5, None]
    assert found["p"] == [None, 2.0]
    assert found["label"] == ["NA", "low"]
    for text in (b"two", b"2.500", b"1.234,5"):  # with a point it is 2.5 to one reader and 2500 to another
        with pytest.raises(ServiceError, match="numbers are needed"):
            columns_of_csv(body.replace(b";2;", b";" + text + b";"), spec, most=100)
    assert columns_of_csv(body.replace(b";2;", b";2.5;"), spec, most=100)["p"] == [None, 2.5]


def test_a_page_that_fails_is_still_a_page(copied: Path, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the id under which the log knows the fault, and not a word of it."""

    def fault(*_: Any) -> None:
        raise RuntimeError("nobody thought of that")

    monkeypatch.setattr("forecasting.serve.routes.pages.stored", fault)
    with service(copied) as client:
        answer = client.get("/?model=buoy", headers={"X-Request-ID": "my-id"})
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "my-id" in answer.text
    assert "nobody thought" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/forecasts", 404, "there is nothing under this address"),
        (f"/?model={'m' * 300}", 422, "at most 256 characters"),
        ("/upload?model=buoy&model=" + "m" * 300, 422, "at most 256 characters"),
    ],
)
def test_a_browser_is_refused_with_a_page(client: Any, path: str, status: int, said: str) -> None:
    """Whoever wrote an address by hand reads a sentence with a way back; a program gets the same as JSON."""
    seen = client.get(path, headers={"Accept": "text/html,application/xhtml+xml"})
    assert (seen.status_code, seen.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in seen.text
    told = client.get(path, headers={"Accept": "*/*"})
    assert told.status_code == status
    assert said in str(told.json()["error"])


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1"])
def test_names_that_are_formulas_stay_texts_in_a_spreadsheet(client: Any, history: Any, name: str) -> None:
    """The file to keep has an apostrophe before them; the answer itself has the name as it came."""
    table = history(name, "plain", rows=12)
    answer = client.post("/upload?model=buoy", csv_of(table), headers={"Content-Type": "text/csv"})
    kept = pd.read_csv(pd.io.common.StringIO(json.loads(Reader(answer.text).scripts[0])), dtype="str")
    assert set(kept["unique_id"]) == {f"'{name.strip()}", "plain"}  # blanks around a name are no part of it


def test_plotly_is_the_untouched_release_with_its_licence() -> None:
    """plotly.js 4.1.1, the distributed bundle `basic`, minified, to the last byte."""
    static = files("forecasting.serve.pages").joinpath("static")
    script = static.joinpath("plotly-basic.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    assert b"plotly.js (basic - minified) v4.1.1" in script[:200]
    assert "Plotly Technologies" in static.joinpath("plotly-basic.LICENSE").read_text(encoding="utf-8")


def test_files_are_kept_for_ever_under_an_address_of_their_content(client: Any) -> None:
    """The right address is kept for a year, packed where the browser can unpack it; any other one leads nowhere."""
    for name in ("page.css", "page.js", "charts.js", "icon.svg", "plotly-basic.min.js"):
        plain = client.get(address(name), headers={"Accept-Encoding": "identity"})
        packed = client.get(address(name), headers={"Accept-Encoding": "gzip"})
        assert plain.status_code == 200
        assert "immutable" in plain.headers["cache-control"]
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
    for path in ("/static/0/page.css", "/static/0/base.html", "/static/0/..%2f..%2fkeys.py", "/static/0/plotly"):
        assert client.get(path).status_code == 404
