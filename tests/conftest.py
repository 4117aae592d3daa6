"""What all tests share: a quiet, private environment and the folder of larger data sets."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from forecasting.config.job import Job, parse_job
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from tests.notify.sinks import HttpSink, serving
from tests.postgresql import server

# Read by the packages when they are imported, so they are set before any test is.
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # tests run on the CPU everywhere
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # tiny networks: compiling them is what takes the time
os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

# Prefect closes every log handler when it is first imported, and that of absl (TensorFlow's) closes its stream with it:
# inside a test that captures output this would be the one of pytest itself. Here, nobody has a handler yet.
importlib.import_module("prefect.main")

settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home for every test, so that none sees what another wrote."""
    path = tmp_path / "home"
    monkeypatch.setenv("GATECAST_HOME", str(path))
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(7)


@pytest.fixture
def randomize(rng: np.random.Generator) -> Callable[[Any], Any]:
    """Give every weight of a layer or model, zeros included, a random value of its own."""

    def apply(built: Any) -> Any:
        built.set_weights([rng.normal(0.0, 0.4, weight.shape).astype("float32") for weight in built.get_weights()])
        return built

    return apply


@pytest.fixture
def http() -> Iterator[HttpSink]:
    """An HTTP server that takes messages."""
    with serving(HttpSink()) as sink:
        yield sink


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of larger public data sets, which does not ship with the project."""
    path = Path(os.environ.get("GATECAST_DATASETS", ROOT / ".." / "shared" / "datasets")).resolve()
    if not path.is_dir():
        pytest.skip("set GATECAST_DATASETS to the folder of the larger data sets")
    return path


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """Builds a job from the keys of `series`, and from whole other sections: `make_job({"season": 4}, window={…})`.

    The network is `stacked`, or one that reads a layout where there is one.
    """

    def build(series: dict[str, Any] | None = None, **sections: dict[str, Any]) -> Job:
        content = {"name": "job", "source": {"kind": "synthetic"}, "window": {"context": 6, "horizon": 3}}
        content["backtest"] = {"windows": 50}
        model = {"model": {"name": "conv_lstm" if "layout" in (series or {}) else "stacked"}}
        return parse_job({**content, **model, **sections, "series": {"freq": "h", **(series or {})}})

    return build


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pd.DataFrame]:
    """Builds a long table of the readings of each series, from `start` on; a NaN is a row without a reading."""

    def build(readings: dict[str, Any], freq: str = "h", start: str = "2024-01-01") -> pd.DataFrame:
        stamps = [pd.date_range(start, periods=len(y), freq=freq, unit="us") for y in readings.values()]
        return pd.DataFrame(
            {
                "unique_id": np.repeat(list(readings), [len(y) for y in readings.values()]),
                "ds": np.concatenate(stamps),
                "y": np.concatenate([np.asarray(y, dtype=float) for y in readings.values()]),
            }
        ).astype({"unique_id": "str", "ds": "datetime64[us]"})

    return build


@pytest.fixture(scope="session")
def rich(make_job: Callable[..., Job], make_table: Callable[..., pd.DataFrame]) -> tuple[pd.DataFrame, Job]:
    """Three hourly series of unequal length with gaps and every kind of covariate, and their job; not to be changed."""
    draw = np.random.default_rng(7)
    table = make_table({name: draw.normal(10 * n, n, length) for n, (name, length) in enumerate(_LENGTHS.items(), 1)})
    hour = table["ds"].dt.hour.to_numpy()
    table["y"] += 3 * np.sin(2 * np.pi * hour / 8)
    table["p"], table["f"] = draw.normal(5, 2, len(table)), np.cos(hour) + draw.normal(0, 0.1, len(table))
    table["label"] = pd.array(np.where(draw.random(len(table)) < 0.5, "low", "high"), dtype="str")
    table["area"] = table["unique_id"].map({"a": 1.0, "b": 2.0, "c": 5.0})
    table["kind"] = table["unique_id"].map({"a": "city", "b": "farm", "c": "city"}).astype("str")
    table.loc[draw.random(len(table)) < 0.05, "y"] = np.nan
    table.loc[draw.random(len(table)) < 0.05, ["p", "label"]] = np.nan
    table = table[draw.random(len(table)) > 0.03].reset_index(drop=True)
    series = {"past": ["p", "label"], "future": ["f"], "static": ["area", "kind"], "categorical": ["label", "kind"]}
    plan = {"windows": 6, "step": 2}
    return table, make_job({**series, "calendar": ["hour"], "season": 8}, backtest=plan, train={"validation": 20})


_LENGTHS = {"a": 150, "b": 120, "c": 150}

# A whole job in seconds: the network has four units and two epochs, so the gate refuses it and a baseline goes live.
_TINY = """
name: tiny
source: {kind: synthetic, series: 3, length: 300, freq: h, season: 24, noise: 0.1, seed: 1}
series: {freq: h}
window: {context: 12, horizon: 4}
model: {name: stacked, params: {cell: gru, units: [4], dropout: 0.1}}
train: {epochs: 2, batch_size: 64, learning_rate: 0.01, seed: 1, windows_per_epoch: 256}
backtest: {windows: 10, step: 2}
"""
GATECAST = [sys.executable, "-c", "from forecasting.cli.main import main; main()"]


class Finished(NamedTuple):
    """What `gatecast run` left behind; whoever changes anything copies the home first."""

    config: Path
    home: Path
    outcome: dict[str, Any]
    stderr: str


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; making one takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with connect(f"sqlite:///{path}") as client:
        client.search_experiments()
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a database in a PostgreSQL server, which all tests share."""
    with server() as url:
        yield url


@pytest.fixture
def registry(database: Path, tmp_path: Path) -> Registry:
    """A registry of this test alone."""
    shutil.copy(database, tmp_path / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)


@pytest.fixture(scope="session")
def gatecast() -> list[str]:
    """The command line as a process of its own."""
    return GATECAST


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One undisturbed `gatecast run tiny.yaml --json` of the session."""
    place = tmp_path_factory.mktemp("finished")
    config = place / "tiny.yaml"
    config.write_text(_TINY, encoding="utf-8")
    environment = {**os.environ, "GATECAST_HOME": str(place / "home")}
    command = [*GATECAST, "run", str(config), "--json"]
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Finished(config, place / "home", json.loads(done.stdout), done.stderr)
