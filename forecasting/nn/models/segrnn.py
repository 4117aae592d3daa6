"""SegRNN (Lin et al. 2023): a recurrent layer reads segments of the context and answers all segments ahead at once."""

from typing import Any, ClassVar, Literal

import keras
from pydantic import Field, PositiveInt

from forecasting.nn import cells
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.reversible_norm import Normalise, WindowFrame
from forecasting.nn.layers.segments import Segments, SharedRecurrence, Steps
from forecasting.nn.shapes import Shapes, inputs, refuse_grid
from forecasting.nn.wiring import dropped, joined

__all__ = ["Config", "build"]

WIDTH = 8  # features of each step that the head gets: as many as any head needs for one step


class Config(cells.Params):
    """The parameters of `segrnn`."""

    usable: ClassVar[tuple[str, ...]] = cells.OF_VECTORS
    refusal: ClassVar[str] = "not a cell that reads segments; valid cells"
    activation: ClassVar[str] = "tanh"  # of the cells' states

    segment: PositiveInt = 12  # steps in a segment; context and horizon need not be multiples of it
    units: PositiveInt = 64  # width of the projected segments and of the recurrent layer
    cell: str = "gru"
    dropout: float = Field(0.0, ge=0, lt=1)  # of the recurrent layer's answers
    normalise: Literal["window", "last", "none"] = "last"
    embedding: PositiveInt = 8  # width of the vector of a static categorical


def build(config: Config, shapes: Shapes, head: Any) -> keras.Model:
    """The network: context → segments → recurrent layer → one answer per segment ahead → steps → head.

    Raises ConfigError on a grid.
    """
    refuse_grid("segrnn", shapes)
    arrays = inputs(shapes)
    frame = WindowFrame(config.normalise, mask=shapes.mask, name="frame")(arrays["past"])  # (B, 2)
    past = Normalise(name="normalise")([arrays["past"], frame])  # (B, T, D)
    segments = Segments(config.segment, name="segments")(past)  # (B, n, w * D)
    segments = keras.layers.Dense(config.units, activation="relu", name="projection")(segments)
    ahead = -(-shapes.horizon // config.segment)  # m
    layer = cells.layer(config, config.units, sequences=False, states=True, name=config.cell)
    read = [segments, *_known(config, shapes, arrays, ahead)]
    answers = SharedRecurrence(layer, ahead, name="recurrence")(read)  # (B, m, U)
    answers = dropped(config.dropout, answers, "dropout")
    answers = keras.layers.Dense(config.segment * WIDTH, name="steps")(answers)
    features = Steps(shapes.horizon, WIDTH, name="horizon")(answers)  # (B, H, W)
    frames = keras.layers.RepeatVector(shapes.horizon, name="frames", dtype="float32")(frame)  # (B, H, 2)
    return keras.Model(arrays, head([features, frames]), name="segrnn")


def _known(config: Config, shapes: Shapes, arrays: dict[str, Any], ahead: int) -> list[Any]:
    """What is known of each segment ahead (B, m, U): of its series, and its own covariates; empty if nothing is."""
    known = []
    if shapes.static:
        known.append(arrays["static"])
    if shapes.codes:
        known.append(CodeEmbedding(shapes.codes, config.embedding, name="embedding")(arrays["codes"]))
    known = [keras.layers.RepeatVector(ahead, name=f"known_{index}")(part) for index, part in enumerate(known, start=1)]
    if shapes.future:
        known.append(Segments(config.segment, ahead=True, name="known_ahead")(arrays["future"]))
    if not known:
        return []
    return [keras.layers.Dense(config.units, use_bias=False, name="known_projection")(joined(known, "known"))]
