"""How a network is fitted."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field, field_validator

from forecasting.config.section import Section

__all__ = ["STARTS", "Train"]

STARTS: Final = {
    "scratch": "drawn at random",
    "champion": "those of the live model",
    "encoder": "those of the live model; the recurrent layers that read the context stay as they are",
    "head": "those of the live model; only the head learns",
}


class Train(Section):
    """How the network is fitted."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(0.001, gt=0)
    decay: Literal["constant", "cosine"] = "cosine"  # of the learning rate over all epochs
    weight_decay: float = Field(0.0001, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    patience: int = Field(3, ge=1)  # epochs without a better validation loss
    validation: int | float = 0.15  # last part of the training span: a share, or a number of steps
    windows_per_epoch: int | None = Field(None, ge=1)  # none: all of them
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit: bool = False  # XLA
    seed: int = 1
    timeout: float | None = Field(None, gt=0)  # seconds
    init: str = "scratch"  # the weights to begin with, see STARTS; or the id of a run, whose weights then all learn
    replay: float = Field(1.0, ge=0, le=1)  # share of what the first weights have learned from that is read again
    final_fit: bool = False  # a challenger that passed is fitted once more, on all readings, before it goes on serving

    @field_validator("init")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STARTS and not re.fullmatch("[0-9a-f]{32}", value):
            raise ValueError(f"must be one of {', '.join(STARTS)}, or the id of a run: 32 digits and letters a to f")
        return value

    @field_validator("validation")
    @classmethod
    def _sensible(cls, value: int | float) -> int | float:
        if (isinstance(value, float) and not 0 < value < 1) or value <= 0:
            raise ValueError(f"{value} must be a share between 0 and 1, or a whole number of steps")
        return value
