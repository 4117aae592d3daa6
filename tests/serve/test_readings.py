"""Readings that are sent: checked like a file, kept before they are answered, in the store soon after, and once."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from forecasting.bundle.fast_path import Readings
from forecasting.config.job import load_job, parse_job
from forecasting.config.series import Series
from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import ConfigError, LockedError, SpaceError
from forecasting.runtime.locks import spool_lock
from forecasting.series.clean import clean
from forecasting.series.validate import validate
from forecasting.serve.app import create_app
from forecasting.serve.client import Client
from forecasting.serve.errors import ServiceError
from forecasting.serve.intake import Intake, ReadingsRequest, is_plain
from forecasting.serve.judging import Judge
from forecasting.serve.keys import new_key
from forecasting.storage.ingestion import any_length
from forecasting.storage.store import Store
from tests.serve.taker import stamp

ROOT = Path(__file__).parents[2]
JOB = {
    "name": "meter",
    "source": {"kind": "synthetic"},
    "series": {"freq": "h", "lower": 0, "future": ["price"], "categorical": ["kind"], "static": ["kind"]},
    "window": {"horizon": 4},
}
Make = Callable[..., Intake]


def records(*y: float | None, name: str = "a", start: str = "2026-01-05", **more: Any) -> list[dict[str, Any]]:
    """Hourly rows of one series."""
    stamps = pd.date_range(start, periods=len(y), freq="h").strftime("%Y-%m-%dT%H:%M:%S")
    rest = {"price": 1.0, "kind": "old", **more}
    return [{"unique_id": name, "ds": ds, "y": value, **rest} for ds, value in zip(stamps, y, strict=True)]


def config(folder: Path, name: str = "meter", **series: Any) -> Path:
    """The file of a job."""
    path = folder / f"{name}.yaml"
    content = {**JOB, "name": name, "series": {**JOB["series"], **series}}  # type: ignore[dict-item]
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture
def make(home: Path) -> Make:
    """An intake of the job on the home of the test."""

    def build(series: dict[str, Any] | None = None, **settings: Any) -> Intake:
        job = parse_job(JOB if series is None else {**JOB, "series": series})
        return Intake(job, Store(home), ServeSettings(**settings))

    return build


def send(intake: Intake, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is answered to these rows."""
    return intake.accept(ReadingsRequest(records=rows))


def stored(home: Path, name: str = "meter") -> dict[tuple[str, str], float]:
    """The stored readings by their keys; missing ones are -1."""
    table = Store(home).observations.read(name)
    assert not table.duplicated(["unique_id", "ds"]).any()
    keys = zip(table["unique_id"], table["ds"].dt.strftime("%d %H"), strict=True)
    return dict(zip(keys, table["y"].fillna(-1), strict=True))


def test_readings_that_are_sent_are_judged(home: Path, make: Make) -> None:
    """After a merge, by the forecasts that were stored before; nothing is judged twice, nor more often than it may."""
    intake, store = make(), Store(home)
    judge = Judge(parse_job(JOB), store, None)
    ds = pd.date_range("2026-01-05", periods=4, freq="h", unit="us")
    made = pd.DataFrame(
        {"unique_id": "a", "ds": ds, "cutoff": ds[0] - pd.Timedelta(hours=1), "version": 1, "model": "m"}
    )
    quantiles = {"step": [1, 2, 3, 4], "q0.1": 4.0, "q0.5": 5.0, "q0.9": 6.0}
    store.forecasts.append("meter", made.assign(**quantiles).astype({"unique_id": "str"}))
    assert judge.judge(0) == 0
    judge._rested = 0.0
    send(intake, records(5.1))
    judge.judge(intake.merge())
    judge._rested = 0.0
    send(intake, records(5.1, 4.8, 50.0))
    assert judge.judge(intake.merge()) == 1
    assert store.judgments.read("meter")["ds"].to_list() == [*ds[:3]]
    [event] = store.anomalies.read("meter").to_dict("records")
    assert (event["y"], event["start"], event["told"]) == (50.0, ds[2], True)
    send(intake, records(5.1, 4.8, 50.0, 50.0))
    assert judge.judge(intake.merge()) == 0  # it rests
    assert len(store.judgments.read("meter")) == 3


