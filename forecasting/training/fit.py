"""Fit a job's network on one fold and write its bundle: one page, top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import keras
import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, Origin, open_bundle
from forecasting.bundle.assemble import assemble, spec_for
from forecasting.bundle.engine import Engine, Graphs
from forecasting.config.job import Job
from forecasting.config.network import Network
from forecasting.nn import export, heads, models
from forecasting.series.features import Features
from forecasting.series.folds import Fold
from forecasting.series.frame_windows import joint
from forecasting.series.layout import Layout
from forecasting.series.prepare import Learned, Prepared, prepare
from forecasting.series.windows import Batch, Windows
from forecasting.storage.snapshot import take
from forecasting.storage.store import Store
from forecasting.training.batches import Examples
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.devices import describe, set_up
from forecasting.training.export import check_parity, origin_of, save_network
from forecasting.training.loop import learn_best
from forecasting.training.records import SCRATCH, Fitted, Start
from forecasting.training.ridge_start import start_as_ridge
from forecasting.training.symbols import fit_symbols
from forecasting.training.warm_start import begin_with, freeze, replayed

__all__ = ["export_graphs", "fit", "fit_stored", "network_for", "shapes"]


def fit(table: pd.DataFrame, job: Job, fold: Fold, work: Path, *, origin: Origin, start: Start = SCRATCH) -> Fitted:
    """Train the job's network on what `fold` may see and write its bundle to `work/bundle`.

    `table` must be clean. `work` keeps the state after each round: a killed fit goes on from there and ends with
    the same weights. A warm `start` keeps the features and the scaler in whose space its weights were learned. Raises
    DataError when there is too little to train on, TrainingError if the loss is not finite.
    """
    set_up(job.train)
    older = open_bundle(start.bundle) if start.bundle else None
    data = prepare(table, job, fold, learned=learned_by(older) if older else None)
    train, valid = lessons(table, data, job, fold, older)
    network = build_network(job, data, start, older)
    if older is None:
        start_as_ridge(network, train, valid)
    devices, checkpoint, loss = describe(network, job.train), Checkpoint(work), network.get_layer("head").loss
    steps = learn_best(network, loss, train, valid, job.train, checkpoint, title=job.model.name, notes=devices)
    origin = origin_of(origin, job, fold, steps=steps)
    example = valid.batch(np.arange(min(len(valid), 64)))
    graphs, parity = export_graphs(network, job, example)
    bundle = write_bundle(network, graphs, data, job, work, origin=origin.model_copy(update={"parity": parity}))
    return Fitted(bundle, pd.DataFrame(checkpoint.history), tuple(devices))


def learned_by(bundle: Bundle) -> Learned:
    """What an older fit has learned besides its weights."""
    return Learned(bundle.spec.features, bundle.spec.scaler, bundle.spec.layout)


def lessons(
    table: pd.DataFrame, data: Prepared, job: Job, fold: Fold, older: Bundle | None
) -> tuple[Examples, Examples]:
    """What a network learns from and what it is watched on: in blocks where the job has them.

    After an older fit it reads what is new, and what is to be read again.
    """
    at_once = _at_once(job)
    if job.window.block is not None:
        learned = Learned(data.features, data.scaler, data.layout)
        data = prepare(table, at_once, fold, learned=learned)
    train = data.train
    if older is not None and older.manifest.origin.fit_until is not None:
        train = replayed(train, at_once, since=older.manifest.origin.fit_until, until=fold.fit_until)
    return together(train, data.layout), together(data.valid, data.layout)


def build_network(job: Job, data: Prepared, start: Start, older: Bundle | None) -> keras.Model:
    """The job's network with its first weights, frozen where they are to stay; raises ConfigError, TrainingError."""
    network = network_for(job, data.features, data.layout)
    if older is not None:
        begin_with(network, older.path / "model.keras")
        freeze(network, start.init)
    return network


def network_for(job: Job, features: Features, layout: Layout | None = None) -> keras.Model:
    """The job's network for windows of these features, its weights drawn at random; raises ConfigError."""
    return models.build(cast(Network, job.model.params), shapes(job, features, layout), heads.build(job.head))


def together(windows: Windows, layout: Layout | None) -> Examples:
    """What a network learns from: the windows of single series, or of all series of a layout together."""
    return windows if layout is None else joint(windows, layout)


def shapes(job: Job, features: Features, layout: Layout | None) -> models.Shapes:
    """The sizes of the arrays that windows of these features give."""
    return models.Shapes(
        context=job.window.context,
        horizon=job.window.at_once,
        past=len(features.inputs),
        future=len(features.known_ahead),
        static=len(features.static_numbers),
        codes=features.cardinalities,
        mask=features.mask,
        grid=() if layout is None else layout.shape,
    )


def _at_once(job: Job) -> Job:
    """The job of a network that gives one block of the horizon."""
    return job.model_copy(update={"window": job.window.model_copy(update={"horizon": job.window.at_once})})


def export_graphs(network: keras.Model, job: Job, example: Batch) -> tuple[Graphs, float]:
    """The network's graphs, and how far they differ from the network on a batch; raises TrainingError if far."""
    parts = models.parts(job.model.name, network)
    output = "quantiles" if job.head.name == "quantile" else "parameters"
    graphs = Graphs(**{name: export.to_onnx(part, output) for name, part in parts.items()})
    read = {tensor.name: example[tensor.name] for tensor in parts["model"].inputs}
    parity = export.parity(parts["model"], graphs.model, read)
    if graphs.step is not None:
        first = {"previous": example["past"][:, -1:, 0]}
        first |= {"future": example["future"][:, :1]} if "future" in example else {}
        told = {**first, **Engine(graphs.model).run(read)}
        parity = max(
            parity, export.parity(parts["step"], graphs.step, {t.name: told[t.name] for t in parts["step"].inputs})
        )
    return graphs, check_parity(parity, network)


def write_bundle(network: keras.Model, graphs: Graphs, data: Prepared, job: Job, work: Path, *, origin: Origin) -> Path:
    """Calibrate the graphs on the validation windows and write the bundle."""
    weights_file = save_network(network, work)
    spec = spec_for(job, job.model.name, data.features, data.scaler, context=job.window.context, layout=data.layout)
    return assemble(work / "bundle", spec, graphs, data.valid, origin=origin, weights_file=weights_file)


def fit_stored(
    home: Path, job: Job, version: int, number: int, *, work: Path, origin: Origin, start: Start = SCRATCH
) -> Fitted:
    """Fit fold `number` of the observations stored as `version`: what a child process is asked to do."""
    data = take(Store(home), job, version)
    learned = fit_symbols if job.symbolic else fit
    return learned(data.table, data.job, data.folds[number], work, origin=origin, start=start)
