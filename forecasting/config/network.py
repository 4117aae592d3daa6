"""Which network forecasts: the parameters of every network, by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, PositiveInt

from forecasting.config.cells import CONVOLUTIONAL, ConvolutionalCell, Recurrent, VectorCell
from forecasting.config.section import Fault, Section, by_default, tagged

__all__ = [
    "NETWORKS",
    "Auto",
    "AutoModel",
    "ConvLSTM",
    "DeepAR",
    "InStep",
    "Model",
    "Network",
    "SegRNN",
    "SegRNNModel",
    "Seq2Seq",
    "Stacked",
    "StackedModel",
]

Widths: TypeAlias = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


class Network(Recurrent):
    """The base of all parameters: the network's name, and what it can read."""

    name: ClassVar[str]  # in MODELS, and in the YAML
    step_by_step: ClassVar[bool] = False  # whether its own forecast is an input of the next step
    reads_grids: ClassVar[bool] = False
    least_context: ClassVar[int] = 1

    def objections(self, context: int, *, on_grid: bool) -> Iterator[Fault]:
        """The objections of this network to windows of `context` steps, of single series or of a line or grid."""
        if context < self.least_context:
            yield Fault("", f"{self.name} needs a context of at least {self.least_context} steps, got {context}")
        if on_grid and not self.reads_grids:
            yield Fault("", f"{self.name} reads single series, not a line or a grid; conv_lstm and stacked can")


def _activation_fits(params: Any) -> Iterator[Fault]:
    if params.activation != "tanh" and params.cell != "simple":
        yield Fault("activation", f"{params.activation} is only for the cell simple; {params.cell} uses tanh")


def _one_direction_per_layer(params: Any) -> Iterator[Fault]:
    both, layers = params.bidirectional, len(params.units)
    if not isinstance(both, bool) and len(both) != layers:
        yield Fault("bidirectional", f"must be one value, or one for each of the {layers} layers, got {len(both)}")


class _WithHighway(Network):
    """A network with a linear path beside its recurrent layers, and a cycle that it may learn."""

    highway: int = Field(0, ge=0)
    """Lags of the [linear path](networks.md#highway) beside the recurrent layers, at most the context; 0: no path."""

    highway_start: Literal["zero", "ridge", "fixed_ridge"] = "zero"
    """What the linear path starts from. `zero`: it reads the target and is learned like the rest. `ridge`: it reads all
    channels and what is known ahead, and starts as a ridge regression. `fixed_ridge`: it stays one, and the recurrent
    layers learn what it leaves over."""

    cycle: int = Field(0, ge=0)
    """Width of the layer that learns a [cycle](networks.md#cycle) from the known-ahead inputs; 0: none."""

    def objections(self, context: int, *, on_grid: bool) -> Iterator[Fault]:
        """A highway longer than the context."""
        yield from super().objections(context, on_grid=on_grid)
        if self.highway > context:
            yield Fault("highway", f"must be at most the context of {context} steps, got {self.highway}")


class Stacked(_WithHighway):
    """[`stacked`](networks/stacked.md): recurrent layers on top of each other, all steps of the horizon at once.

    Lists have one entry per recurrent layer; the first layer reads the context.
    """

    name: ClassVar[str] = "stacked"
    reads_grids: ClassVar[bool] = True
    RULES = (_one_direction_per_layer, _activation_fits)

    units: Widths = (64,)
    """Width of each recurrent layer; as many layers as entries."""

    bidirectional: bool | tuple[bool, ...] = False
    """Whether layers are bidirectional: one value for all layers, or one per layer. Backward passes stay inside the
    observed context."""

    activation: Literal["tanh", "relu", "sigmoid"] = "tanh"
    """Of the cell `simple`; gated cells keep `tanh`."""

    dropout: Share = 0.0
    """Share of the features that is dropped after every recurrent and decoder layer, in training."""

    normalise: Literal["window", "last", "none"] = "window"
    """[How a window is normalized](networks.md#locationscale-and-normalise)."""

    embedding: PositiveInt = 8
    """Width of the vector of a static categorical."""

    decoder: Widths = (32,)
    """Widths of the layers that each step of the horizon passes."""

    def objections(self, context: int, *, on_grid: bool) -> Iterator[Fault]:
        """A highway longer than the context, or on a grid, a cycle on a grid, and a cell that cannot read one."""
        yield from super().objections(context, on_grid=on_grid)
        for name in ("highway", "cycle"):
            if on_grid and (got := getattr(self, name)):
                yield Fault(name, f"must be 0 on a line or a grid, got {got}")
        if on_grid and self.cell not in CONVOLUTIONAL:
            yield Fault("cell", f"{self.cell} cannot read a line or a grid; {' and '.join(CONVOLUTIONAL)} can")