def test_readings_are_in_the_store_after_a_merge(home: Path, make: Make) -> None:
    """Also after a restart before it; the same ones again make no new version, another value corrects."""
    assert send(make(), records(1.0, 2.0)) == {"name": "meter", "rows": 2, "readings": 2, "series": 1}
    assert make().merge() == 2
    version = Store(home).observations.version("meter")
    again = make()
    send(again, records(1.0, 2.0))
    assert again.merge() == 0
    assert Store(home).observations.version("meter") == version
    send(again, records(5.0))
    again.merge()
    assert stored(home) == {("a", "05 00"): 5.0, ("a", "05 01"): 2.0}


def test_readings_are_cleaned_like_a_file(home: Path, make: Make) -> None:
    """Order, bounds, and ends, and what is known ahead stays; the answer says what was found, without names."""
    intake = make()
    rows = [*records(-7.0, 3.0)[::-1], *records(None, start="2026-01-05T02:00", price=None), *records(4.0, name="b")]
    answer = send(intake, [*rows, *records(None, start="2026-01-05T03:00")])
    assert (answer["rows"], answer["readings"], answer["series"]) == (3, 2, 2)
    assert [note.partition(",")[0] for note in answer["notes"]] == [
        "1 reading(s) below the lower bound count as missing",
        "1 row(s) step back in time",
        "1 step(s) are missing between readings",
        "1 row(s) stand before the first reading of their series",
        "1 row(s) stand after the last reading of their series",
    ]
    intake.merge()
    assert stored(home) == {("a", "05 01"): 3.0, ("a", "05 03"): -1.0, ("b", "05 00"): 4.0}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [*records(9.0, name="good"), *records(1.0), *records(2.0)],
            "1 row(s) repeat a stamp of their series with other values",
        ),
        ([*records(1.0), *records(2.0, start="2026-01-05T01:30")], "1 stamp(s) are off the grid"),
        (records(2.0, name="known", start="2026-01-05T01:30"), "1 stamp(s) lie between the steps of h"),
        ([{**records(1.0)[0], "y": "much"}], "y must hold numbers or null"),
        ([{**records(1.0)[0], "colour": "red"}], "1 column(s) are unknown"),
        ([{"unique_id": "a", "ds": "2026-01-05", "y": 1.0, "price": 1.0}], "column kind is missing"),
        ([{**records(1.0)[0], "ds": "yesterday"}], "ds must hold texts in ISO 8601"),
        ([{**records(1.0)[0], "y": None, "price": None}], "1 series, and none has a reading"),
        ([], "there are no rows"),
    ],
)
def test_what_a_file_may_not_hold_is_refused_whole(home: Path, make: Make, rows: list[Any], told: str) -> None:
    """With its reason, and nothing of it is kept."""
    intake = make()
    send(intake, records(1.0, name="known"))
    with pytest.raises(ServiceError) as refused:
        send(intake, rows)
    assert refused.value.status == 422
    assert told in "\n".join(refused.value.details)
    intake.merge()
    assert stored(home) == {("known", "05 00"): 1.0}


@given(data=st.data())
def test_plain_readings_are_those_of_which_nothing_is_said(data: st.DataObject) -> None:
    """What is called plain, validation passes without a word, and cleaning leaves as it is, but for its order."""
    values = st.sampled_from([1.0, 2.0, 5.0, -1.0, np.nan])
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), values, values), min_size=1, max_size=4)
    )
    ids, steps, y, price = zip(*rows, strict=True)
    freq, start = data.draw(st.sampled_from(["h", "D", "MS"])), data.draw(st.sampled_from([None, "2026-01-05T02"]))
    stamps = np.array([np.datetime64("2026-01-05", "us") + np.timedelta64(step, "h") for step in steps])
    series = any_length(Series(freq=freq, lower=0, future=("price",), start=start))
    readings = Readings([*ids], stamps, np.array(y), {"price": np.array(price)})
    event(f"plain: {is_plain(readings, series)}")
    if is_plain(readings, series):
        table = readings.table()
        assert validate(table, series).violations == ()
        pd.testing.assert_frame_equal(clean(table, series).table, table.sort_values("unique_id", ignore_index=True))


