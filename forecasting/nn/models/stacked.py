"""Recurrent layers on top of each other, each optionally bidirectional, decoded to all horizon steps at once."""

from typing import Any, Literal

import keras
from pydantic import Field, PositiveInt, model_validator

from forecasting.errors import ConfigError
from forecasting.nn import cells
from forecasting.nn.cells import CONVOLUTIONAL
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.highway import Highway
from forecasting.nn.layers.reversible_norm import Normalise, WindowFrame
from forecasting.nn.shapes import Shapes, inputs
from forecasting.nn.wiring import dropped, joined

__all__ = ["Config", "build"]


class Config(cells.Params):
    """The parameters of `stacked`; lists have one entry per recurrent layer, the first reads the context."""

    units: tuple[PositiveInt, ...] = Field((64,), min_length=1)
    bidirectional: bool | tuple[bool, ...] = False  # backward passes stay inside the observed context
    activation: Literal["tanh", "relu", "sigmoid"] = "tanh"  # of the simple cell; gated cells keep tanh
    dropout: float = Field(0.0, ge=0, lt=1)  # after every recurrent and decoder layer
    normalise: Literal["window", "last", "none"] = "window"
    embedding: PositiveInt = 8  # width of the vector of a static categorical
    decoder: tuple[PositiveInt, ...] = Field((32,), min_length=1)  # widths of the layers of each horizon step
    highway: int = Field(0, ge=0)  # lags of the linear autoregression that is added; 0: none

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        wrong = []
        if not isinstance(self.bidirectional, bool) and len(self.bidirectional) != len(self.units):
            wrong.append(f"bidirectional has {len(self.bidirectional)} entries, units has {len(self.units)}")
        if self.activation != "tanh" and self.cell != "simple":
            wrong.append(f"activation {self.activation} is for cell simple; {self.cell} is built with tanh")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def build(config: Config, shapes: Shapes, head: Any) -> keras.Model:
    """The network: context → recurrent layers → one state → a vector per horizon step → head.

    On a grid every place has a state, and the vectors N = H * places come step by step, each in the order of the grid.
    Raises ConfigError that lists what the parameters and the shapes of the job have against each other.
    """
    _check(config, shapes)
    arrays = inputs(shapes)
    frame = WindowFrame(config.normalise, mask=shapes.mask, name="frame")(arrays["past"])  # (B, *grid, 2)
    past = Normalise(name="normalise")([arrays["past"], frame])  # (B, T, *grid, D)
    if shapes.grid:
        frame = keras.layers.Reshape((2 * shapes.places,), name="places", dtype="float32")(frame)
    frame = keras.layers.RepeatVector(shapes.horizon, name="frames", dtype="float32")(frame)  # (B, H, 2 * places)
    if shapes.grid:
        frame = keras.layers.Reshape((-1, 2), name="steps_and_places", dtype="float32")(frame)  # (B, N, 2)
    if config.highway:
        frame = Highway(config.highway, name="highway")([past, frame])
    state = _encode(config, shapes, past)
    features = _decode(config, shapes, arrays, state)
    return keras.Model(arrays, head([features, frame]), name="stacked")


def _check(config: Config, shapes: Shapes) -> None:
    wrong = []
    if config.highway > shapes.context:
        wrong.append(f"params.highway is {config.highway}, more than the context of {shapes.context} steps")
    if shapes.grid and config.highway:
        wrong.append(f"params.highway is {config.highway}, but a grid has no highway")
    if shapes.grid and config.cell not in CONVOLUTIONAL:
        wrong.append(f"params.cell {config.cell} cannot read a grid; cells that can: {', '.join(CONVOLUTIONAL)}")
    if wrong:
        raise ConfigError("\n".join(wrong))


def _encode(config: Config, shapes: Shapes, past: Any) -> Any:
    """The context (B, T, D) as one state (B, U); on a grid, (B, T, *grid, D) as (B, *grid, U)."""
    both = config.bidirectional
    directions = (both,) * len(config.units) if isinstance(both, bool) else both
    line = config.cell in CONVOLUTIONAL and not shapes.grid  # the channels stand side by side
    hidden = keras.layers.Reshape((shapes.context, shapes.past, 1), name="line")(past) if line else past
    for index, (units, bidirectional) in enumerate(zip(config.units, directions, strict=True), start=1):
        sequences, name = index < len(config.units), f"{config.cell}_{index}"
        layer = cells.layer(config, units, sequences=sequences, name=name, rank=len(shapes.grid) or 1)
        hidden = (keras.layers.Bidirectional(layer, name=f"bidirectional_{index}") if bidirectional else layer)(hidden)
        hidden = dropped(config.dropout, hidden, f"dropout_{index}")
    return keras.layers.Reshape((-1,), name="state")(hidden) if line else hidden


def _decode(config: Config, shapes: Shapes, arrays: dict[str, Any], state: Any) -> Any:
    """The state, with what is known of the series, as features (B, N, W); each step sees its own covariates."""
    known = [state]
    if shapes.static:
        known.append(arrays["static"])
    if shapes.codes:
        known.append(CodeEmbedding(shapes.codes, config.embedding, name="embedding")(arrays["codes"]))
    features = _steps(config, shapes, joined(known, "summary"))
    if shapes.future:
        ahead = arrays["future"]
        if shapes.grid:
            ahead = keras.layers.UpSampling1D(shapes.places, name="everywhere")(ahead)
        features = joined([features, ahead], "known_ahead")
    widths = config.decoder if shapes.future else config.decoder[1:]
    for index, size in enumerate(widths, start=1):
        features = keras.layers.Dense(size, activation="relu", name=f"decoder_{index}")(features)
        features = dropped(config.dropout, features, f"dropout_decoder_{index}")
    return features


def _steps(config: Config, shapes: Shapes, summary: Any) -> Any:
    """(B, U) to (B, H, W), or (B, *grid, U) to (B, H * places, W), all places of the first step first."""
    width = config.decoder[0]
    # a weight of its own for every (step, feature) gives the steps their identity
    steps = keras.layers.Dense(shapes.horizon * width, activation="relu", name="steps")(summary)
    if shapes.grid:
        steps = keras.layers.Reshape((shapes.places, shapes.horizon, width), name="places_first")(steps)
        steps = keras.layers.Permute((2, 1, 3), name="steps_first")(steps)
    features = keras.layers.Reshape((shapes.horizon * shapes.places, width), name="horizon")(steps)  # (B, N, W)
    return dropped(config.dropout, features, "dropout_horizon")
