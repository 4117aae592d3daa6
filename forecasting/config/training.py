"""How a network is fitted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from forecasting.config.section import Fault, Section

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


def _one_measure(train: Any) -> Iterator[Fault]:
    if train.steps is not None and train.epochs is not None:
        yield Fault(
            "epochs", f"steps ({train.steps}) and epochs ({train.epochs}) are two measures of one; leave one out"
        )
    if train.windows_per_epoch is not None and train.epochs is None:
        yield Fault("windows_per_epoch", "is for training by epochs; set train.epochs, or leave it out")


class Train(Section):
    """How the network is fitted."""

    RULES = (_one_measure,)

    steps: int | None = Field(None, ge=1)
    """Optimizer steps, at most; `null`: ten passes over the training windows, but at least 1,500 and at most 6,000."""

    minutes: float | None = Field(None, gt=0)
    """Minutes of training, at most: it ends at the next check. How far a fit comes then depends on the machine."""

    epochs: int | None = Field(None, ge=1)
    """Passes over the training windows, at most, in place of `steps`; each pass ends with a check."""

    batch_size: int | None = Field(None, ge=1)
    """Windows in a training step; `null`: 64 where there are fewer than 8,000, or else 256."""

    learning_rate: float = Field(0.001, gt=0)
    """Learning rate of AdamW, at its highest."""

    decay: Literal["constant", "cosine"] = "cosine"
    """How the learning rate decreases over all steps; `constant`: not at all."""

    weight_decay: float = Field(0.0001, ge=0)
    """Weight decay of AdamW."""

    average: bool = False
    """Whether the weights that are checked and kept are averages over about as many steps as lie between two checks,
    which evens out the noise of single steps. The networks of `auto` do so."""

    clip_norm: float = Field(1.0, gt=0)
    """Longest global norm of the gradient."""

    patience: int | None = Field(None, ge=1)
    """Checks without a better validation loss before training ends; `null`: 8 of 30 checks, or 3 epochs. The best
    weights are kept."""

    validation: Annotated[int | float, AfterValidator(_span)] = 0.15
    """The last part of the training span, for validation only: a share between 0 and 1, or a number of steps. It is
    counted in steps that windows exist for, so a long gap takes none of it."""

    windows_per_epoch: int | None = Field(None, ge=1)
    """Windows drawn for each epoch; `null`: all of them."""

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Precision of the layers; the mixed ones help on a GPU."""

    jit: bool | Literal["auto"] = "auto"
    """Whether XLA compiles the train step. `auto`: on JAX. On TensorFlow, `true` needs `deterministic: false`; on a
    CPU, batches of 256 are then slower, and small ones [faster](benchmarks.md#small-jobs)."""

    deterministic: bool = True
    """Whether kernels are deterministic on TensorFlow, so that the same seed gives the same network. On a GPU, `false`
    is faster. JAX has no such setting."""

    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Devices that share every batch; `auto`: all GPUs that the process sees. The networks here are small, and one GPU
    is often as fast: [Several GPUs](gpu.md#several-gpus)."""

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
