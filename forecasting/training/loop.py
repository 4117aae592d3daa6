"""The rounds of a fit: each one checked and saved, until the validation loss stops falling."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from forecasting.config.training import Train
from forecasting.errors import TrainingError
from forecasting.series.windows import Batch
from forecasting.training.batches import Batches, Examples, draw, stream
from forecasting.training.checkpoint import Checkpoint, Round
from forecasting.training.devices import seed_round
from forecasting.training.plan import FitPlan
from forecasting.training.progress import FitProgress
from forecasting.training.tbptt import Lanes

__all__ = ["compile_network", "learn", "validation_loss"]


def compile_network(network: keras.Model, loss: Callable[..., object], config: Train, steps: int) -> None:
    """AdamW with global-norm clipping (Loshchilov & Hutter 2019; Pascanu et al. 2013) over that many `steps`."""
    rate = config.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps) if config.decay == "cosine" else rate
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm)
    network.compile(optimizer=optimizer, loss=loss, jit_compile=config.jit)


def learn(  # noqa: PLR0913  (a fit has that many parts)
    network: keras.Model,
    train: Examples,
    valid: Examples,
    config: Train,
    plan: FitPlan,
    checkpoint: Checkpoint,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Checkpoint:
    """Fit a compiled network round by round from where `checkpoint` stands; the best round's weights are in it.

    A network that can forecast before it has learned anything is checked before the first step. Raises TrainingError
    if the loss is not finite.
    """
    done = checkpoint.restore(network)
    previous = any(tensor.name == "previous" for tensor in network.inputs)
    watched = draw(len(valid), None, 0, plan.watched)
    held_out = Batches(valid, watched, plan.batch_size, previous=previous)
    with FitProgress(f"training {title}", plan.steps, done=done * plan.length) as progress:
        progress.say("; ".join([f"{len(train):,} training and {len(valid):,} validation windows", *notes]))
        if not checkpoint.history and _starts_trained(network):
            loss = validation_loss(network, held_out)
            checkpoint.save(network, Round(epoch=0, loss=loss, val_loss=loss, seconds=0.0))
        for number in range(done, plan.rounds):
            if checkpoint.exhausted(plan.patience) or _out_of_time(checkpoint, config):
                break
            seed_round(network, config.seed, number)
            batches = Batches(train, _order(train, config.seed, plan, number), plan.batch_size, previous=previous)
            row = _round(network, batches, held_out, number + 1, progress)
            checkpoint.save(network, row)
            progress.say(_line(row, plan))
    return checkpoint


def validation_loss(network: keras.Model, batches: Batches) -> float:
    """The mean loss of the validation windows."""
    return _mean(network.test_on_batch, batches)


def _mean(step: Callable[..., dict[str, float]], batches: Iterable[tuple[Batch, np.ndarray]]) -> float:
    """The loss of a step on every batch, averaged over the examples."""
    losses = [(step(inputs, targets, return_dict=True)["loss"], len(targets)) for inputs, targets in batches]
    values, sizes = np.array(losses, dtype=np.float64).T
    return float(np.average(values, weights=sizes))


def _order(train: Examples, seed: int, plan: FitPlan, number: int) -> np.ndarray:
    """The examples of a round: of its pass, or those that follow on the round before."""
    if isinstance(train, Lanes):
        return np.arange(len(train))
    if plan.passes:
        return draw(len(train), seed, number, plan.most)
    count = plan.length * plan.batch_size
    return stream(len(train), seed, number * count, count)


def _round(network: keras.Model, batches: Batches, held_out: Batches, number: int, progress: FitProgress) -> Round:
    begin = time.perf_counter()
    loss, val_loss = _mean(network.train_on_batch, progress.watch(batches)), validation_loss(network, held_out)
    row = Round(epoch=number, loss=loss, val_loss=val_loss, seconds=time.perf_counter() - begin)
    if not np.isfinite([row["loss"], row["val_loss"]]).all():
        raise TrainingError(f"the loss became {row['loss']} in round {number}: lower train.learning_rate")
    return row


def _starts_trained(network: keras.Model) -> bool:
    return any(getattr(layer, "starts_trained", False) for layer in network.layers)


def _out_of_time(checkpoint: Checkpoint, config: Train) -> bool:
    return config.minutes is not None and sum(row["seconds"] for row in checkpoint.history) >= 60 * config.minutes


def _line(row: Round, plan: FitPlan) -> str:
    number = int(row["epoch"])
    done = f"epoch {number}/{plan.rounds}" if plan.passes else f"step {number * plan.length:,}/{plan.steps:,}"
    return f"{done}  loss {row['loss']:.4f}  validation {row['val_loss']:.4f}  {row['seconds']:.1f} s"
