"""How a network is fitted."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from forecasting.config.section import Section

__all__ = ["STARTS", "Train"]

STARTS: Final = {
    "scratch": "drawn at random",
    "champion": "those of the live model",
    "encoder": "those of the live model; the recurrent layers that read the context stay as they are",
    "head": "those of the live model; only the head learns",
}


def _start(init: str) -> str:
    if init not in STARTS and not re.fullmatch("[0-9a-f]{32}", init):
        valid = ", ".join(STARTS)
        raise ValueError(f"must be one of {valid}, or a run ID (32 hexadecimal digits), got {init!r}")
    return init


def _span(validation: int | float) -> int | float:
    if (isinstance(validation, float) and not 0 < validation < 1) or validation <= 0:
        raise ValueError(f"must be a share between 0 and 1, or a whole number of steps, got {validation}")
    return validation


class Train(Section):
    """How the network is fitted."""

    epochs: int = Field(10, ge=1)
    """Passes over the training windows, at most."""

    batch_size: int = Field(256, ge=1)
    """Windows in a training step."""

    learning_rate: float = Field(0.001, gt=0)
    """Learning rate of AdamW, at its highest."""

    decay: Literal["constant", "cosine"] = "cosine"
    """How the learning rate decreases over all epochs; `constant`: not at all."""

    weight_decay: float = Field(0.0001, ge=0)
    """Weight decay of AdamW."""

    clip_norm: float = Field(1.0, gt=0)
    """Longest global norm of the gradient."""

    patience: int = Field(3, ge=1)
    """Epochs without a better validation loss before training ends; the best weights are kept."""

    validation: Annotated[int | float, AfterValidator(_span)] = 0.15
    """The last part of the training span, for validation only: a share between 0 and 1, or a number of steps."""

    windows_per_epoch: int | None = Field(None, ge=1)
    """Windows drawn for each epoch; `null`: all of them."""

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Precision of the layers; the mixed ones help on a GPU."""

    jit: bool = False
    """Compile with XLA."""

    seed: int = 1
    """The same seed gives the same network on a CPU."""

    timeout: float | None = Field(None, gt=0)
    """Seconds after which training is stopped with an error; `null`: never."""

    init: Annotated[str, AfterValidator(_start)] = "scratch"
    """The initial weights: `scratch`, `champion`, `encoder`, `head`, or a run ID: [Retraining](retraining.md)."""

    replay: float = Field(1.0, ge=0, le=1)
    """The share of the windows behind the initial weights that is read again; 0: only new windows."""

    final_fit: bool = False
    """Fit a challenger that passed once more, on all readings."""
