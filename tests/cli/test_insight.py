"""`gatecast inspect`: what a live model depends on, as a picture, as sentences, and as JSON."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.config.network import Stacked
from forecasting.evaluation import baselines
from forecasting.lifecycle.home import open_home
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from tests.cli.tiny import Answer
from tests.insight.conftest import random_model


@pytest.fixture
def live(database: Path, home: Path, make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> Path:
    """A home with two stored series and a live seasonal naive model of four steps."""
    home.mkdir()
    shutil.copy(database, home / "mlflow.db")
    draw = np.random.default_rng(0)
    table = make_table({name: np.tile([1.0, 2.0, 4.0, 8.0], 30) + draw.normal(0, 0.01, 120) for name in ("a", "b")})
    job = make_job({"season": 4}, backtest={"windows": 5}, train={"validation": 20})
    opened, cleaned = open_home(), clean(table, job.series).table
    opened.store.observations.merge(job.name, table)
    data = prepare(cleaned, job, folds(cleaned, job)[0])
    bundle = baselines.fit("seasonal_naive", data, job, home / "made", origin=Origin())
    run = opened.registry.runs.start(job.name, "key", {})
    version = opened.registry.versions.register(job.name, run.run_id, bundle, verdict="passed", metrics={})
    opened.registry.aliases.promote(job.name, version)
    return home


def test_reach_is_a_picture_a_sentence_and_json(gatecast_here: Callable[..., Answer], live: Path) -> None:
    """Six lags, of which the season's four carry all weight, as bars and as numbers."""
    shown = gatecast_here("inspect", "job", "--reach").out
    assert "seasonal_naive looks back 4 of 6 steps by definition" in shown
    bars = [line.count("█") for line in shown.splitlines() if "%" in line]
    assert len(bars) == 6
    assert max(bars) == 40
    assert bars[4:] == [0, 0]
    found = json.loads(gatecast_here("inspect", "job", "--reach", "--json").out)
    assert (found["name"], found["version"], found["model"], found["context"]) == ("job", 1, "seasonal_naive", 6)
    assert found["memory_horizon"] == 4
    assert found["memory_horizon_by_step"] == [4, 3, 2]
    assert found["reach"]["y"] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0, 0], abs=1e-3)


def test_explanation_is_sentences_and_json(gatecast_here: Callable[..., Answer], live: Path) -> None:
    """Up or down from the last reading, by the readings one season before; the sums are those of the forecast."""
    found = json.loads(gatecast_here("inspect", "job", "--explain", "a", "--json").out)
    assert found["unique_id"] == "a"
    assert found["forecast"] == pytest.approx([1, 2, 4], abs=0.1)
    assert found["baseline"] == pytest.approx([8, 8, 8], abs=0.1)
    sums = [sum(step) for step in found["attribution"]["y"]]
    assert sums == pytest.approx([-7, -6, -4], abs=0.1)
    assert len(found["sentences"]) == 3
    shown = gatecast_here("inspect", "job", "--explain", "a").out
    assert found["sentence"] in shown
    assert "down by" in found["sentence"]


