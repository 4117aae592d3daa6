"""Reach: how strongly a forecast depends on each lag, and how far back most of that lies."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np

from forecasting.bundle.artifact import read_graphs
from forecasting.bundle.engine import Graphs
from forecasting.bundle.predictor import Predictor
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import MemberSpec, Spec
from forecasting.insight.derivatives import by_lag, inputs_of
from forecasting.series.calendar import season_of
from forecasting.series.windows import Windows, evenly

__all__ = ["MemberReach", "Reach", "advice", "advised", "memory", "reach"]

_MASS: Final = 0.95
_EDGE: Final = 0.9  # of the context: mass beyond it says that the reach goes on
_MARGIN: Final = 1.25  # over the memory horizon, in the context that would do
_WORTH: Final = 0.8  # of the context: less is worth a training
_COST: Final = 4_000_000  # steps that a network may read in all
_WINDOWS: Final = (4, 64)  # at least and at most


class MemberReach(NamedTuple):
    """The reach of one member of an ensemble."""

    member: MemberSpec
    weights: dict[str, np.ndarray]  # as in Reach

    @property
    def memory_horizon(self) -> int:
        """The lag within which 95 % of the weight lies."""
        return memory(_total(self.weights))

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return self.member.model_dump(exclude={"fit"}) | {
            "memory_horizon": self.memory_horizon,
            "reach": _plain(self.weights),
        }


class Reach(NamedTuple):
    """The mean absolute derivative of each horizon step by each lag of each input, over some windows, scaled."""

    spec: Spec
    weights: dict[str, np.ndarray]  # by input: (H, T), lag 1 first
    windows: int
    members: tuple[MemberReach, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def by_lag(self) -> dict[str, np.ndarray]:
        """The weight of each lag (T,) of each input, the mean over the horizon."""
        return {name: weights.mean(axis=0) for name, weights in self.weights.items()}

    @property
    def memory_horizon(self) -> int:
        """The lag within which 95 % of the weight of all inputs and steps lies."""
        return memory(_total(self.weights))

    @property
    def advice(self) -> str:
        """What that says about `window.context`, in a sentence."""
        return advice(*self._learned)

    @property
    def advised(self) -> int | None:
        """The context that the advice names; none where it has none, or where the context fits."""
        return advised(*self._learned)

    @property
    def _learned(self) -> tuple[Spec, int]:
        """The spec and memory horizon behind the advice: the networks' if linear members read further back."""
        networks = [one for one in self.members if one.member.fit is not None]
        context = max((one.member.context for one in networks), default=self.spec.context)
        if context == self.spec.context:
            return self.spec, self.memory_horizon
        spec = self.spec.model_copy(update={"context": context, "members": tuple(one.member for one in networks)})
        total = np.sum([one.member.weight * _total(one.weights) for one in networks], axis=0)
        return spec, memory(total)

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "model": self.spec.model,
            "context": self.spec.context,
            "windows": self.windows,
            "reach": _plain(self.weights),
            "memory_horizon": self.memory_horizon,
            "memory_horizon_by_step": [memory(step) for step in _total(self.weights)],
            "advice": self.advice,
            "advised_context": self.advised,
            "members": [member.plain() for member in self.members],
            "notes": list(self.notes),
        }


def reach(forecaster: QuantileForecaster, windows: Windows) -> Reach:
    """The reach of a model, and of each member of an ensemble, over a sample of these windows, evenly spread."""
    spec, bundle = forecaster.spec, forecaster.bundle
    separate = bool(spec.members) and find_spec("onnx") is not None
    chosen = evenly(len(windows), _count(spec))
    members: tuple[MemberReach, ...] = ()
    if separate:
        from forecasting.nn.exporters.ensemble import separated

        graphs = separated(read_graphs(bundle.path).model, len(spec.members))
        members = tuple(
            MemberReach(member, _weights(Predictor(spec, Graphs(graph)), windows, chosen))
            for member, graph in zip(spec.members, graphs, strict=True)
        )
    notes = () if separate or not spec.members else ("the members are not shown: that needs the package onnx",)
    return Reach(spec, _weights(bundle.predictor, windows, chosen), len(chosen), members, notes)


def memory(weights: np.ndarray) -> int:
    """The lag within which 95 % of the weights (…, T) lie, lag 1 first; 0 if there are none."""
    mass = np.cumsum(weights.reshape(-1, weights.shape[-1]).sum(axis=0))
    return int(np.searchsorted(mass, _MASS * mass[-1])) + 1 if mass[-1] > 0 else 0


def advice(spec: Spec, memory_horizon: int) -> str:
    """What a memory horizon says about `window.context`."""
    context, other = spec.context, advised(spec, memory_horizon)
    looks = f"{_who(spec)} back {memory_horizon} of {context} steps"
    if _by_definition(spec):
        return f"{looks} by definition, which is no advice on window.context"
    if other is None:
        return f"{looks}: the context fits"
    if other > context:
        return f"{looks}: the reach ends at the edge of the context; try more, such as {other}"
    return f"{looks}; {other} would do"


def advised(spec: Spec, memory_horizon: int) -> int | None:
    """A context that fits the memory horizon better; none where there is none."""
    if _by_definition(spec):
        return None
    if memory_horizon > _EDGE * spec.context:
        return 2 * spec.context
    enough = _rounded(memory_horizon * _MARGIN, season_of(spec.series))
    return enough if enough <= _WORTH * spec.context else None


def _who(spec: Spec) -> str:
    """The subject of the advice, with its verb."""
    if spec.members:
        linear = any(one.fit is None for one in spec.members)
        return "the ensemble looks" if linear else "the networks of the ensemble look"
    return f"{spec.model if spec.baseline else 'the network'} looks"


def _by_definition(spec: Spec) -> bool:
    """Whether the model, or every member of it, is a linear map that has not learned what to look at."""
    if spec.members:
        return all(one.fit is None and one.model != "ridge" for one in spec.members)
    return spec.baseline and spec.model != "ridge"


def _rounded(steps: float, season: int) -> int:
    """Up to whole seasons, if there is one in it, else to whole steps."""
    unit = season if season <= steps else 1
    return max(1, int(-(-steps // unit)) * unit)


def _count(spec: Spec) -> int:
    """The number of windows: as many as their cost allows."""
    read = 2 * spec.context**2 * len(inputs_of(spec.features)) * max(1, 2 * len(spec.members))
    read *= 1 if spec.layout is None else spec.layout.places
    return int(np.clip(_COST // read, *_WINDOWS))


def _weights(predictor: Predictor, windows: Windows, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """The mean absolute derivatives (H, T) by input over the chosen windows."""
    batches = [predictor.batch(windows, chosen[place : place + 1]) for place in range(len(chosen))]
    return {
        name: np.mean([np.abs(by_lag(predictor, batch, past)).mean(axis=1).T for batch in batches], axis=0)
        for name, past, _ in inputs_of(predictor.spec.features)
    }


def _total(weights: dict[str, np.ndarray]) -> np.ndarray:
    """The weights of all inputs together."""
    total: np.ndarray = np.sum(list(weights.values()), axis=0)
    return total


def _plain(weights: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: [float(f"{value:.6g}") for value in found.mean(axis=0)] for name, found in weights.items()}
