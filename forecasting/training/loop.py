"""The rounds of a fit: each one checked and saved, until the validation loss stops falling."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from forecasting.config.training import Train
from forecasting.errors import ConfigError, TrainingError
from forecasting.nn.layers.highway import wide_highway_of
from forecasting.series.windows import Batch
from forecasting.training.averaging import averaged, averaging, exchange
from forecasting.training.batches import Batches, Examples, draw, stream
from forecasting.training.checkpoint import Checkpoint, Round
from forecasting.training.devices import chosen, compiled, seed_round
from forecasting.training.gradients import WatchedAdamW, forget_norms, norms_of
from forecasting.training.parts import in_halves, whole
from forecasting.training.plan import FitPlan, plan
from forecasting.training.progress import FitProgress
from forecasting.training.replicas import on_devices
from forecasting.training.tbptt import Lanes

__all__ = ["compile_network", "learn", "learn_all", "learn_best", "mean_loss"]


def learn_best(  # noqa: PLR0913  (a fit has that many parts)
    network: keras.Model,
    loss: Callable[..., object],
    train: Examples,
    valid: Examples,
    config: Train,
    checkpoint: Checkpoint,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> int:
    """Compile a network, fit it as `config` plans it, and load its best weights; returns the steps that led to them.

    Sequences in lanes are read in their order. Raises TrainingError if the loss is not finite.
    """
    planned = plan(config, len(train), in_order=isinstance(train, Lanes))
    learner = compile_network(network, loss, config, planned)
    learn(learner, train, valid, config, planned, checkpoint, title=title, notes=notes)
    return int(checkpoint.load_best(learner)["epoch"]) * planned.length


def learn_all(  # noqa: PLR0913  (a fit has that many parts)
    network: keras.Model,
    everything: Examples,
    config: Train,
    planned: FitPlan,
    checkpoint: Checkpoint,
    *,
    rounds: int,
    title: str,
    notes: Sequence[str] = (),
) -> None:
    """Compile a network and fit it for the first `rounds` rounds of a plan on all that there is.

    Nothing is left to watch, so its last weights stay, or their averages. Raises TrainingError if the loss
    is not finite.
    """
    learner = compile_network(network, network.get_layer("head").loss, config, planned)
    planned = planned._replace(rounds=rounds, patience=max(rounds, 1))
    learn(learner, everything, everything, config, planned, checkpoint, title=title, notes=notes)
    if rounds:
        exchange(learner)  # its averaged weights are those that stay


def compile_network(network: keras.Model, loss: Callable[..., object], config: Train, planned: FitPlan) -> keras.Model:
    """AdamW with global-norm clipping (Loshchilov & Hutter 2019; Pascanu et al. 2013) over the steps of the plan.

    Returns what learns in place of the network: the network, or the same weights on both halves of a batch. Raises
    ConfigError where `train.jit` cannot be had, or where the devices cannot share a batch evenly.
    """
    rate = config.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(rate, max(planned.steps, 1)) if config.decay == "cosine" else rate
    optimizer = WatchedAdamW(
        schedule,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
        **(averaging(planned.length) if config.average else {}),
    )
    devices = chosen(config.devices)
    if planned.batch_size % len(devices):
        raise ConfigError(
            f"{len(devices)} devices cannot share batches of {planned.batch_size} windows evenly; set train.batch_size "
            "to a multiple, or train.devices to 1"
        )
    learner = on_devices(in_halves(network, config, planned.batch_size), devices)
    learner.compile(optimizer=optimizer, loss=loss, jit_compile=compiled(network, config.jit))
    return learner


def learn(  # noqa: PLR0913  (a fit has that many parts)
    network: keras.Model,
    train: Examples,
    valid: Examples,
    config: Train,
    planned: FitPlan,
    checkpoint: Checkpoint,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> None:
    """Fit a compiled network round by round from where `checkpoint` stands; the best round's weights are in it.

    A network that can forecast before it has learned anything is checked before the first step. Raises TrainingError
    if the loss is not finite.
    """
    done = checkpoint.restore(network)
    if done:
        exchange(network)
    previous = any(tensor.name == "previous" for tensor in whole(network).inputs)
    devices = len(chosen(config.devices))
    watched = _divisible(draw(len(valid), None, 0, planned.watched), devices)
    held_out = Batches(valid, watched, planned.batch_size, previous=previous)
    with FitProgress(f"training {title}", planned.steps, done=done * planned.length) as progress:
        progress.say("; ".join([f"{title}: {len(train):,} training and {len(valid):,} validation windows", *notes]))
        if not checkpoint.history and wide_highway_of(whole(network)) is not None:
            loss = mean_loss(network.test_on_batch, held_out)
            checkpoint.save(network, Round(epoch=0, loss=loss, val_loss=loss, seconds=0.0))
        for number in range(done, planned.rounds):
            if checkpoint.exhausted(planned.patience) or _out_of_time(checkpoint, config):
                break
            seed_round(network, config.seed, number)
            order = _divisible(_order(train, config.seed, planned, number), devices)
            batches = Batches(train, order, planned.batch_size, previous=previous)
            begin = time.perf_counter()
            forget_norms(network)
            loss = mean_loss(network.train_on_batch, progress.watch(batches))
            with averaged(network):
                row = _checked(network, held_out, Round(epoch=number + 1, loss=loss, **norms_of(network)), begin)
                checkpoint.save(network, row)
            progress.say(_line(row, planned))


def mean_loss(step: Callable[..., dict[str, float]], batches: Iterable[tuple[Batch, np.ndarray]]) -> float:
    """The loss of a step on every batch, averaged over the examples."""
    losses = [(step(inputs, targets, return_dict=True)["loss"], len(targets)) for inputs, targets in batches]
    values, sizes = np.array(losses, dtype=np.float64).T
    return float(np.average(values, weights=sizes))


def _order(train: Examples, seed: int, planned: FitPlan, number: int) -> np.ndarray:
    """The examples of a round: of its pass, or those that follow on the round before."""
    if isinstance(train, Lanes):
        return np.arange(len(train))
    if planned.passes:
        return draw(len(train), seed, number, planned.most)
    count = planned.length * planned.batch_size
    return stream(len(train), seed, number * count, count)


def _divisible(order: np.ndarray, devices: int) -> np.ndarray:
    """The examples without the last few, so that every device has as many."""
    return order[: len(order) // devices * devices]


def _checked(network: keras.Model, held_out: Batches, row: Round, begin: float) -> Round:
    """The round, with its validation loss and its seconds since `begin`; raises TrainingError if a loss is not
    finite."""
    row["val_loss"] = mean_loss(network.test_on_batch, held_out)
    row["seconds"] = time.perf_counter() - begin
    if not np.isfinite([row["loss"], row["val_loss"]]).all():
        raise TrainingError(f"the loss became {row['loss']} in round {row['epoch']:.0f}: lower train.learning_rate")
    return row


def _out_of_time(checkpoint: Checkpoint, config: Train) -> bool:
    return config.minutes is not None and sum(row["seconds"] for row in checkpoint.history) >= 60 * config.minutes


def _line(row: Round, planned: FitPlan) -> str:
    number, gradient = int(row["epoch"]), f"gradient {row['gradient_norm']:.2g}"
    done = (
        f"epoch {number}/{planned.rounds}" if planned.passes else f"step {number * planned.length:,}/{planned.steps:,}"
    )
    return f"{done}  loss {row['loss']:.4f}  validation {row['val_loss']:.4f}  {gradient}  {row['seconds']:.1f} s"
