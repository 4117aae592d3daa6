"""Networks by name: one file each, with a frozen `Config` and `build(config, shapes, head) -> keras.Model`.

One that goes step by step also has `parts(network)`: its reader of the context and its single step.
"""

import difflib
from types import ModuleType
from typing import Any, Final

import keras
from pydantic import BaseModel, ValidationError

from forecasting.errors import ConfigError
from forecasting.nn.models import conv_lstm, deepar, segrnn, seq2seq, stacked
from forecasting.nn.models import many_to_many as in_step
from forecasting.nn.shapes import Shapes

__all__ = ["MODELS", "Shapes", "build", "check", "goes_step_by_step", "parts"]

MODELS: Final[dict[str, ModuleType]] = {
    "stacked": stacked,
    "seq2seq": seq2seq,
    "deepar": deepar,
    "segrnn": segrnn,
    "conv_lstm": conv_lstm,
    "in_step": in_step,
}


def build(name: str, params: dict[str, Any], shapes: Shapes, head: Any) -> keras.Model:
    """The network `name` with these parameters, its inputs named as in `Shapes`, its output that of `head`.

    Raises ConfigError that lists every violation.
    """
    network: keras.Model = _module(name).build(check(name, params), shapes, head)
    return network


def check(name: str, params: dict[str, Any]) -> BaseModel:
    """The parameters as the Config of network `name`; raises ConfigError that lists every violation."""
    config: type[BaseModel] = _module(name).Config
    try:
        return config.model_validate(params)
    except ValidationError as error:
        lines = "\n".join(f"  - {_sentence(item, list(config.model_fields))}" for item in error.errors())
        raise ConfigError(f"model {name} has {error.error_count()} violation(s):\n{lines}") from error


def parts(name: str, network: keras.Model) -> dict[str, keras.Model]:
    """What of a trained network is exported: "model", and "step" where it goes step by step; the weights are shared."""
    if not goes_step_by_step(name):
        return {"model": network}
    found: dict[str, keras.Model] = _module(name).parts(network)
    return found


def goes_step_by_step(name: str) -> bool:
    """Whether a network of this name forecasts one step after the other; false where there is no such network."""
    return hasattr(MODELS.get(name), "parts")


def _module(name: str) -> ModuleType:
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}; valid models: {', '.join(MODELS)}")
    return MODELS[name]


def _sentence(item: Any, keys: list[str]) -> str:
    place = ".".join(["params", *(str(part) for part in item["loc"])])
    if item["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(item["loc"][-1]), keys, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{place}: unknown key; {hint}valid keys: {', '.join(keys)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if isinstance(item["input"], dict) else f"{place}: {message} (got {item['input']!r})"
