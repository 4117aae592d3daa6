"""Fit a network of symbols: vocabulary, lanes, truncated backpropagation with carried states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import keras
import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.engine import Graphs
from forecasting.bundle.symbol_forecaster import assemble_symbols, symbol_spec
from forecasting.config.head import SymbolHead
from forecasting.config.job import Job
from forecasting.config.network import InStep
from forecasting.config.training import Train
from forecasting.nn import export, heads, models
from forecasting.nn.models import many_to_many
from forecasting.nn.shapes import Shapes
from forecasting.series.folds import Fold
from forecasting.series.vocabulary import prepare_symbols
from forecasting.training.checkpoint import Checkpoint, Round
from forecasting.training.devices import describe, set_up
from forecasting.training.examples import learn_in_memory
from forecasting.training.export import check_parity, origin_of, save_network
from forecasting.training.loop import learn_best
from forecasting.training.records import SCRATCH, Fitted, Start
from forecasting.training.tbptt import Lanes
from forecasting.training.warm_start import begin_with, freeze

__all__ = ["Lessons", "chunk_graph", "fit_symbols", "in_lanes", "learn_symbols", "lessons", "network_of"]

LANES = 256  # where train.batch_size does not say
CHECKED = 8  # steps on which that is seen: rounding grows along a trained network, in ONNX as in Keras


class Lessons(NamedTuple):
    """Training and validation chunks in the same number of lanes."""

    train: Lanes
    valid: Lanes


def fit_symbols(
    table: pd.DataFrame, job: Job, fold: Fold, work: Path, *, origin: Origin, start: Start = SCRATCH
) -> Fitted:
    """Train the job's network of symbols on the part of the table that `fold` may see and write its bundle to
    `work/bundle`.

    `table` must be clean. A killed fit resumes at the last epoch in `work`: states begin anew with every epoch, so it
    ends with the same weights. A warm `start` keeps its vocabulary. Raises DataError if there is too little to train
    on, TrainingError if the loss is not finite.
    """
    set_up(job.train)
    older = open_bundle(start.bundle) if start.bundle else None
    known = older.spec.symbols.vocabulary if older and older.spec.symbols else None
    data, steps = prepare_symbols(table, job, fold, vocabulary=known), job.window.context
    params = cast(InStep, job.model.params)  # a job of symbols has no other network
    network = network_of(params, data.vocabulary.size, steps=steps)
    if older:
        begin_with(network, older.path / "model.keras")
        freeze(network, start.init)
    given = lessons(data.train, data.valid, job.train, steps=steps, carry=params.carry)
    config, learner = in_lanes(job.train, given), many_to_many.carrying(network, given.train.lanes)
    devices, checkpoint, loss = describe(network, job.train), Checkpoint(work), network.get_layer("head").loss
    done = learn_best(learner, loss, given.train, given.valid, config, checkpoint, title=job.model.name, notes=devices)
    graphs, parity = chunk_graph(network, given.valid.batch(np.arange(min(len(given.valid), 64)))["symbols"])
    origin = origin_of(origin, job, fold, steps=done).model_copy(update={"parity": parity})
    weights_file = save_network(network, work)
    spec = symbol_spec(job, job.model.name, data.vocabulary)
    bundle = assemble_symbols(work / "bundle", spec, graphs, data.valid, origin=origin, weights_file=weights_file)
    return Fitted(bundle, pd.DataFrame(checkpoint.history), tuple(devices))


def network_of(params: InStep, classes: int, *, steps: int) -> keras.Model:
    """The network of symbols for this many codes; raises ConfigError if it cannot be built."""
    shapes = Shapes(context=steps, horizon=steps, past=0, symbols=classes)
    return models.build(params, shapes, heads.build(SymbolHead(), classes=classes))


def lessons(
    train: Sequence[np.ndarray], valid: Sequence[np.ndarray], config: Train, *, steps: int, carry: bool = True
) -> Lessons:
    """Sequences of codes in `batch_size` lanes, or in fewer if there are fewer chunks of `steps`."""
    chunks = sum(-(-len(sequence) // steps) for sequence in train)
    lanes = max(1, min(config.batch_size or LANES, chunks))
    first, second = (Lanes(part, lanes=lanes, steps=steps, carry=carry) for part in (train, valid))
    return Lessons(first, second)


def learn_symbols(network: keras.Model, given: Lessons, config: Train) -> list[Round]:
    """Fit a network that was built for symbols, and leave no files behind; it ends with its best weights.

    Returns the history. Raises TrainingError if the loss is not finite.
    """
    head = network.get_layer("head")
    return learn_in_memory(
        many_to_many.carrying(network, given.train.lanes), head.loss, given.train, given.valid, in_lanes(config, given)
    )


def in_lanes(config: Train, given: Lessons) -> Train:
    """The same training with one chunk of every lane in each batch."""
    return config.model_copy(update={"batch_size": given.train.lanes, "windows_per_epoch": None})


def chunk_graph(network: keras.Model, codes: np.ndarray) -> tuple[Graphs, float]:
    """The graph of a network from given states, and its largest difference from the network on codes (B, T).

    Raises TrainingError if that is large.
    """
    codes, chunk = codes[:, :CHECKED], models.parts("in_step", network)["model"]
    content = export.to_onnx(chunk, "parameters")
    states = {t.name: np.zeros((len(codes), t.shape[1]), np.float32) for t in chunk.inputs if t.name != "symbols"}
    parity = export.parity(chunk, content, {"symbols": codes.astype(np.int32), **states})
    return Graphs(content), check_parity(parity, network)
