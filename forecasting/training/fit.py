"""Fit a job's network on one fold and write its bundle: one page, top to bottom."""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Origin
from forecasting.bundle.assemble import assemble, spec_for
from forecasting.config import Job, Train
from forecasting.errors import TrainingError
from forecasting.nn import export, heads, models
from forecasting.series.features import Features
from forecasting.series.prepare import Prepared, prepare
from forecasting.series.snapshot import take
from forecasting.series.split import Fold
from forecasting.series.store import Store
from forecasting.training.batches import Batches
from forecasting.training.checkpoint import Checkpoint, Epoch
from forecasting.training.devices import describe, make_deterministic, seed_epoch
from forecasting.training.fitted import Fitted
from forecasting.training.progress import FitProgress

__all__ = ["fit", "fit_stored"]

PARITY = 1e-5  # most that the exported graph may differ from the network, in the scaled space


def fit(table: pd.DataFrame, job: Job, fold: Fold, work: Path, *, origin: Origin) -> Fitted:
    """Train the job's network on what `fold` may see and write its bundle to `work/bundle`.

    `table` must be clean. `work` keeps the state after each epoch: a killed fit goes on from there and ends with
    the same weights. Raises DataError when there is too little to train on, TrainingError when the loss is lost.
    """
    make_deterministic(job.train.seed)
    keras.config.set_dtype_policy(job.train.precision)
    data = prepare(table, job, fold)
    head = heads.build(job.head.name, job.head.quantiles)
    network = models.build(job.model.name, job.model.params, shapes(job, data.features), head)
    steps = len(Batches(data.train, job.train.batch_size, most=job.train.windows_per_epoch))
    network.compile(optimizer=optimizer(job.train, steps), loss=head.loss, jit_compile=job.train.jit)
    devices = describe(network)
    checkpoint = train(network, data, job, Checkpoint(work), devices=devices)
    best = checkpoint.load_best(network)
    return Fitted(
        write_bundle(network, data, job, work, origin=origin, steps=int(best["epoch"]) * steps),
        pd.DataFrame(checkpoint.history),
        tuple(devices),
    )


def shapes(job: Job, features: Features) -> models.Shapes:
    """The sizes of the arrays that windows of these features give."""
    return models.Shapes(
        context=job.window.context,
        horizon=job.window.horizon,
        past=len(features.inputs),
        future=len(features.known_ahead),
        static=len(features.static_numbers),
        codes=features.cardinalities,
        mask=features.mask,
    )


def optimizer(config: Train, steps: int) -> keras.optimizers.Optimizer:
    """AdamW with global-norm clipping (Loshchilov & Hutter 2019; Pascanu et al. 2013)."""
    rate = config.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(rate, config.epochs * steps) if config.decay == "cosine" else rate
    return keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm)


def train(network: keras.Model, data: Prepared, job: Job, checkpoint: Checkpoint, *, devices: list[str]) -> Checkpoint:
    """Epoch by epoch, each saved, until the validation loss stops falling or the epochs are used up."""
    config = job.train
    done = checkpoint.restore(network)
    valid = Batches(data.valid, config.batch_size, most=config.windows_per_epoch)
    steps = len(Batches(data.train, config.batch_size, most=config.windows_per_epoch))
    with FitProgress(f"training {job.model.name}", config.epochs * steps, done=done * steps) as progress:
        progress.say(f"{len(data.train):,} training and {len(data.valid):,} validation windows; " + "; ".join(devices))
        for number in range(done, config.epochs):
            if number and checkpoint.exhausted(config.patience):
                break
            begin = time.perf_counter()
            seed_epoch(network, config.seed, number)
            batches = Batches(
                data.train, config.batch_size, seed=config.seed, epoch=number, most=config.windows_per_epoch
            )
            logs = network.fit(batches, validation_data=valid, shuffle=False, verbose=0, callbacks=[progress]).history
            epoch = Epoch(
                epoch=number + 1,
                loss=float(logs["loss"][0]),
                val_loss=float(logs["val_loss"][0]),
                seconds=time.perf_counter() - begin,
            )
            if not np.isfinite([epoch["loss"], epoch["val_loss"]]).all():
                raise TrainingError(f"the loss became {epoch['loss']} in epoch {number + 1}: lower train.learning_rate")
            checkpoint.save(network, epoch)
            progress.say(
                f"epoch {number + 1}/{config.epochs}  loss {epoch['loss']:.4f}  validation {epoch['val_loss']:.4f}"
                f"  {epoch['seconds']:.1f} s"
            )
    return checkpoint


def write_bundle(network: keras.Model, data: Prepared, job: Job, work: Path, *, origin: Origin, steps: int) -> Path:
    """Export the network, hold the graph against it, and write the bundle."""
    model = export.to_onnx(network)
    parity = export.parity(network, model, data.valid.batch(np.arange(min(len(data.valid), 64))))
    if not parity <= PARITY and job.train.precision == "float32":
        raise TrainingError(f"the exported graph differs from the network by {parity:.2g}, more than {PARITY:g}")
    keras_file = work / "model.keras"
    network.save(keras_file)
    spec = spec_for(
        job,
        job.model.name,
        data.features,
        data.scaler,
        context=job.window.context,
        quantiles=job.head.quantiles,
    )
    origin = origin.model_copy(update={"parity": parity, "steps": steps, "seed": job.train.seed})
    return assemble(work / "bundle", spec, model, data.valid, origin=origin, keras_file=keras_file)


def fit_stored(home: Path, job: Job, version: int, number: int, *, work: Path, origin: Origin) -> Fitted:
    """Fit fold `number` of the observations stored as `version`: what a child process is asked to do."""
    data = take(Store(home), job, version)
    return fit(data.table, job, data.folds[number], work, origin=origin)
