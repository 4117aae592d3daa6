"""All models of a service: moved under load, broken, absent, late, and without their registry."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import ConfigError
from forecasting.registry.client import connect
from forecasting.serve.app import create_app
from forecasting.serve.batching import _Item
from forecasting.serve.catalog import configured

NAME = "buoy"


@pytest.fixture(scope="session")
def body(columns: Callable[..., Any], history: Callable[..., Any]) -> dict[str, Any]:
    """A request for `buoy`."""
    return {"name": NAME, "columns": columns(history("a"))}


def metric(client: Any, name: str) -> float:
    """The value of a metric without labels, or with those of its name."""
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(name)))


def test_champion_moves_under_load_without_a_failed_request(service: Any, copied: Path, body: dict[str, Any]) -> None:
    """Twenty moves while requests never stop: all are answered, each exactly as one version answers."""
    with service(copied, poll_seconds=0.05) as client:
        registry = client.app.state.gatecast.catalog.registry
        answers: list[httpx.Response] = []
        moved = asyncio.Event()

        async def ask() -> None:
            while not moved.is_set():
                answers.append(await client.web.post("/v1/forecast", json=body))

        async def live(version: int) -> None:
            await asyncio.to_thread(registry.aliases.promote, NAME, version)
            while (await client.web.get("/readyz")).json()["models"][NAME] != version:
                await asyncio.sleep(0.01)

        async def run() -> None:
            asking = [asyncio.create_task(ask()) for _ in range(4)]
            for move in range(20):
                await asyncio.wait_for(live(2 - move % 2), 120)
            moved.set()
            await asyncio.gather(*asking)

        client.runner.run(run())
        assert {answer.status_code for answer in answers} == {200}
        told = {1: set[str](), 2: set[str]()}
        for answer in answers:
            content = answer.json()
            told[content["model"]["version"]].add(json.dumps(content["columns"]))
        assert [len(forecasts) for forecasts in told.values()] == [1, 1]
        assert told[1] != told[2]


def test_a_refused_version_raises_the_alarm_once(
    service: Any, copied: Path, stocked: Path, tmp_path: Path, body: dict[str, Any]
) -> None:
    """The alarm rises, the old version answers, the refusal stands among the models, looking again changes nothing."""
    with service(copied) as client:
        catalog = client.app.state.gatecast.catalog
        with connect(catalog.registry.versions.tracking_uri) as registry:
            registry.set_model_version_tag(NAME, "2", "gatecast.manifest", "0" * 64)
        catalog.registry.aliases.promote(NAME, 2)
        for _ in range(3):
            client.runner.run(catalog.look())
        assert metric(client, "gatecast_models_refused_total") == 1
        told = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
        assert "version 2: " in told[NAME]["refusal"]
        assert client.post("/v1/forecast", body).json()["model"]["version"] == 1
        assert client.get("/readyz").status_code == 200
        client.runner.run(catalog.look(NAME, again=True))
        assert metric(client, "gatecast_models_refused_total") == 2


def test_what_is_registered_later_is_served(
    service: Any, copied: Path, register: Callable[..., int], write_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Also where it cannot be used at first: the others stay ready. Models of others are left alone."""
    with service(copied) as client:
        catalog = client.app.state.gatecast.catalog
        assert register(copied, "late", write_bundle(tmp_path / "late", seed=3), "late") == 1
        with connect(catalog.registry.versions.tracking_uri) as registry:
            registry.create_registered_model("foreign")
            registry.create_model_version("foreign", "runs:/none/model")
            registry.set_registered_model_alias("foreign", "champion", "1")
            manifest = registry.get_model_version("late", "1").tags["gatecast.manifest"]
            registry.set_model_version_tag("late", "1", "gatecast.manifest", "0" * 64)
        catalog.registry.aliases.promote("late", 1)
        client.runner.run(catalog.look())
        state = client.get("/readyz").json()
        assert (state["ready"], state["models"]) == (True, {"buoy": 1, "farm": 1, "late": None})
        assert state["details"]["late"]["problem"] == "the version that should answer was refused"
        assert client.get("/v2/models/late").status_code == 503
        with connect(catalog.registry.versions.tracking_uri) as registry:
            registry.set_model_version_tag("late", "1", "gatecast.manifest", manifest)
        client.runner.run(catalog.look())
        assert client.get("/readyz").json()["models"]["late"] == 1


def without_registry(home: Path, body: dict[str, Any]) -> tuple[httpx.Response, ...]:
    """What a service of this home answers that starts while its registry is away: readiness, a forecast, metrics."""
    app = create_app(Settings(home=home, tracking_uri="postgresql+psycopg://127.0.0.1:9/none"), ServeSettings())

    async def run() -> tuple[httpx.Response, ...]:
        async with app.router.lifespan_context(app):
            await app.state.gatecast.catalog.look()
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
                answer = await web.post("/v1/forecast", json=body)
                return await web.get("/readyz"), answer, await web.get("/metrics")

    return asyncio.run(run())


