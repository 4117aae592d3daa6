"""What the tests of the networks share: random weights and random batches that fit a job's shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes

LEVELS = (0.1, 0.25, 0.5, 0.9)


@pytest.fixture
def network(randomize: Callable[[Any], Any]) -> Callable[..., Any]:
    """A `stacked` network with random weights."""

    def make(shapes: Shapes, **params: Any) -> Any:
        return randomize(models.build(Stacked(**params), shapes, heads.build(NumberHead(quantiles=LEVELS))))

    return make


@pytest.fixture
def batch(rng: np.random.Generator) -> Callable[..., dict[str, Any]]:
    """Random inputs: gaps where there is a mask, codes that are also out of range."""

    def make(shapes: Shapes, size: int = 5) -> dict[str, Any]:
        arrays = {
            "past": rng.normal(0.5, 2.0, (size, shapes.context, *shapes.grid, shapes.past)),
            "future": rng.normal(size=(size, shapes.horizon, shapes.future)),
            "static": rng.normal(size=(size, *shapes.grid, shapes.static)),
        }
        if shapes.mask:
            arrays["past"][..., -1] = rng.random((size, shapes.context, *shapes.grid)) > 0.3
        filled = {name: array.astype("float32") for name, array in arrays.items() if array.shape[-1]}
        if shapes.codes:
            columns = [rng.integers(-1, cardinality + 1, size) for cardinality in shapes.codes]
            filled["codes"] = np.stack(columns, axis=1).astype("int32")
        return filled

    return make
