"""What every cell keeps with every head, forwards and both ways: the contract that a new entry enters into."""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.nn import heads, models
from forecasting.nn.cells import CELLS
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.heads import HEADS
from forecasting.nn.models import Shapes

SHAPES = Shapes(context=4, horizon=2, past=2, future=1, mask=True)
CONTRACTS = list(itertools.product(CELLS, [False, True], HEADS))
TOLERANCE = 1e-5


@pytest.mark.parametrize(("cell", "bidirectional", "name"), CONTRACTS)
def test_cell_and_head_keep_the_contract(
    cell: str, bidirectional: bool, name: str, randomise: Any, batch: Any, tmp_path: Path
) -> None:
    """Shape, finite forecasts and loss, nothing read ahead of its time, the same from the file and from the graph."""
    head = heads.build(name, (0.1, 0.5, 0.9), classes=4 if name == "categorical" else None)
    params = {"cell": cell, "units": [3, 2], "bidirectional": bidirectional, "decoder": [4], "normalise": "none"}
    model = randomise(models.build("stacked", params, SHAPES, head))
    arrays = batch(SHAPES, 3)
    output = model(arrays)
    forecast = ops.convert_to_numpy(output)
    assert forecast.shape == (3, SHAPES.horizon, model.output.shape[-1])
    assert np.isfinite(forecast).all()
    targets = np.array([[1.0, np.nan], [0.0, 2.0], [np.nan, np.nan]], "float32")
    assert np.isfinite(float(head.loss(ops.convert_to_tensor(targets), output)))

    later = {**arrays, "future": arrays["future"] + np.array([[[0.0], [5.0]]], "float32")}
    np.testing.assert_array_equal(ops.convert_to_numpy(model(later))[:, 0], forecast[:, 0])
    assert reads_ahead(model, "bidirectional_1" if bidirectional else f"{cell}_1", arrays["past"]) is bidirectional

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(ops.convert_to_numpy(again(arrays)), forecast)
    assert parity(model, to_onnx(model, head.output_name), arrays) <= TOLERANCE


def reads_ahead(model: Any, layer: str, past: Any) -> bool:
    """Whether what a recurrent layer gives at its first steps depends on the last step of the context."""
    source = next(tensor for tensor in model.inputs if tensor.name == "past")
    inner = keras.Model(source, model.get_layer(layer).output)
    changed = past.copy()
    changed[:, -1, 0] += 5.0
    before, after = (ops.convert_to_numpy(inner(array)) for array in (past, changed))
    return bool(np.abs(before[:, :-1] - after[:, :-1]).max() > 0)
