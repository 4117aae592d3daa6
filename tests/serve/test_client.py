"""The client: tables in and out, the service's sentence where it says no, and the OpenAPI document for all others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job
from forecasting.errors import GatecastError
from forecasting.monitor.live import live_scores
from forecasting.serve.client import Client, RefusedError, UnavailableError
from forecasting.storage.store import Store


def test_client_does_everything_against_a_real_service(
    copied: Path, gatecast: list[str], serving: Any, make_keys: Any, rich: tuple[pd.DataFrame, Job],
    history: Callable[..., pd.DataFrame], tmp_path: Path,
) -> None:  # fmt: skip
    """Forecasts with and without covariates, what is stored, and a promotion there and back."""
    keys, secrets = make_keys("admin")
    table = history("b", "a", rows=10)
    with serving(gatecast, copied, tmp_path / "log", GATECAST_SERVE_KEYS=keys) as served:
        with Client(served.url, secrets["admin"], timeout=60) as client:
            given = client.forecast(table, name="buoy", level=[80])
            aware = client.forecast(
                table.assign(ds=table["ds"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")), name="buoy"
            )
            short = client.forecast(table, name="buoy", h=2, quantiles=[0.9])
            known, ahead = farm(rich[0])
            alternatives = client.forecast(known, {"base": ahead, "warm": ahead.assign(f=9.0)}, name="farm")
            kinds = [model["kind"] for model in client.models()]
            stored = client.vintages("buoy", unique_id="a", limit=2)
            scores = client.scores("buoy", by="step")
            promoted = client.promote("buoy", 2)["version"]
            back = client.rollback("buoy")["version"]
            versions = [version["version"] for version in client.versions("buoy")]
            with pytest.raises(RefusedError, match="no model of that name is served"):
                client.forecast(table, name="other")
        with Client(served.url, "wrong", timeout=60) as stranger, pytest.raises(RefusedError, match="valid API key"):
            stranger.models()
    expected = open_forecaster(copied / "cache" / "buoy" / "1").forecast(table)
    expected = expected.sort_values("unique_id", ascending=False, kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(given, expected, rtol=1e-6)
    pd.testing.assert_frame_equal(aware, expected, rtol=1e-6)
    alone = open_forecaster(copied / "cache" / "farm" / "1").forecast(known, ahead.assign(f=9.0))
    warm = alternatives[alternatives["scenario"] == "warm"].drop(columns="scenario").reset_index(drop=True)
    pd.testing.assert_frame_equal(warm, alone, rtol=1e-5)
    assert len(alternatives) == 2 * len(warm)
    assert list(short.columns) == ["unique_id", "ds", "cutoff", "step", "q0.5", "q0.9"]
    assert kinds == ["drift", "ridge"]
    assert (promoted, back, versions) == (2, 1, [2, 1])
    newest = Store(copied).forecasts.read("buoy", unique_id="a")
    newest = newest[newest["cutoff"] >= stored["cutoff"].min()]
    assert stored["q0.5"].tolist() == newest.sort_values(["cutoff", "ds"], ascending=[False, True])["q0.5"].tolist()
    pd.testing.assert_frame_equal(scores, live_scores(Store(copied), "buoy", "step"), check_dtype=False)


def farm(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last readings of one series with every covariate, and the next values of the one that is known ahead."""
    known = table[(table["unique_id"] == "a") & table["y"].notna()].tail(40).reset_index(drop=True)
    stamps = pd.date_range(known["ds"].iloc[-1], periods=20, freq="h", unit="us")[1:]
    return known, pd.DataFrame({"unique_id": "a", "ds": stamps, "f": 0.5})


