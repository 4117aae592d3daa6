"""A model that reads a grid of series together, over HTTP: as the library, and whole or not at all."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from forecasting.bundle.artifact import Origin, write
from forecasting.bundle.calibration import identity
from forecasting.bundle.engine import Graphs
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.registry.registry import Registry
from forecasting.series.features import Features
from forecasting.series.layout import Layout
from forecasting.series.scaling import Scaler

NAME, STEPS, AHEAD = "sea", 3, 2
CELLS = ("r0c0", "r0c1", None, "r1c0", "r1c1", "r1c2")  # there is land at r0c2


def graph() -> bytes:
    """Step k of a cell is k times the mean of its context, plus the mean of all cells: each needs the others."""
    constants = {"y": np.array(0), "frames": np.array([-1, 1, 6]), "all": np.array([-1, 2 * 6, 1])}
    nodes = [
        helper.make_node("Gather", ["past", "y"], ["first"], axis=4),
        helper.make_node("ReduceMean", ["first"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Reshape", ["mean", "frames"], ["cell"]),
        helper.make_node("ReduceMean", ["cell"], ["common"], axes=[2], keepdims=1),
        helper.make_node("Add", ["cell", "common"], ["one"]),
        helper.make_node("Add", ["one", "cell"], ["two"]),
        helper.make_node("Concat", ["one", "two"], ["steps"], axis=1),
        helper.make_node("Reshape", ["steps", "all"], ["quantiles"]),
    ]
    inputs = [helper.make_tensor_value_info("past", TensorProto.FLOAT, ["B", STEPS, 2, 3, 2])]
    outputs = [helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["B", AHEAD * 6, 1])]
    initializers = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    made = helper.make_graph(nodes, "grid", inputs, outputs, initializers)
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that graph on two rows of three cells."""
    features = Features(freq="h", mask=True)
    assert len(features.inputs) == 2
    spec = Spec(
        job=NAME,
        model="conv_lstm",
        table=TableSpec(freq="h", layout="grid"),
        features=features,
        scaler=Scaler(),
        layout=Layout(shape=(2, 3), unique_id=CELLS),
        context=STEPS,
        horizon=AHEAD,
        quantiles=(0.5,),
        wanted=(0.5,),
    )
    return write(
        tmp_path_factory.mktemp("sea") / "bundle",
        spec,
        Graphs(graph()),
        calibration=identity((0.5,), AHEAD),
        golden={"past": np.random.default_rng(1).normal(size=(2, STEPS, 2, 3, 2)).astype(np.float32)},
        origin=Origin(),
    )


@pytest.fixture(scope="module")
def sea(
    bundle: Path, stocked: Path, tmp_path_factory: pytest.TempPathFactory, register: Callable[..., int], service: Any
) -> Iterator[Any]:
    """The service with that model."""
    home = Path(shutil.copytree(stocked, tmp_path_factory.mktemp("served") / "home"))
    register(home, NAME, bundle, "sea")
    Registry(f"sqlite:///{home / 'mlflow.db'}", home).aliases.promote(NAME, 1)
    with service(home) as client:
        yield client


@pytest.fixture
def table(history: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Five hours of all cells, not in the order of the raster."""
    return history("r1c2", "r0c0", "r0c1", "r1c0", "r1c1", rows=5)


def test_frames_are_forecast_as_by_the_library(
    sea: Any, bundle: Path, table: pd.DataFrame, columns: Callable[[pd.DataFrame], Any]
) -> None:
    """Every cell by itself and with the others in mind, by all three protocols; by hand as well."""
    told = sea.post("/v1/forecast", {"name": NAME, "columns": columns(table)})
    assert told.status_code == 200, told.text
    found = pd.DataFrame(told.json()["columns"]).set_index(["unique_id", "step"])["q0.5"]
    expected = open_forecaster(bundle).forecast(table).set_index(["unique_id", "step"])["q0.5"]
    assert list(dict.fromkeys(found.index.get_level_values(0))) == list(table["unique_id"].unique())
    np.testing.assert_allclose(found.sort_index(), expected.sort_index(), rtol=1e-6)
    mean = table.groupby("unique_id")["y"].apply(lambda y: y.tail(STEPS).mean())
    for step in range(1, AHEAD + 1):
        np.testing.assert_allclose(found.xs(step, level=1)[mean.index], step * mean + mean.sum() / 6, rtol=1e-5)
    invoked = sea.post(f"/invocations/{NAME}", {"inputs": columns(table)}).json()["predictions"]
    by_cell = pd.DataFrame(invoked).set_index(["unique_id", "step"])["q0.5"]
    np.testing.assert_array_equal(by_cell.sort_index(), found.sort_index())


def test_a_frame_that_is_not_whole_is_refused(
    sea: Any, table: pd.DataFrame, columns: Callable[[pd.DataFrame], Any]
) -> None:
    """With the cells that are missing and how many do not belong, all at once, and not with what was sent."""
    part = table[~table["unique_id"].isin(["r0c1", "r1c1"])]
    wrong = part.assign(unique_id=part["unique_id"].where(part["unique_id"] != "r1c0", "secret"))
    for sent, details in (
        (part, ["2 of 5 series are missing: r0c1, r1c1; where one says nothing, y is null"]),
        (
            wrong,
            [
                "3 of 5 series are missing: r0c1, r1c0, r1c1; where one says nothing, y is null",
                "1 series have no place in its layout",
            ],
        ),
    ):
        answer = sea.post("/v1/forecast", {"name": NAME, "columns": columns(sent)})
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == ("unusable_data", "this model reads its series together")
        assert error["details"] == details


def test_a_cell_that_says_nothing_is_skipped(
    sea: Any, bundle: Path, table: pd.DataFrame, columns: Callable[[pd.DataFrame], Any]
) -> None:
    """The others are forecast as by the library without it."""
    silent = table.assign(y=table["y"].where(table["unique_id"] != "r0c1"))
    answer = sea.post("/v1/forecast", {"name": NAME, "columns": columns(silent)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["skipped"] == ["r0c1"]
    found = pd.DataFrame(answer.json()["columns"]).set_index(["unique_id", "step"])["q0.5"]
    expected = open_forecaster(bundle).forecast(silent).set_index(["unique_id", "step"])["q0.5"]
    np.testing.assert_allclose(found.sort_index(), expected.sort_index(), rtol=1e-6)
    assert "r0c1" not in found
