"""Recurrent cells by name, and the settings of those that have any."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field, PositiveInt, ValidationInfo, field_validator

from forecasting.config.section import Section

__all__ = [
    "CELLS",
    "CONVOLUTIONAL",
    "OPTIONS",
    "Cell",
    "CellOptions",
    "ConvLSTMOptions",
    "ConvLSTMPeepholeOptions",
    "ConvolutionalCell",
    "PeepholeLSTMOptions",
    "Recurrent",
    "VectorCell",
]

VectorCell: TypeAlias = Literal["simple", "lstm", "gru", "peephole_lstm", "coupled_lstm"]
ConvolutionalCell: TypeAlias = Literal["conv_lstm", "conv_lstm_peephole"]
Cell: TypeAlias = Literal[VectorCell, ConvolutionalCell]

CELLS: Final[tuple[str, ...]] = get_args(Cell)
CONVOLUTIONAL: Final[tuple[str, ...]] = get_args(ConvolutionalCell)


class PeepholeLSTMOptions(Section):
    """`cell_options` of the cell `peephole_lstm`."""

    squash: Literal["tanh", "identity"] = "tanh"
    """What the cell state passes on its way out of the cell; `identity` lets it out as it is."""


class ConvLSTMOptions(Section):
    """`cell_options` of the cell `conv_lstm`."""

    kernel: PositiveInt = 3
    """Width of the convolutions: how many neighbors a place sees, itself included, in each direction of the grid."""


class ConvLSTMPeepholeOptions(ConvLSTMOptions):
    """`cell_options` of the cell `conv_lstm_peephole`."""

    output_gate: Literal["new", "old"] = "new"
    """The cell state that the output gate reads: `new` as published (Shi et al. 2015), or `old`, of the step before."""


CellOptions: TypeAlias = PeepholeLSTMOptions | ConvLSTMOptions | ConvLSTMPeepholeOptions

OPTIONS: Final[dict[str, type[CellOptions]]] = {
    "peephole_lstm": PeepholeLSTMOptions,
    "conv_lstm": ConvLSTMOptions,
    "conv_lstm_peephole": ConvLSTMPeepholeOptions,
}


def _options_by_cell(schema: dict[str, Any]) -> None:
    """Put the checks of `_of_the_cell` into JSON Schema; without references, since every generator places those
    elsewhere."""
    chosen = schema["properties"]["cell"]
    for cell in chosen["enum"]:
        keys = list(OPTIONS[cell].model_fields) if cell in OPTIONS else []
        known = {"propertyNames": {"enum": keys}} if keys else {"type": "null"}
        condition = {"properties": {"cell": {"const": cell}}, "required": [] if cell == chosen["default"] else ["cell"]}
        schema.setdefault("allOf", []).append({"if": condition, "then": {"properties": {"cell_options": known}}})


class Recurrent(Section):
    """What the parameters of every network have: a cell, and the settings of that cell."""

    model_config = ConfigDict(json_schema_extra=_options_by_cell)

    cell: Cell = "lstm"
    """The recurrent cell, a name of [Cells](networks.md#cells)."""

    cell_options: CellOptions | None = Field(None, examples=[{"kernel": 5}])
    """Settings of a [cell](#cell_options) that has any; `null`: its defaults."""

    @field_validator("cell_options", mode="wrap")
    @classmethod
    def _of_the_cell(cls, values: Any, _any_cell: object, info: ValidationInfo) -> Any:
        cell = info.data.get("cell")
        if values is None or cell is None:  # for an invalid cell, nothing is said about its options
            return None
        if cell not in OPTIONS:
            raise ValueError(f"{cell} has no options; only these cells do: {', '.join(OPTIONS)}")
        return OPTIONS[cell].model_validate(values)