def web(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    """A client whose answers are made up."""
    found = Client("http://gatecast", "key")
    found._web = httpx.Client(base_url="http://gatecast", transport=httpx.MockTransport(answer))
    return found


def test_covariates_and_what_is_known_ahead_are_sent(rich: tuple[pd.DataFrame, Job]) -> None:
    """Missing values as null, labels as texts, stamps in ISO 8601."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"model": {}, "columns": {"unique_id": [], "ds": [], "cutoff": [], "step": []}})

    table = rich[0].head(3).assign(y=[1.0, np.nan, 3.0])
    empty = web(answer).forecast(table, table[["unique_id", "ds", "f"]])
    content = json.loads(sent[0].content)
    assert content["columns"]["y"] == [1.0, None, 3.0]
    assert set(map(type, content["columns"]["label"])) <= {str, type(None)}
    assert [pd.Timestamp(text) for text in content["future"]["ds"]] == table["ds"].tolist()
    assert empty.empty


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (httpx.Response(422, json={"error": {"code": "x", "message": "no", "details": ["a", "b"]}}), RefusedError, "x"),
        (httpx.Response(429, json={"error": {"code": "y", "message": "no", "details": []}}), UnavailableError, "y"),
        (httpx.Response(502, text="<html>"), UnavailableError, "no_service"),
        (httpx.Response(404, json=["?"]), RefusedError, "no_service"),
    ],
)
def test_errors_are_the_services_own(response: httpx.Response, kind: type[RefusedError], code: str) -> None:
    """The sentence with its details; what may be tried again is another class."""
    with pytest.raises(GatecastError) as caught:
        web(lambda _: response).models()
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (code, response.status_code)
    if code == "x":
        assert str(caught.value) == "no\n  - a\n  - b"


def test_service_out_of_reach_is_told() -> None:
    """One sentence, and another try may help."""
    with Client("http://127.0.0.1:9", timeout=2) as client, pytest.raises(UnavailableError, match="gave no answer"):
        client.models()


def test_openapi_describes_every_route_with_examples(client: Any) -> None:
    """Valid, without a reference that leads nowhere, every body and every answer with an example."""
    validator = pytest.importorskip("jsonschema", reason="needs jsonschema")
    document = client.get("/openapi.json").json()
    routes = set(document["paths"])
    assert {
        *("/v1/forecast", "/v1/models", "/v1/models/{name}/versions", "/v1/models/{name}/promote", "/v1/vintages"),
        *("/v1/models/{name}/rollback", "/v1/models/{name}/reload", "/v1/scores", "/v1/series/{name}", "/v1/history"),
        *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/infer"),
        *("/v2/models/{name}/versions/{version}/infer", "/ping", "/invocations", "/invocations/{name}", "/healthz"),
    } <= routes
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["summary"], path
            if "requestBody" in route:
                (content,) = route["requestBody"]["content"].values()
                assert content["examples"], path
                validator.Draft202012Validator.check_schema(content["schema"])
                for example in content["examples"].values():
                    validator.validate(example["value"], content["schema"])
            if path.startswith(("/v1", "/v2")):
                done = [answer for code, answer in route["responses"].items() if code.startswith("2")]
                assert done, (path, method)
                assert all("example" in answer["content"]["application/json"] for answer in done), (path, method)
            for parameter in route.get("parameters", []):
                assert parameter["in"] == "path" or "examples" in str(parameter) or "enum" in str(parameter), path
    assert "$defs" not in str(document)
    references = [part for part in str(document).split("'") if part.startswith("#/")]
    assert all(_found(document, reference) for reference in references)


def _found(document: Any, reference: str) -> bool:
    for part in reference.removeprefix("#/").split("/"):
        document = document.get(part)
        if document is None:
            return False
    return True


@pytest.mark.parametrize("path", ["/v1/forecast", "/v2/models/buoy/infer", "/invocations/buoy"])
def test_documented_examples_are_answered(client: Any, path: str) -> None:
    """Every example of a body gives a forecast with a real model; those of a prompt and of prices are for others."""
    route = path.replace("buoy", "{name}")
    body = client.get("/openapi.json").json()["paths"][route]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"].values()
    for example in [example for example in examples if not {"prompt", "scenarios"} & example["value"].keys()]:
        content = {**example["value"], "name": "buoy"} if path == "/v1/forecast" else example["value"]
        assert client.post(path, content).status_code == 200