class Seq2Seq(Network):
    """[`seq2seq`](networks/seq2seq.md): an encoder reads the context, a decoder with attention forecasts step by step.

    Encoder and decoder have one recurrent layer per entry of `units`.
    """

    name: ClassVar[str] = "seq2seq"
    step_by_step: ClassVar[bool] = True
    activation: ClassVar[str] = "tanh"

    cell: VectorCell = "gru"
    """The recurrent cell, a name of [Cells](networks.md#cells) whose state is a vector."""

    units: Widths = (48,)
    """Width of each layer, of the encoder and of the decoder alike."""

    bidirectional: bool = False
    """Whether the encoder is bidirectional, inside the observed context."""

    attention: bool = True
    """Whether the decoder attends to all steps of the context; without, it knows only the encoder's last state."""

    dropout: Share = 0.0
    """Share of the features that is dropped after every recurrent layer, in training."""

    normalise: Literal["scale", "window", "last", "none"] = "window"
    """[How a window is normalized](networks.md#locationscale-and-normalise)."""

    embedding: PositiveInt = 8
    """Width of the vector of a static categorical."""


class DeepAR(Network):
    """[`deepar`](networks/deepar.md): one recurrent stack reads the context and goes on, value by value.

    The context has at least two steps.
    """

    name: ClassVar[str] = "deepar"
    step_by_step: ClassVar[bool] = True
    least_context: ClassVar[int] = 2  # the first step has none that leads to it
    activation: ClassVar[str] = "tanh"

    cell: VectorCell = "lstm"
    """The recurrent cell, a name of [Cells](networks.md#cells) whose state is a vector."""

    units: Widths = (40, 40)
    """Width of each recurrent layer; as many layers as entries."""

    dropout: Share = 0.0
    """Share of the features that is dropped after every recurrent layer, in training."""

    normalise: Literal["scale", "window", "last", "none"] = "scale"
    """[How a window is normalized](networks.md#locationscale-and-normalise)."""

    embedding: PositiveInt = 8
    """Width of the vector of a static categorical."""


class SegRNN(_WithHighway):
    """[`segrnn`](networks/segrnn.md): a recurrent layer reads segments and forecasts all segments ahead."""

    name: ClassVar[str] = "segrnn"
    activation: ClassVar[str] = "tanh"

    segment: PositiveInt = 12
    """Steps in a segment; context and horizon need not be multiples of it."""

    units: PositiveInt = 64
    """Width of the projected segments and of the recurrent layer."""

    cell: VectorCell = "gru"
    """The recurrent cell, a name of [Cells](networks.md#cells) that is not convolutional."""

    dropout: Share = 0.0
    """Share of the recurrent layer's outputs that is dropped in training."""

    normalise: Literal["window", "last", "none"] = "last"
    """[How a window is normalized](networks.md#locationscale-and-normalise)."""

    embedding: PositiveInt = 8
    """Width of the vector of a static categorical."""


