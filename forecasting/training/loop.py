"""The epochs of a fit: each one saved, until the validation loss stops falling."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from forecasting.config.training import Train
from forecasting.errors import TrainingError
from forecasting.training.batches import Batches, Examples
from forecasting.training.checkpoint import Checkpoint, Epoch
from forecasting.training.devices import seed_epoch
from forecasting.training.progress import FitProgress
from forecasting.training.tbptt import Lanes

__all__ = ["compile_network", "learn"]


def compile_network(network: keras.Model, loss: Callable[..., object], config: Train, examples: int) -> None:
    """AdamW with global-norm clipping (Loshchilov & Hutter 2019; Pascanu et al. 2013) over the epochs of `config`."""
    steps = config.epochs * batches_in(examples, config)
    rate = config.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps) if config.decay == "cosine" else rate
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm)
    network.compile(optimizer=optimizer, loss=loss, jit_compile=config.jit)


def batches_in(examples: int, config: Train) -> int:
    """Batches, so optimizer steps, in an epoch over that many examples."""
    return -(-min(examples, config.windows_per_epoch or examples) // config.batch_size)


def learn(
    network: keras.Model,
    train: Examples,
    valid: Examples,
    config: Train,
    checkpoint: Checkpoint,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Checkpoint:
    """Fit a compiled network epoch by epoch, go on where `checkpoint` stands; the best epoch's weights are in it.

    Raises TrainingError if the loss is not finite.
    """
    seed = None if isinstance(train, Lanes) else config.seed  # lanes are read in their order
    most, told = config.windows_per_epoch, any(tensor.name == "previous" for tensor in network.inputs)
    done, steps = checkpoint.restore(network), batches_in(len(train), config)
    held_out = Batches(valid, config.batch_size, most=most, previous=told)
    with FitProgress(f"training {title}", config.epochs * steps, done=done * steps) as progress:
        progress.say("; ".join([f"{len(train):,} training and {len(valid):,} validation windows", *notes]))
        for number in range(done, config.epochs):
            if number and checkpoint.exhausted(config.patience):
                break
            begin = time.perf_counter()
            seed_epoch(network, config.seed, number)
            batches = Batches(train, config.batch_size, seed=seed, epoch=number, most=most, previous=told)
            logs = network.fit(
                batches, validation_data=held_out, shuffle=False, verbose=0, callbacks=[progress]
            ).history
            epoch = _epoch(number + 1, logs, time.perf_counter() - begin)
            checkpoint.save(network, epoch)
            progress.say(
                f"epoch {number + 1}/{config.epochs}  loss {epoch['loss']:.4f}  validation {epoch['val_loss']:.4f}"
                f"  {epoch['seconds']:.1f} s"
            )
    return checkpoint


def _epoch(number: int, logs: dict[str, list[float]], seconds: float) -> Epoch:
    epoch = Epoch(epoch=number, loss=float(logs["loss"][0]), val_loss=float(logs["val_loss"][0]), seconds=seconds)
    if not np.isfinite([epoch["loss"], epoch["val_loss"]]).all():
        raise TrainingError(f"the loss became {epoch['loss']} in epoch {number}: lower train.learning_rate")
    return epoch