def test_without_a_registry_it_starts_from_the_cache(service: Any, copied: Path, body: dict[str, Any]) -> None:
    """It answers as before, and says that the registry is down."""
    with service(copied) as client:
        before = client.post("/v1/forecast", body).json()
    ready, answer, metrics = without_registry(copied, body)
    assert ready.status_code == 200
    assert answer.json() == before
    assert "gatecast_registry_up 0.0" in metrics.text


def test_without_a_registry_and_a_cache_it_is_not_ready(tmp_path: Path, body: dict[str, Any]) -> None:
    """It starts, knows no model, and says that the registry is down."""
    ready, answer, metrics = without_registry(tmp_path / "empty", body)
    assert ready.status_code == 503
    assert answer.status_code == 404
    assert "gatecast_registry_up 0.0" in metrics.text


def test_a_tag_that_cannot_be_read_holds_nobody_up(service: Any, copied: Path) -> None:
    """Metrics of a version that are no JSON are no metrics: its model and all behind it are followed as before."""
    with service(copied) as client:
        catalog = client.app.state.gatecast.catalog
        with connect(catalog.registry.versions.tracking_uri) as registry:
            for version in ("1", "2"):
                registry.set_model_version_tag(NAME, version, "gatecast.metrics", "{")
        catalog.registry.aliases.promote(NAME, 2)
        client.runner.run(catalog.look())
        assert client.get("/readyz").json()["models"] == {"buoy": 2, "farm": 1}
        assert client.get(f"/v1/models/{NAME}/versions").json()["versions"][0]["metrics"] == {}


def test_a_look_that_fails_is_that_of_one_model(
    service: Any, copied: Path, monkeypatch: pytest.MonkeyPatch, register: Any, write_bundle: Any, tmp_path: Path
) -> None:
    """It is counted, named among the details and visible as a look that gets old; the models behind it are followed."""
    with service(copied) as client:
        catalog = client.app.state.gatecast.catalog
        register(copied, "farm", write_bundle(tmp_path / "next", seed=4), "next")
        catalog.registry.aliases.promote("farm", 2)

        def fault(*_: Any, **__: Any) -> None:
            raise ValueError("nobody thought of that")

        slot = catalog.slot(NAME)
        monkeypatch.setattr(slot, "_follow", fault)
        client.runner.run(catalog.look())
        first = metric(client, 'gatecast_last_look_seconds{model="buoy"}')
        client.runner.run(catalog.look())
        assert metric(client, 'gatecast_last_look_seconds{model="buoy"}') > first
        assert metric(client, 'gatecast_looks_failed_total{model="buoy"}') == 2
        assert metric(client, 'gatecast_last_look_seconds{model="farm"}') < first
        state = client.get("/readyz").json()
        assert state["models"] == {"buoy": 1, "farm": 2}
        assert state["details"]["buoy"]["problem"] == "the look failed: ValueError"
        assert state["details"]["farm"]["problem"] is None


def test_configured_names_are_the_only_ones(service: Any, copied: Path) -> None:
    """At their versions; ready means that all of them are open."""
    with service(copied, names=("buoy@2",)) as client:
        state = client.get("/readyz").json()
        assert (state["ready"], state["models"]) == (True, {"buoy": 2})
        assert state["details"]["buoy"]["problem"] is None
        assert client.get("/v2/models/farm").status_code == 404
    shutil.rmtree(copied / "serve")
    with service(copied, names=("buoy", "absent")) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/readyz").json()["models"] == {"buoy": 1, "absent": None}


@pytest.mark.parametrize("path", ["/v1/forecast", "/invocations/buoy", "/v2/models/buoy/infer"])
def test_a_full_queue_is_said_before_any_work(service: Any, copied: Path, path: str) -> None:
    """429 on every route, when to come back, and nothing about the table that is missing."""
    with service(copied, queue=1) as client:
        batcher = client.app.state.gatecast.catalog.slot(NAME).current.answering.batcher

        async def ask() -> httpx.Response:
            batcher._items.append(_Item({}, 0, asyncio.get_running_loop().create_future()))
            try:
                return await client.web.post(path, json={"name": NAME} if path == "/v1/forecast" else {})
            finally:
                batcher._items.clear()

        refused = client.runner.run(ask())
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize("name", ["../up", "a/b", "", "@1", "a@", "a b", ".", "a@../1"])
def test_names_that_are_paths_stop_the_start(name: str) -> None:
    """They become names of folders."""
    with pytest.raises(ConfigError, match="no model can be called"):
        configured(["good", "good@champion", "good@3", name])