class ConvLSTM(Network):
    """[`conv_lstm`](networks/conv_lstm.md): an encoder and a forecaster of ConvLSTMs, from frames to frames.

    For lines of sensors and for grids; a single series is a line of one place.
    """

    name: ClassVar[str] = "conv_lstm"
    reads_grids: ClassVar[bool] = True
    activation: ClassVar[str] = "tanh"

    cell: ConvolutionalCell = "conv_lstm"
    """The recurrent cell, one that reads frames."""

    filters: Widths = (16,)
    """Filters of each layer of the encoder, and of the forecaster."""

    bidirectional: bool = False
    """Whether the encoder is bidirectional; the forecaster then has twice the filters."""

    patch: PositiveInt = 1
    """Cells of the grid in each direction that become one place with as many times the channels."""

    dropout: Share = 0.0
    """Share of the features that is dropped between layers, in training."""

    normalise: Literal["window", "last", "none"] = "last"
    """[How the window of a cell is normalized](networks.md#locationscale-and-normalise)."""

    embedding: PositiveInt = 8
    """Width of the vector of a static categorical, for single series."""

    width: PositiveInt = 16
    """Features of each cell and step for the head."""


class InStep(Network):
    """[`in_step`](networks/in_step.md): at every step, what comes next; the network of [symbols](symbols.md)."""

    name: ClassVar[str] = "in_step"
    step_by_step: ClassVar[bool] = True
    RULES = (_activation_fits,)

    cell: VectorCell = "lstm"
    """The recurrent cell, a name of [Cells](networks.md#cells) that is not convolutional."""

    units: Widths = (128,)
    """Width of each recurrent layer; as many layers as entries."""

    activation: Literal["tanh", "relu", "sigmoid"] = "tanh"
    """Of the cell `simple`; gated cells keep `tanh`."""

    inputs: Literal["one_hot", "embedding"] = "embedding"
    """How a symbol is read: as a learned vector, or as one that is 1 at its code and 0 elsewhere."""

    width: PositiveInt = 32
    """Width of the learned vector of a symbol."""

    dropout: Share = 0.0
    """Share of the features that is dropped after every recurrent layer, in training."""

    carry: bool = True
    """Whether states carry over from chunk to chunk in training."""


class Auto(Section):
    """No parameters: what `auto` tries follows from the data and from `selection`."""

    name: ClassVar[str] = "auto"
    step_by_step: ClassVar[bool] = False
    reads_grids: ClassVar[bool] = False

    def objections(self, _context: int, *, on_grid: bool) -> Iterator[Fault]:
        """A line or a grid."""
        if on_grid:
            yield Fault("", "auto reads single series, not a line or a grid; conv_lstm and stacked can")


class StackedModel(Section):
    """The network `stacked`."""

    name: Literal["stacked"] = "stacked"
    params: Stacked = Stacked()


class Seq2SeqModel(Section):
    """The network `seq2seq`."""

    model_config = tagged("name")
    name: Literal["seq2seq"] = "seq2seq"
    params: Seq2Seq = Seq2Seq()


class DeepARModel(Section):
    """The network `deepar`."""

    model_config = tagged("name")
    name: Literal["deepar"] = "deepar"
    params: DeepAR = DeepAR()


class SegRNNModel(Section):
    """The network `segrnn`."""

    model_config = tagged("name")
    name: Literal["segrnn"] = "segrnn"
    params: SegRNN = SegRNN()


class ConvLSTMModel(Section):
    """The network `conv_lstm`."""

    model_config = tagged("name")
    name: Literal["conv_lstm"] = "conv_lstm"
    params: ConvLSTM = ConvLSTM()


class InStepModel(Section):
    """The network `in_step`."""

    model_config = tagged("name")
    name: Literal["in_step"] = "in_step"
    params: InStep = InStep()


class AutoModel(Section):
    """The search `auto`: networks and baselines are tried on the validation span, and the best are averaged.

    It has no parameters; `selection` says how long it may take.
    """

    model_config = tagged("name")
    name: Literal["auto"] = "auto"
    params: Auto = Auto()


Model: TypeAlias = Annotated[
    AutoModel | StackedModel | Seq2SeqModel | DeepARModel | SegRNNModel | ConvLSTMModel | InStepModel,
    Field(discriminator="name"),
    by_default("name", "stacked"),
]

NETWORKS: Final[dict[str, type[Network]]] = {
    each.name: each for each in (Stacked, Seq2Seq, DeepAR, SegRNN, ConvLSTM, InStep)
}
