"""Named alternatives over HTTP: each is the forecast of its own table, in one answer and in one list of vintages."""

import io
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
from forecasting.storage.store import Store

PATH = "/v1/forecast"
SECRET = "s3cr3t-what-came"


@pytest.fixture(scope="session")
def forecaster(stocked: Path) -> Forecaster:
    """The champion of `farm`, which reads `f` ahead."""
    return open_forecaster(stocked / "cache" / "farm" / "1")


@pytest.fixture(scope="session")
def sent(
    rich: tuple[pd.DataFrame, Job], forecaster: Forecaster, columns: Callable[..., Any]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The last readings of two series, and two tables of what follows them."""
    table = rich[0][rich[0]["unique_id"].isin(["a", "c"]) & rich[0]["y"].notna()].groupby("unique_id").tail(40)
    ends = table.groupby("unique_id")["ds"].max()
    ahead = pd.concat(
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range(end, periods=forecaster.spec.horizon + 1, freq="h", unit="us")[1:],
                "f": np.linspace(-1, 1, forecaster.spec.horizon),
            }
        )
        for name, end in ends.items()
    )
    return table.reset_index(drop=True), {"base": ahead, "warm": ahead.assign(f=ahead["f"] + 3)}


@pytest.fixture(scope="session")
def ask(client: Any, sent: Any, columns: Callable[..., Any]) -> Callable[..., httpx.Response]:
    """Asks for the forecasts of alternatives."""

    def call(scenarios: dict[str, pd.DataFrame] | None = None, **more: Any) -> httpx.Response:
        tables = {name: columns(table) for name, table in (scenarios or sent[1]).items()}
        response: httpx.Response = client.post(
            PATH, {"name": "farm", "columns": columns(sent[0]), "scenarios": tables, **more}
        )
        return response

    return call


def test_every_alternative_is_the_forecast_of_its_table(
    ask: Callable[..., httpx.Response], sent: Any, forecaster: Forecaster
) -> None:
    """The numbers of the forecaster on the history and one future, named in the last column, as columns or records."""
    response = ask()
    assert response.status_code == 200, response.text
    table = pd.DataFrame(response.json()["columns"])
    assert table.columns[-1] == "scenario"
    assert table["scenario"].unique().tolist() == ["base", "warm"]
    for name, future in sent[1].items():
        expected = forecaster.forecast(sent[0], future)
        assert table.loc[table["scenario"] == name, "q0.5"].to_numpy() == pytest.approx(
            expected["q0.5"].to_numpy(), rel=1e-5
        )
    medians = table.groupby("scenario")["q0.5"].apply(list)
    assert medians["base"] != medians["warm"]
    records = ask(answer="records").json()["records"]
    assert pd.DataFrame(records).equals(table)


def test_the_documented_example_is_answered(client: Any) -> None:
    """As it stands in the OpenAPI document, with the covariates of another model in the place of its price."""
    route = client.get("/openapi.json").json()["paths"]["/v1/forecast"]["post"]
    text = json.dumps(route["requestBody"]["content"]["application/json"]["examples"]["scenarios"]["value"])
    content = json.loads(text.replace('"price"', '"f"')) | {"name": "farm"}
    content["columns"] |= {"p": [1.0] * 3, "label": ["low"] * 3, "area": [1.0] * 3, "kind": ["city"] * 3}
    answer = client.post(PATH, content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["columns"]["scenario"] == ["base"] * 2 + ["sale"] * 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda content: {**content, "future": content["scenarios"]["base"]}, "give future or scenarios, not both"),
        (lambda content: {**content, "scenarios": {}}, "scenarios holds 1 to 20 tables"),
        (
            lambda content: {**content, "scenarios": {str(n): content["scenarios"]["base"] for n in range(21)}},
            "at most 20 items are allowed",
        ),
        (
            lambda content: {**content, "scenarios": {"": content["scenarios"]["base"]}},
            "the name of a scenario has 1 to 64 characters",
        ),
        (
            lambda content: {**content, "scenarios": {SECRET: {"unique_id": ["a"], "ds": ["soon"]}}},
            "scenario 1: column f is missing",
        ),
        (
            lambda content: {**content, "scenarios": {"base": content["scenarios"]["base"], SECRET: [SECRET]}},
            "every row must be an object",
        ),
        (lambda content: {**content, "name": "buoy"}, "this model reads no covariates known ahead"),
        (lambda content: {**content, "prompt": SECRET}, "prompt"),
    ],
)
def test_alternatives_that_cannot_be_forecast_are_refused(
    client: Any, sent: Any, columns: Callable[..., Any], change: Callable[[Any], Any], text: str
) -> None:
    """Which one by its number, what is wrong with it, and nothing of what came."""
    content = {"columns": columns(sent[0]), "scenarios": {name: columns(one) for name, one in sent[1].items()}}
    response = client.post(PATH, change({"name": "farm", **content}))
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert text in "; ".join([error["message"], *error["details"]])
    assert SECRET not in response.text


def test_rows_and_series_count_once_for_each_alternative(
    service: Any, copied: Path, sent: Any, columns: Callable[..., Any]
) -> None:
    """Twenty alternatives of a large history are twenty large requests."""
    history, tables = columns(sent[0]), {name: columns(one) for name, one in sent[1].items()}
    rows = len(sent[0]) + len(sent[1]["base"])
    for limits, text in (
        ({"max_rows": 2 * rows - 1}, f"{2 * rows} rows, with the history once for each scenario"),
        ({"max_series": 3}, "4 series in all scenarios together, allowed are 3"),
    ):
        with service(copied, **limits) as small:
            response = small.post(PATH, {"name": "farm", "columns": history, "scenarios": tables})
            assert response.status_code == 422
            assert text in "; ".join(response.json()["error"]["details"])
            one = {"base": tables["base"]}
            assert small.post(PATH, {"name": "farm", "columns": history, "scenarios": one}).status_code == 200


def test_vintages_of_an_alternative_are_asked_for_by_name(service: Any, copied: Path) -> None:
    """They carry their label; without it come the forecasts that are scored, labeled base."""
    store = Store(copied)
    made = store.forecasts.read("buoy")
    last = made[made["cutoff"] == made["cutoff"].max()]
    store.alternatives.keep("buoy", last.assign(scenario="warm", **{"q0.5": 99.0}))
    with service(copied) as client:
        warm = client.get("/v1/vintages", params={"name": "buoy", "scenario": "warm"}).json()
        base = client.get("/v1/vintages", params={"name": "buoy", "unique_id": "a"}).json()
        none = client.get("/v1/vintages", params={"name": "buoy", "scenario": "cold"}).json()
        assert client.get("/v1/scores", params={"name": "buoy"}).json()["scores"][0]["mae"] < 10
    assert {(row["scenario"], row["q0.5"]) for row in warm["vintages"]} == {("warm", 99.0)}
    assert (warm["total"], len(warm["vintages"])) == (2, len(last))
    assert {row["scenario"] for row in base["vintages"]} == {"base"}
    assert base["scenarios"] == warm["scenarios"] == ["base", "warm"]
    assert none["vintages"] == []


CSV = {"Content-Type": "text/csv"}


def kept(response: httpx.Response) -> pd.DataFrame:
    """The file to keep of an answer of the page."""
    assert response.status_code == 200, response.text
    text = response.text.partition('id="csv">')[2].partition("</script>")[0]
    return pd.read_csv(io.StringIO(json.loads(text)))


def test_a_file_may_name_its_alternatives_in_a_column(client: Any, sent: Any, ask: Callable[..., Any]) -> None:
    """Readings without a label, or repeated under each: the numbers are those of the service, side by side."""
    history, tables = sent
    alone = pd.concat([history, *(one.assign(scenario=name) for name, one in tables.items())])
    repeated = pd.concat(pd.concat([history, one]).assign(scenario=name) for name, one in tables.items())
    unnamed = pd.concat([history, tables["base"], tables["warm"].assign(scenario="warm")])
    expected = pd.DataFrame(ask().json()["columns"])
    for table in (alone, repeated, unnamed):
        response = client.post("/upload?model=farm", table.to_csv(index=False).encode(), headers=CSV)
        found = kept(response)
        assert found["scenario"].tolist() == expected["scenario"].tolist()
        assert found["q0.5"].to_numpy() == pytest.approx(expected["q0.5"].to_numpy(), rel=1e-5)
    assert "of each of 2 alternatives" in response.text
    assert '<th scope="col">warm</th>' in response.text
    assert response.text.count("<tr>") == 1 + len(expected) // 2  # one row for both

    form = client.post("/upload/columns?model=farm", alone.to_csv(index=False).encode().split(b"\n")[0], headers=CSV)
    assert '<label for="column-8">scenario</label>' in form.text


def test_alternatives_may_be_tables_of_their_own(client: Any, sent: Any, ask: Callable[..., Any]) -> None:
    """Beside the file of readings; without `unique_id` they are those of every series."""
    history, tables = sent
    expected = pd.DataFrame(ask().json()["columns"])
    texts = [one.to_csv(index=False) for one in tables.values()]
    content = {"history": history.to_csv(index=False), "names": [*tables], "tables": texts}
    found = kept(client.post("/upload?model=farm", content))
    assert found["q0.5"].to_numpy() == pytest.approx(expected["q0.5"].to_numpy(), rel=1e-5)

    ends = history.groupby("unique_id")["ds"].max()
    assert ends.nunique() == 1
    one = tables["warm"][tables["warm"]["unique_id"] == "a"].drop(columns="unique_id")
    every = kept(client.post("/upload?model=farm", {**content, "names": ["w"], "tables": [one.to_csv(index=False)]}))
    warm = expected[expected["scenario"] == "warm"]
    assert every["q0.5"].to_numpy() == pytest.approx(warm["q0.5"].to_numpy(), rel=1e-5)

    for wrong, text in (
        ({"names": ["a"]}, "give each of them a name of its own"),
        ({"names": ["a", "a"]}, "give each of them a name of its own"),
        ({"tables": [texts[0], "ds,f\n2026-01-01,x\n"]}, "alternative 2: a column holds 1 value(s)"),
        ({"names": ["a"] * 21, "tables": texts}, "at most 20 items"),
    ):
        answer = client.post("/upload?model=farm", {**content, **wrong})
        assert answer.status_code == 422
        assert text in "; ".join([answer.json()["error"]["message"], *answer.json()["error"]["details"]])


def test_the_page_shows_stored_alternatives_beside_the_forecast(service: Any, copied: Path) -> None:
    """Of the same cutoff and version, in the chart and in the numbers; others are not there."""
    store = Store(copied)
    made = store.forecasts.read("buoy", unique_id="a")
    last = made[made["cutoff"] == made["cutoff"].max()]
    store.alternatives.keep("buoy", last.assign(scenario="warm", **{"q0.5": 77.25}))
    store.alternatives.keep("buoy", last.assign(scenario="other", version=2))
    value = f"{last['cutoff'].iloc[0].isoformat()}@1"
    with service(copied) as client:
        shown = client.get("/", params={"model": "buoy", "series": "a", "vintage": value}).text
        before = client.get("/", params={"model": "buoy", "series": "a"}).text
    assert "Beside it: warm, forecast from the same cutoff" in shown
    assert shown.count("<td>77.25</td>") == len(last)
    assert "Beside it" not in before
