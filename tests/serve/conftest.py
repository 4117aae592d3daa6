"""A home with registered models that were made directly, and the service on it, in this process or as its own."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from forecasting.bundle.artifact import Origin, write
from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.config.job import Job
from forecasting.config.settings import ServeSettings, Settings
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.features import Features
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from forecasting.series.scaling import Scaler
from forecasting.serve.app import create_app
from forecasting.serve.keys import Scope, new_key
from forecasting.storage.store import Store

CONTEXT, HORIZON = 8, 4
PLAIN, RICH = "buoy", "farm"  # a model of the target alone, and one with every kind of covariate


def write_bundle(directory: Path, *, seed: int = 0, **series: Any) -> Path:
    """A linear model of 8 hours that forecasts 4 of them, with the hour of the day; another seed is another model."""
    random, features = np.random.default_rng(seed), Features(freq="h", calendar=("hour",))
    channels = len(features.inputs)
    weights = 0.3 * random.normal(size=(CONTEXT * channels, HORIZON))
    ahead = 0.3 * random.normal(size=(2 * HORIZON, HORIZON))
    spec = Spec(
        job=PLAIN,
        model="drift",
        baseline=True,
        table=TableSpec(freq="h", calendar=("hour",), **series),
        features=features,
        scaler=Scaler(),
        context=CONTEXT,
        horizon=HORIZON,
        quantiles=(0.5,),
        wanted=(0.1, 0.5, 0.9),
    )
    return write(
        directory,
        spec,
        Graphs(to_onnx(Linear(CONTEXT, weights, ahead, np.zeros(HORIZON)), inputs=channels, ahead=2)),
        calibration=Calibration((0.5,), np.sort(random.normal(size=(HORIZON, 1, 20)).astype(np.float32))),
        golden={
            "past": random.normal(size=(3, CONTEXT, channels)).astype(np.float32),
            "future": random.normal(size=(3, HORIZON, 2)).astype(np.float32),
        },
        origin=Origin(),
    )


def registry_of(home: Path) -> Registry:
    """The registry of a home."""
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home)


def register(home: Path, name: str, bundle: Path, key: str) -> int:
    """Register a bundle in a run of its own."""
    registry = registry_of(home)
    run = registry.runs.start(name, key, {})
    return registry.versions.register(name, run.run_id, bundle, verdict="passed", metrics={"wql": 0.25, "mae": 1.0})


@pytest.fixture(scope="session")
def rich_bundle(rich: tuple[pd.DataFrame, Job], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ridge of the rich table, which reads every kind of input."""
    table, job = rich
    cleaned = clean(table, job.series).table
    data = prepare(cleaned, job, folds(cleaned, job)[0])
    return baselines.fit("ridge", data, job, tmp_path_factory.mktemp("rich") / "bundle", origin=Origin())


