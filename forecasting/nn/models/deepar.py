"""DeepAR (Salinas et al. 2020): one recurrent stack reads the context and goes on, value by value."""

from typing import Any, ClassVar, Literal

import keras
from pydantic import Field, PositiveInt

from forecasting.errors import ConfigError
from forecasting.nn import autoregressive as stepping
from forecasting.nn import cells
from forecasting.nn.layers.lagged import Held, Lagged
from forecasting.nn.shapes import Shapes, refuse_grid
from forecasting.nn.wiring import joined

__all__ = ["Config", "build", "parts"]


class Config(cells.Params):
    """The parameters of `deepar`; `units` has one entry per recurrent layer."""

    usable: ClassVar[tuple[str, ...]] = cells.OF_VECTORS
    refusal: ClassVar[str] = "not a cell that reads single series; valid cells"
    activation: ClassVar[str] = "tanh"  # of the cells' states

    units: tuple[PositiveInt, ...] = Field((40, 40), min_length=1)
    dropout: float = Field(0.0, ge=0, lt=1)  # after every recurrent layer
    normalise: Literal["scale", "window", "last", "none"] = "scale"
    embedding: PositiveInt = 8  # width of the vector of a static categorical


def build(config: Config, shapes: Shapes, head: Any) -> keras.Model:
    """The network that learns, told the value before each step of the horizon in its input `previous` (B, H).

    Raises ConfigError on a grid, and for a context of one step, which has no step that leads to it.
    """
    refuse_grid("deepar", shapes)
    if shapes.context < 2:
        raise ConfigError(f"deepar reads at least two steps of context, got window.context: {shapes.context}")
    layers = stepping.common(config.normalise, config.embedding, shapes, head)
    layers["lagged"] = Lagged(shapes.future, mask=shapes.mask, name="lagged")
    if shapes.past > 1 + shapes.future:
        layers["held"] = Held(shapes.future, mask=shapes.mask, name="held")
    layers |= stepping.stack(config, config.units, name="recurrent", dropout=config.dropout)
    return stepping.whole(layers, shapes, _read, _tell, name="deepar")


def parts(network: keras.Model) -> dict[str, keras.Model]:
    """The reader of the context and the single step of a network; they share its weights."""
    return stepping.parts(network, _read, _tell)


def _read(layers: stepping.Layers, arrays: stepping.Arrays) -> tuple[list[Any], list[Any]]:
    frame = layers["frame"](arrays["past"])  # (B, 2)
    past = layers["normalise"]([arrays["past"], frame])
    rows = layers["lagged"](past)  # (B, T - 1, D)
    series = stepping.of_series(layers, arrays)
    beside = [keras.layers.RepeatVector(rows.shape[1], name="beside")(part) for part in series]
    _, states = stepping.run(layers, "recurrent", joined([rows, *beside], "rows"))
    kept = [layers["held"](past)] if "held" in layers else []
    kept += series
    memory = [frame, *([joined(kept, "kept")] if kept else [])]
    return [state for of_layer in states for state in of_layer], memory


def _tell(
    layers: stepping.Layers, arrays: stepping.Arrays, states: list[Any], memory: list[Any]
) -> tuple[Any, list[Any]]:
    frame, *kept = memory
    told, frames = stepping.steps(layers, arrays, frame, kept)
    features, after = stepping.run(layers, "recurrent", told, states)
    return layers["head"]([features, frames]), [state for of_layer in after for state in of_layer]
