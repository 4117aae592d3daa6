"""The activity of recurrent cells while a model reads windows and forecasts, and what their steps belong to."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from forecasting.bundle.artifact import Bundle, read_graphs
from forecasting.bundle.engine import Graphs
from forecasting.bundle.spec import MemberSpec
from forecasting.config.network import SegRNN
from forecasting.errors import ConfigError
from forecasting.insight.equations import CellTrace
from forecasting.series.windows import Batch

if TYPE_CHECKING:  # it needs the package onnx
    from forecasting.insight.probe import Layer, Probe

__all__ = ["Activity", "activities"]

Array = np.ndarray


class Activity(NamedTuple):
    """One direction of a recurrent layer over windows: gates and states (B, steps, U) by name.

    `steps` are places in the window, or, ahead, in the horizon: of the reading that a step has read, the last one where
    it reads several; ahead, of the forecast.
    """

    member: MemberSpec | None  # of an ensemble
    layer: int
    cell: str
    direction: str
    ahead: bool
    steps: Array
    units: int  # U
    trace: CellTrace


class Silent(NamedTuple):
    """A model, or a member of an ensemble, without recurrent cells."""

    name: str


def activities(bundle: Bundle, batch: Batch) -> Iterator[Activity | Silent]:
    """What every cell does, member by member; `batch` holds the inputs of `Predictor.batch`, or "symbols" (B, T).

    Raises ConfigError where the package onnx is not installed.
    """
    if find_spec("onnx") is None:
        raise ConfigError("looking at cells needs the package onnx, which comes with the extra train")
    from forecasting.nn.exporters.ensemble import separated

    spec, graphs = bundle.spec, read_graphs(bundle.path)
    if not spec.members:
        yield from _of_graphs(bundle, None, graphs, batch)
        return
    for member, graph in zip(spec.members, separated(graphs.model, len(spec.members)), strict=True):
        yield from _of_graphs(bundle, member, Graphs(graph), batch)


def _of_graphs(bundle: Bundle, member: MemberSpec | None, graphs: Graphs, batch: Batch) -> Iterator[Activity | Silent]:
    from forecasting.insight.probe import Probe

    probe, count = Probe(graphs.model), len(next(iter(batch.values())))
    outputs, layers = probe.run({**batch, **probe.zeros(count)})
    if graphs.step is not None:
        layers += _unrolled(bundle, Probe(graphs.step), outputs, batch, begin=layers[-1].number)
    if not layers:
        yield Silent(bundle.spec.model if member is None else member.title)
    for layer in layers:
        yield _activity(bundle, member, layer, count)


def _unrolled(bundle: Bundle, probe: Probe, outputs: Batch, batch: Batch, *, begin: int) -> list[Layer]:
    """The layers of a step-by-step network over the horizon, along the path of the mean."""
    carried = {name: values for name, values in outputs.items() if name in probe.inputs}
    previous, every = batch["past"][:, -1:, 0], []
    for number, (_, values) in enumerate(bundle.predictor.follow(batch, None)):
        inputs = {**carried, "previous": previous}
        if "future" in probe.inputs:
            inputs["future"] = batch["future"][:, number : number + 1]
        after, layers = probe.run(inputs)
        every.append(layers)
        carried |= {name: after[f"next_{name}"] for name in carried if f"next_{name}" in after}
        previous = values[:, 0].astype(np.float32)
    return [
        steps[0]._replace(number=begin + steps[0].number, continues=True, trace=_joined([one.trace for one in steps]))
        for steps in zip(*every, strict=True)
    ]


def _joined(traces: list[CellTrace]) -> CellTrace:
    """Steps one after the other."""
    gates, states = (
        {name: np.concatenate([trace[kind][name] for trace in traces], axis=1) for name in traces[0][kind]}
        for kind in (0, 1)
    )
    return CellTrace(gates, states)


def _activity(bundle: Bundle, member: MemberSpec | None, layer: Layer, count: int) -> Activity:
    gates, states = ({name: _apart(values, count) for name, values in part.items()} for part in layer.trace)
    steps = _steps(bundle, member, states["hidden"].shape[1], ahead=layer.continues)
    if bundle.spec.symbols is not None:  # what stands before the first symbol belongs to no symbol
        gates, states = ({name: values[:, 1:] for name, values in part.items()} for part in (gates, states))
        steps = steps[1:]
    return Activity(
        member,
        layer.number,
        layer.cell,
        layer.direction,
        layer.continues,
        steps,
        layer.units,
        CellTrace(gates, states),
    )


def _apart(values: Array, count: int) -> Array:
    """(B, steps, U): SegRNN looks at every segment ahead as at a window of one step."""
    return values if len(values) == count else values.reshape(count, -1, values.shape[-1])


def _steps(bundle: Bundle, member: MemberSpec | None, size: int, *, ahead: bool) -> Array:
    """The places in the window or in the horizon that the steps of a layer belong to."""
    spec = bundle.spec
    width = _segment(bundle, member)
    if ahead:
        return np.minimum((np.arange(size) + 1) * width, spec.block or spec.horizon) - 1
    if spec.symbols is not None:
        return np.arange(size) - 1
    first = spec.context - (spec.context if member is None else member.context)
    return spec.context - 1 - width * np.arange(size)[::-1] if width > 1 else first + np.arange(size)


def _segment(bundle: Bundle, member: MemberSpec | None) -> int:
    """How many readings a step reads."""
    if (bundle.spec.model if member is None else member.model) != SegRNN.name:
        return 1
    params = bundle.manifest.origin.params if member is None or member.fit is None else member.fit.params
    return int(params.get("segment", SegRNN().segment))