@pytest.fixture(scope="session")
def stocked(database: Path, rich_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two versions of `buoy` (1 is champion), one of `farm`, and readings and vintages of `buoy`.

    Not to be changed: copy it first.
    """
    place = tmp_path_factory.mktemp("stocked")
    home = place / "home"
    home.mkdir()
    shutil.copy(database, home / "mlflow.db")
    for seed in (1, 2):
        register(home, PLAIN, write_bundle(place / f"{seed}", seed=seed), f"key{seed}")
    register(home, RICH, rich_bundle, "key")
    for name in (PLAIN, RICH):
        registry_of(home).aliases.promote(name, 1)
    _fill(Store(home), open_forecaster(place / "1"))
    (home / "serve").mkdir()
    for name in (PLAIN, RICH):  # cache and note, so that a service starts from them at once and tries nothing
        registry_of(home).cache.download(name, 1)
        note = {"version": 1, "manifest": registry_of(home).versions.get(name, 1).manifest}
        (home / "serve" / f"{name}@champion.json").write_text(json.dumps(note), encoding="utf-8")
    return home


def _fill(store: Store, forecaster: Forecaster) -> None:
    """Readings of two series, and forecasts at three cutoffs, the last of which reaches beyond them."""
    table = history("a", "b", rows=40)
    store.observations.merge(PLAIN, table)
    for cutoff in table["ds"].unique()[[20, 30, 38]]:
        made = forecaster.forecast(table[table["ds"] <= cutoff])
        made["model"], made["version"], made["created"] = "drift", 1, pd.Timestamp("2026-02-01")
        store.forecasts.append(PLAIN, made)


def history(*names: str, rows: int = 12, start: str = "2026-01-05") -> pd.DataFrame:
    """A long table of regular hourly readings."""
    stamps = pd.date_range(start, periods=rows, freq="h", unit="us")
    parts = [
        pd.DataFrame(
            {"unique_id": pd.array([name] * rows, dtype="str"), "ds": stamps, "y": np.sin(np.arange(rows) + i)}
        )
        for i, name in enumerate(names)
    ]
    return pd.concat(parts, ignore_index=True)


def columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """A table as the columns of a request."""
    shown = table.assign(ds=table["ds"].dt.strftime("%Y-%m-%dT%H:%M:%S"))
    return {str(name): [None if pd.isna(item) else item for item in shown[name].tolist()] for name in shown}


class InProcess:
    """The app in this process, its lifespan run; what it does between two calls waits for the next one."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.app = app
        self.runner = runner
        self.web = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def get(self, path: str, **more: Any) -> httpx.Response:
        """One GET."""
        return self.runner.run(self.web.get(path, **more))

    def post(self, path: str, content: Any = None, **more: Any) -> httpx.Response:
        """One POST; `content` is sent as JSON unless it is bytes."""
        given = {"content": content} if isinstance(content, bytes | None) else {"json": content}
        return self.runner.run(self.web.post(path, **given, **more))


@pytest.fixture(scope="session", name="history")
def _history() -> Callable[..., pd.DataFrame]:
    return history


@pytest.fixture(scope="session", name="columns")
def _columns() -> Callable[[pd.DataFrame], dict[str, list[Any]]]:
    return columns


@pytest.fixture(scope="session", name="service")
def _service() -> Any:
    return service


@pytest.fixture(scope="session", name="serving")
def _serving() -> Any:
    return serving


@pytest.fixture(scope="session", name="register")
def _register() -> Callable[..., int]:
    return register


@pytest.fixture(scope="session", name="write_bundle")
def _write_bundle() -> Callable[..., Path]:
    return write_bundle


@contextmanager
def service(home: Path, **settings: Any) -> Iterator[InProcess]:
    """The app on a home, in this process."""
    serve = ServeSettings(**{"poll_seconds": 3600, **settings})
    app = create_app(Settings(home=home, tracking_uri=f"sqlite:///{home / 'mlflow.db'}"), serve)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        runner.run(asyncio.wait_for(app.state.gatecast.catalog._looked.wait(), 200))  # however busy the machine is
        try:
            yield InProcess(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def client(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The service with both models and no keys; tests do not change it."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(stocked, home)
    with service(home) as client:
        yield client


@pytest.fixture
def copied(stocked: Path, tmp_path: Path) -> Path:
    """A home of this test alone."""
    return Path(shutil.copytree(stocked, tmp_path / "copied"))


@pytest.fixture(scope="session")
def make_keys() -> Callable[..., tuple[str, dict[Scope, str]]]:
    """One key for each scope: the setting, and the secrets."""

    def make(*scopes: Scope) -> tuple[str, dict[Scope, str]]:
        keys = {scope: new_key(f"{scope}-key", frozenset({scope})) for scope in scopes}
        entries = [key.entry.model_dump(mode="json") for key in keys.values()]
        return json.dumps(entries), {scope: key.secret for scope, key in keys.items()}

    return make


class Served:
    """`gatecast serve` as a process of its own."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process
        self.url = f"http://127.0.0.1:{port}"


@contextmanager
def serving(
    gatecast: list[str], home: Path, log: Path, *options: str, until: str = "readyz", **environment: str
) -> Iterator[Served]:
    """The process, from the first success of a route, that of readiness, to its end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*gatecast, "serve", "--port", str(port), *options],
            stdout=output,
            stderr=output,
            env={**os.environ, "GATECAST_HOME": str(home), **environment},
        )
    try:
        _wait(f"http://127.0.0.1:{port}/{until}", process, log)
        yield Served(port, process)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(480):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.25)
    pytest.fail(f"the service did not become ready:\n{log.read_text()}")
