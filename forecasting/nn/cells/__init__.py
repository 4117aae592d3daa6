"""Recurrent cells by name: one file each, whose `layer` is the cell run over all time steps.

Every `layer(units, *, activation, sequences, states, name)` maps (B, T, D) to (B, T, U) with `sequences`, to the last
state (B, U) without; with `states` the last states follow, h (B, U) first. Such a layer can start from states that
are given as `initial_state=[…]`. A cell with settings of its own has `Options` and takes them as `options`.
Convolutional cells take the `rank` of a grid as well, read (B, T, *grid, D) and keep a frame (B, *grid, U).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from forecasting.nn.cells import (
    conv_lstm,
    conv_lstm_peephole,
    coupled_lstm,
    gru,
    lstm,
    peephole_lstm,
    simple,
)

__all__ = ["CELLS", "CONVOLUTIONAL", "OF_VECTORS", "OPTIONS", "Choice", "Options", "Params", "layer", "options"]

CELLS: Final[dict[str, Callable[..., Any]]] = {
    "simple": simple.layer,
    "lstm": lstm.layer,
    "gru": gru.layer,
    "peephole_lstm": peephole_lstm.layer,
    "coupled_lstm": coupled_lstm.layer,
    "conv_lstm": conv_lstm.layer,
    "conv_lstm_peephole": conv_lstm_peephole.layer,
}
CONVOLUTIONAL: Final = ("conv_lstm", "conv_lstm_peephole")
OF_VECTORS: Final = tuple(name for name in CELLS if name not in CONVOLUTIONAL)

Options: TypeAlias = peephole_lstm.Options | conv_lstm.Options | conv_lstm_peephole.Options
OPTIONS: Final[dict[str, type[Options]]] = {
    "peephole_lstm": peephole_lstm.Options,
    "conv_lstm": conv_lstm.Options,
    "conv_lstm_peephole": conv_lstm_peephole.Options,
}


class Params(BaseModel):
    """What the parameters of every network have: nothing unknown, a cell that it can use, and settings of that cell."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    usable: ClassVar[tuple[str, ...]] = tuple(CELLS)
    refusal: ClassVar[str] = "there is no such cell; valid cells"  # goes on with their names

    cell: str = "lstm"
    cell_options: Options | None = None  # of the cells that have any

    @field_validator("cell")
    @classmethod
    def _known(cls, cell: str) -> str:
        if cell not in cls.usable:
            raise ValueError(f"{cls.refusal}: {', '.join(cls.usable)}")
        return cell

    @field_validator("cell_options", mode="before")
    @classmethod
    def _options(cls, values: Any, info: ValidationInfo) -> Options | None:
        return options(info.data.get("cell", ""), values)


class Choice(Protocol):
    """What a network's parameters say about its cells."""

    @property
    def cell(self) -> str:
        """A name of `CELLS`."""

    @property
    def activation(self) -> str:
        """Of the state; cuDNN runs tanh only."""

    @property
    def cell_options(self) -> Options | None:
        """Settings of the cell, None for its defaults."""


def layer(choice: Choice, units: int, *, sequences: bool, states: bool = False, name: str, rank: int = 0) -> Any:
    """The chosen cell as a layer; a convolutional one over a grid of this rank."""
    make = CELLS[choice.cell]
    if choice.cell_options is not None:
        make = partial(make, options=choice.cell_options)
    if choice.cell in CONVOLUTIONAL:
        make = partial(make, rank=rank)
    return make(units, activation=choice.activation, sequences=sequences, states=states, name=name)


def options(cell: str, values: Any) -> Options | None:
    """What came as `cell_options`, checked; raises ValueError that lists every violation."""
    if values is None or cell not in CELLS:
        return None
    if cell not in OPTIONS:
        raise ValueError(f"{cell} has no options; cells that have: {', '.join(OPTIONS)}")
    try:
        return OPTIONS[cell].model_validate(values)
    except ValidationError as error:
        valid = ", ".join(OPTIONS[cell].model_fields)
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ValueError(f"{'; '.join(lines)}; options of {cell}: {valid}") from error
