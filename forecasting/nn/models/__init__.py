"""Networks by name: one file each, with `build(params, shapes, head) -> keras.Model`; parameters are configuration.

A step-by-step network also has `parts(network)`: its reader of the context and its single step.
"""

from types import ModuleType
from typing import Any, Final

import keras

from forecasting.config.network import NETWORKS, Network
from forecasting.errors import ConfigError
from forecasting.nn.models import conv_lstm, deepar, many_to_many, segrnn, seq2seq, stacked
from forecasting.nn.shapes import Shapes

__all__ = ["MODELS", "Shapes", "build", "parts"]

MODELS: Final[dict[str, ModuleType]] = {
    "stacked": stacked,
    "seq2seq": seq2seq,
    "deepar": deepar,
    "segrnn": segrnn,
    "conv_lstm": conv_lstm,
    "in_step": many_to_many,
}


def build(params: Network, shapes: Shapes, head: Any) -> keras.Model:
    """The network with these parameters, its inputs named as in `Shapes`, its output that of `head`.

    Raises ConfigError that lists every conflict between the parameters and the shapes.
    """
    faults = list(params.objections(shapes.context, on_grid=bool(shapes.grid)))
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise ConfigError(f"{params.name} cannot be built:\n{lines}")
    network: keras.Model = MODELS[params.name].build(params, shapes, head)
    return network


def parts(name: str, network: keras.Model) -> dict[str, keras.Model]:
    """The exported parts of a trained network: "model", and "step" for a step-by-step one; the weights are shared."""
    if not NETWORKS[name].step_by_step:
        return {"model": network}
    found: dict[str, keras.Model] = MODELS[name].parts(network)
    return found