def test_the_grid_of_a_series_is_that_of_its_stored_readings(home: Path, make: Make) -> None:
    """Half past, if it was half past; a calendar of every second month counts from there, too."""
    half, month = "2026-01-05T00:30", {"freq": "2MS"}
    send(make(), records(1.0, start=half))
    make().merge()
    send(make(), records(2.0, start="2026-02-11T07:30"))
    with pytest.raises(ServiceError):
        send(make(), records(2.0, start="2026-02-11T07:00"))
    monthly = make(month)
    monthly.spool.take()
    monthly._seen = {"a": np.datetime64("2020-01-01", "us")}
    row = {"unique_id": "a", "y": 1.0}
    send(monthly, [{**row, "ds": "2026-03-01"}])
    with pytest.raises(ServiceError, match="cannot be used"):
        send(monthly, [{**row, "ds": "2026-04-01"}])


def test_values_known_ahead_need_readings_before(home: Path, make: Make) -> None:
    """Of any series: otherwise there is no table yet that they could join."""
    with pytest.raises(ServiceError) as refused:
        send(make(), records(None))
    assert refused.value.details == ("values that are known ahead come before any reading",)
    intake = make()
    send(intake, records(1.0))
    send(intake, records(None, name="new", price=7.0))
    intake.merge()
    table = Store(home).observations.read("meter").set_index("unique_id")
    assert table.loc["new", "price"] == 7.0
    assert np.isnan(table.loc["new", "y"])


def test_a_full_spool_asks_to_come_back(make: Make) -> None:
    """429 until it was merged."""
    intake = make(max_spool_mb=0.003, merge_seconds=7)
    send(intake, records(1.0))
    with pytest.raises(ServiceError) as refused:
        send(intake, records(*np.arange(300.0).tolist()))
    told = refused.value
    assert (told.status, told.code, told.headers["Retry-After"]) == (429, "spool_full", "7")
    intake.merge()
    send(intake, records(2.0))


def test_a_disk_that_takes_nothing_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and nothing is answered as kept; the reason is for the log."""
    intake = make()

    def full(*_: object) -> None:
        raise SpaceError("no space left on /secret")

    monkeypatch.setattr(intake.spool, "append", full)
    with pytest.raises(ServiceError) as refused:
        send(intake, records(1.0))
    assert (refused.value.status, refused.value.code) == (503, "not_kept")
    assert "secret" not in refused.value.message


def test_readings_need_a_home_that_can_be_written(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service on a home that is read-only forecasts, but takes nothing."""
    monkeypatch.setattr("forecasting.serve.intake.writable", lambda _: False)
    with pytest.raises(ConfigError, match="read-only"):
        create_app(Settings(home=home), ServeSettings(ingest=(config(tmp_path),)))
    create_app(Settings(home=home), ServeSettings())