@pytest.fixture
def network(live: Path, tmp_path: Path, make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> Path:
    """The same home with a network of random weights as a second version."""
    opened = open_home()
    made = random_model(opened.store.observations.read("job"), make_job(), Stacked(cell="lstm", units=(3,)), tmp_path)
    run = opened.registry.runs.start("job", "other key", {})
    opened.registry.versions.register("job", run.run_id, made.bundle.path, verdict="passed", metrics={})
    return live


def test_gates_are_a_table_json_and_a_picture(
    gatecast_here: Callable[..., Answer], network: Path, tmp_path: Path
) -> None:
    """Each gate as a line of bars over the six steps of the window; every unit of every step in JSON."""
    asked = ("inspect", "job", "--gates", "a", "--model", "2")
    shown = gatecast_here(*asked, "--html", str(tmp_path / "gates.html")).out
    rows = {line.split("units: ")[1].split()[0]: line for line in shown.splitlines() if "units: " in line}
    assert list(rows) == ["forget", "input", "output", "size"]
    assert all(len([sign for sign in row if "▁" <= sign <= "█"]) == 6 for row in rows.values())
    assert "job, version 2: what its cells do while they read a" in (tmp_path / "gates.html").read_text("utf-8")
    found = json.loads(gatecast_here(*asked, "--json").out)
    assert (found["name"], found["version"], found["unique_id"], len(found["ds"])) == ("job", 2, "a", 6)
    assert found["y"] == pytest.approx([4, 8, 1, 2, 4, 8], abs=0.1)
    (cell,) = found["cells"]
    assert (cell["cell"], cell["units"], cell["direction"], cell["ds"]) == ("LSTM", 3, "forward", found["ds"])
    assert np.shape(cell["gates"]["forget"]["steps"]) == np.shape(cell["states"]["cell"]) == (6, 3)
    assert f"{cell['gates']['forget']['mean']:.2f}" in rows["forget"]


def test_units_are_a_table_a_share_and_json(gatecast_here: Callable[..., Answer], network: Path) -> None:
    """The table names those that JSON lists, and the sentence counts them."""
    asked = ("inspect", "job", "--units", "--model", "2")
    shown = gatecast_here(*asked).out
    found = json.loads(gatecast_here(*asked, "--json").out)
    assert (found["name"], found["version"], found["units"], found["windows"]) == ("job", 2, 3, 224)
    assert {"hour", "value", "level"} <= set(found["signals"])
    assert found["share"] == pytest.approx(len(found["tracked"]) / 3, abs=1e-3)
    assert f"{len(found['tracked'])} of 3 units" in shown
    for one in found["tracked"]:
        assert one["correlation"] >= 0.5
        assert any(one["signal"] in line and f"{one['correlation']:.2f}" in line for line in shown.splitlines())


def test_a_model_without_cells_says_so(gatecast_here: Callable[..., Answer], live: Path) -> None:
    """In one sentence, and nothing else."""
    for asked in (("--gates", "a"), ("--units",)):
        assert gatecast_here("inspect", "job", *asked).out == "seasonal_naive has no recurrent cells\n"


def test_inspect_says_what_it_needs(gatecast_here: Callable[..., Answer], live: Path) -> None:
    """Neither or both options, a series that is not stored, and a model that is not there."""
    assert gatecast_here("inspect", "job").code == 2
    assert gatecast_here("inspect", "job", "--reach", "--explain", "a").code == 2
    assert gatecast_here("inspect", "job", "--reach", "--html", "gates.html").code == 2
    unknown = gatecast_here("inspect", "job", "--explain", "c")
    assert (unknown.code, "no series 'c' among its 2" in unknown.err) == (1, True)
    assert gatecast_here("inspect", "bogus", "--reach").code == 1


def test_inspection_loads_no_network_library(network: Path) -> None:
    """Reach, explanation, gates, and units run where TensorFlow and Keras are not installed."""
    code = """
import sys
from forecasting.cli.main import app
for options in (["--reach"], ["--explain", "a"], ["--gates", "a", "--model", "2"], ["--units", "--model", "2"]):
    app(["inspect", "job", *options], standalone_mode=False)
import forecasting.nn.exporters.ensemble
assert not {"keras", "tensorflow", "jax"} & {name.partition(".")[0] for name in sys.modules}
"""
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_anomalies_are_listed(gatecast_here: Callable[..., Answer], live: Path) -> None:
    """The latest first, for a person and for a program; none is an empty list."""
    assert json.loads(gatecast_here("inspect", "job", "--anomalies", "--json").out) == {"name": "job", "anomalies": []}
    store = open_home().store
    event = {"kind": "flat", "chance": 1e-3, "alarms": 4, "y": 2.0, "expected": 3.0, "low": 2.5, "high": 3.5}
    for day in (1, 2):
        stamp = pd.Timestamp(f"2024-01-0{day}").as_unit("us")
        row = {"unique_id": "a", "start": stamp, "end": stamp, "told": True, "created": stamp, **event}
        store.anomalies.keep("job", pd.DataFrame([row]))
    found = json.loads(gatecast_here("inspect", "job", "--anomalies", "--json").out)["anomalies"]
    assert [row["start"][:10] for row in found] == ["2024-01-02", "2024-01-01"]
    assert (found[0]["kind"], found[0]["chance"]) == ("flat", 0.001)
    shown = gatecast_here("inspect", "job", "--anomalies").out
    assert "the same reading over and over" in shown
    assert "1,000" in shown
