"""The engine computes every window by itself, and says which input is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from forecasting.bundle.engine import Engine, pieces
from forecasting.errors import ArtifactError, GatecastError
from forecasting.series.windows import Batch

Fitted = Any  # the fixture of that name


@pytest.fixture
def model(fitted: Fitted) -> bytes:
    """The graph of a ridge over the past (6, 9) and what is known ahead (3, 3)."""
    return Path(fitted.bundle / "model.onnx").read_bytes()


@pytest.fixture
def batch(fitted: Fitted) -> Batch:
    """Its validation windows."""
    windows: Batch = fitted.data.valid.batch(np.arange(10))
    return windows


def test_a_window_does_not_depend_on_its_neighbours(model: bytes, batch: Batch) -> None:
    """Alone, in another order or in the whole batch: the same forecast; with one thread: the same."""
    engine = Engine(model)
    together = engine.run(batch)["quantiles"]
    assert together.shape == (10, 3, 1)
    alone = [engine.run({name: values[i : i + 1] for name, values in batch.items()})["quantiles"][0] for i in range(10)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    content = Engine(model, threads=1)
    np.testing.assert_allclose(
        content.run({name: values[::-1] for name, values in batch.items()})["quantiles"][::-1], together, atol=1e-5
    )


@pytest.mark.parametrize("count", [0, 1, 32, 33, 70])
def test_pieces_hold_every_window_once(batch: Batch, count: int) -> None:
    """In order, no more than one call reads fastest in each, and one empty piece of an empty batch."""
    rows = np.arange(count) % 10
    whole = {name: values[rows] for name, values in batch.items()}
    parts = list(pieces(whole))
    assert [len(part["past"]) for part in parts] == {0: [0], 1: [1], 32: [32], 33: [32, 1], 70: [32, 32, 6]}[count]
    for name, values in whole.items():
        assert np.array_equal(np.concatenate([part[name] for part in parts]), values)


def test_inputs_that_the_model_does_not_read_are_left_alone(model: bytes, batch: Batch) -> None:
    """Static features and codes of the job, which the ridge does not know."""
    assert {"static", "codes"} <= set(batch)
    needed = {"past": batch["past"], "future": batch["future"]}
    assert set(Engine(model).inputs) == set(needed)
    assert np.array_equal(Engine(model).run(needed)["quantiles"], Engine(model).run(batch)["quantiles"])


def test_an_input_that_is_missing_is_named(model: bytes, batch: Batch) -> None:
    """With those that were given."""
    with pytest.raises(ArtifactError, match=r"needs the input\(s\) future, got past"):
        Engine(model).run({"past": batch["past"]})


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("past", (10, 5, 9), r"past has shape \(10, 5, 9\), expected \(B, 6, 9\)"),
        ("past", (10, 54), r"past has shape \(10, 54\), expected \(B, 6, 9\)"),
        ("future", (10, 3, 2), r"future has shape \(10, 3, 2\), expected \(B, 3, 3\)"),
    ],
)
def test_a_wrong_shape_is_named(name: str, shape: tuple[int, ...], message: str, model: bytes, batch: Batch) -> None:
    """What came and what was expected, before anything is computed."""
    with pytest.raises(GatecastError, match=message):
        Engine(model).run({**batch, name: np.zeros(shape, dtype=np.float32)})


def echo(shape: list[int]) -> Engine:
    """A graph that gives its input `state`, of any number of windows, back as `same`."""
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["B", *shape[1:]]) for name in ("state", "same")
    ]
    node = helper.make_node("Identity", ["state"], ["same"])
    graph = helper.make_graph([node], "echo", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return Engine(model.SerializeToString())


@pytest.mark.parametrize("shape", [[2], [2, 3], [2, 4, 3], [2, 4, 5, 3]])
def test_a_state_may_lie_on_a_grid(shape: list[int]) -> None:
    """From one number for each window to a frame of units."""
    state = np.ones(shape, dtype=np.float32)
    assert np.array_equal(echo(shape).run({"state": state})["same"], state)


def test_an_input_with_more_axes_than_there_are_is_refused() -> None:
    """As any wrong shape, when it is read."""
    with pytest.raises(GatecastError, match="state has shape"):
        echo([2] * 8).run({"state": np.ones([2] * 8, dtype=np.float32)})


def test_what_is_no_graph_cannot_be_opened() -> None:
    """Noise, and nothing at all."""
    for content in (b"noise", b""):
        with pytest.raises(ArtifactError, match=r"model\.onnx cannot be opened"):
            Engine(content)


def _lookup(place: str) -> bytes:
    """A graph that looks a row up in a table of weights (64, 64) in another file."""
    table = onnx.TensorProto(name="table", data_type=onnx.TensorProto.FLOAT, dims=[64, 64])
    table.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": place, "offset": "0", "length": "16384"}.items():
        table.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "row"], ["found"])],
        "lookup",
        [helper.make_tensor_value_info("row", onnx.TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, [1, 64])],
        [table],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    )


@pytest.mark.parametrize("place", ["weights", "../{folder}/weights", "{whole}/weights"])
def test_a_graph_cannot_read_other_files(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in another file would escape every checksum: such a graph is refused, wherever a service starts."""
    np.arange(4096, dtype=np.float32).tofile(tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"model\.onnx cannot be opened"):
        Engine(_lookup(place.format(folder=tmp_path.name, whole=tmp_path)))


def test_a_file_in_the_working_directory_would_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: ONNX Runtime itself reads it, even for a graph that is given as bytes."""
    np.arange(4096, dtype=np.float32).tofile(tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    session = onnxruntime.InferenceSession(_lookup("weights"), providers=["CPUExecutionProvider"])
    assert session.run(None, {"row": np.array([2])})[0].tolist() == [list(range(128, 192))]