def test_two_services_do_not_share_a_spool(home: Path, tmp_path: Path) -> None:
    """The second one is told at its start."""
    path = config(tmp_path)
    hold = "from forecasting.runtime.locks import spool_lock; from pathlib import Path; import sys\n"
    hold += "with spool_lock(Path(sys.argv[1]), 'meter', 0): print('held', flush=True); sys.stdin.read()"
    settings = Settings(home=home)
    command = [sys.executable, "-c", hold, str(settings.locks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        app = create_app(settings, ServeSettings(ingest=(path,), drain_seconds=0.1))
        with pytest.raises(LockedError, match="meter"):
            app.state.intakes.check_alone()
        holder.communicate()
    app.state.intakes.check_alone()
    with spool_lock(settings.locks, "meter", 0):  # the process that holds a lock may take it again
        pass


def test_every_answered_reading_survives_kills(home: Path, tmp_path: Path) -> None:
    """SIGKILL while readings are kept and merged: each that was answered is in the store, with its value, once."""
    path, answered, begun = config(tmp_path, future=[], static=[], categorical=[]), [], 0
    for count in (3, 25, 60):
        command = [sys.executable, "-m", "tests.serve.taker", str(path), str(begun)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            answered += [int(process.stdout.readline()) for _ in range(count)]
            process.send_signal(signal.SIGKILL)
            answered += [int(line) for line in process.stdout.read().split()]
        begun = answered[-1] + 1
    Intake(load_job(path), Store(home), ServeSettings()).merge()
    table = Store(home).observations.read("meter")
    assert not table["ds"].duplicated().any()
    found = dict(zip(table["ds"], table["y"], strict=True))
    assert [number for number in answered if found.get(pd.Timestamp(stamp(number))) != number] == []
    assert len(found) <= len(answered) + 3  # what was kept when the kill came, and not answered any more


@pytest.fixture
def web(service: Any, database: Path, home: Path, tmp_path: Path) -> Iterator[tuple[Any, dict[str, dict[str, str]]]]:
    """A service that serves no model yet and takes the readings of two jobs, and the headers of some keys."""
    home.mkdir()
    shutil.copy(database, home / "mlflow.db")
    made = {scope: new_key(scope, [scope]) for scope in ("read", "write", "admin")}
    made["one"] = new_key("one", ["write"], models=["meter"])
    keys = json.dumps([key.entry.model_dump(mode="json") for key in made.values()])
    paths = (config(tmp_path), config(tmp_path, "other"))
    with service(home, keys=keys, ingest=paths, merge_seconds=3600, timeout_seconds=120) as client:
        yield client, {name: {"X-API-Key": key.secret} for name, key in made.items()}


def test_the_route_wants_its_scope_and_a_job_that_exists_for_the_key(web: Any) -> None:
    """Answered 202 when kept; without a name only where one job is left."""
    client, keys = web
    body = {"records": records(1.0)}

    def asked(key: str, **more: Any) -> tuple[int, str]:
        answer = client.post("/v1/readings", {**body, **more}, headers=keys[key])
        content = answer.json()
        return answer.status_code, content["name"] if answer.is_success else content["error"]["code"]

    assert asked("read", name="meter") == (403, "forbidden")
    assert asked("write", name="meter") == asked("admin", name="meter") == asked("one") == (202, "meter")
    assert asked("write") == (422, "unknown_model")
    assert asked("write", name="none") == asked("one", name="other") == (404, "unknown_model")
    assert "other" not in client.post("/v1/readings", {**body, "name": "other"}, headers=keys["one"]).text
    assert client.post("/v1/readings", b"{}", headers=keys["write"]).status_code == 415
    assert client.post("/v1/models/meter/reload", headers=keys["write"]).status_code == 403


def test_the_metrics_say_what_waits(web: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, bytes, and failures; a merge that fails ends nothing."""
    client, keys = web
    client.post("/v1/readings", {"name": "meter", "records": records(1.0, 2.0)}, headers=keys["write"])

    def shown(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f'{name}{{model="meter"}}')))

    assert shown("gatecast_readings_total") == 2
    assert shown("gatecast_spool_bytes") > 0
    intakes = client.app.state.intakes
    intake = intakes.intake("meter", None)
    with monkeypatch.context() as broken:
        broken.setattr(intake, "merge", lambda: 1 / 0)
        client.runner.run(intakes._merge_all())
    assert shown("gatecast_merges_failed_total") == 1
    client.runner.run(intakes._merge_all())
    assert shown("gatecast_spool_bytes") == 0
    assert shown("gatecast_last_merge_seconds") < 60
    assert stored(home) == {("a", "05 00"): 1.0, ("a", "05 01"): 2.0}


def test_without_keys_nobody_sends(client: Any) -> None:
    """Nor is anything told of jobs."""
    answer = client.post("/v1/readings", {"records": records(1.0)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_the_client_sends_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamps with a zone are sent in UTC, and the answer is what was kept."""
    sent: list[Any] = []
    client = Client("http://localhost")
    monkeypatch.setattr(client, "_ask", lambda *request: sent.append(request) or {"rows": 1})
    table = pd.DataFrame({"unique_id": ["a"], "ds": [pd.Timestamp("2026-01-05 01:00", tz="Europe/Vienna")], "y": [1.0]})
    assert client.send(table, name="meter") == {"rows": 1}
    columns = {"unique_id": ["a"], "ds": ["2026-01-05T00:00:00.000000"], "y": [1.0]}
    assert sent == [("POST", "/v1/readings", {"name": "meter", "columns": columns})]
