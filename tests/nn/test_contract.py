"""What every cell keeps with every head, forwards and both ways: the contract that a new entry enters into."""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.config.head import NumberHead, SymbolHead
from forecasting.config.network import Stacked
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
    cell: str, bidirectional: bool, name: str, randomize: Any, batch: Any, tmp_path: Path
) -> None:
    """Shape, finite forecasts and loss, no covariate read ahead of its step, the same from the file and the graph."""
    symbols = name == "categorical"
    head = heads.build(SymbolHead(), classes=4) if symbols else heads.build(NumberHead(name=name))
    params = {"cell": cell, "units": [3, 2], "bidirectional": bidirectional, "decoder": [4]}
    model = randomize(models.build(Stacked(**params), SHAPES, head))
    arrays = batch(SHAPES, 3)
    twice = {key: np.concatenate([array, array]) for key, array in arrays.items()}
    twice["future"][3:, 1] += 5.0  # the same windows with another future at step 1
    output = model(twice)
    forecast = ops.convert_to_numpy(output)
    assert forecast.shape == (6, SHAPES.horizon, model.output.shape[-1])
    assert np.isfinite(forecast).all()
    np.testing.assert_allclose(forecast[3:, 0], forecast[:3, 0], rtol=1e-6)
    assert np.abs(forecast[3:, 1] - forecast[:3, 1]).max() > 1e-3
    targets = np.tile(np.array([[1.0, np.nan], [0.0, 2.0], [np.nan, np.nan]], "float32"), (2, 1))
    assert np.isfinite(float(head.loss(ops.convert_to_tensor(targets), output)))

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(ops.convert_to_numpy(again(twice)), forecast)
    assert parity(model, to_onnx(model, head.output_name), arrays) <= TOLERANCE


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_only_a_backward_pass_reads_ahead(cell: str, bidirectional: bool, network: Any, batch: Any) -> None:
    """What a layer of the network gives at the first steps depends on the last one where it runs both ways."""
    model = network(SHAPES, cell=cell, units=[3, 2], bidirectional=bidirectional, normalise="none")
    source = next(tensor for tensor in model.inputs if tensor.name == "past")
    name = "bidirectional_1" if bidirectional else f"{cell}_1"
    inner = keras.Model(source, model.get_layer(name).output)
    past = np.tile(batch(SHAPES, 1)["past"], (2, 1, 1))
    past[1, -1, 0] += 5.0
    one, other = ops.convert_to_numpy(inner(past))
    assert bool(np.abs(one[:-1] - other[:-1]).max() > 1e-6) is bidirectional
    assert np.abs(one[-1] - other[-1]).max() > 1e-3
