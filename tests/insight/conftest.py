"""Linear maps with weights that are known, and networks with random ones, as live models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import assemble, spec_for
from forecasting.bundle.engine import Graphs
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.symbol_forecaster import SymbolForecaster, assemble_symbols, symbol_spec
from forecasting.config.job import Job, parse_job
from forecasting.config.network import InStep
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.nn import export as exporter
from forecasting.nn import heads, models
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from forecasting.series.vocabulary import Vocabulary, learn_vocabulary
from forecasting.training.fit import shapes
from forecasting.training.symbols import chunk_graph, network_of

LinearModel = Callable[[pd.DataFrame, Job, Linear], QuantileForecaster]


@pytest.fixture
def linear_model(tmp_path: Path) -> LinearModel:
    """A linear map over everything that windows of a job hold, in a bundle named `ridge`."""

    def build(table: pd.DataFrame, job: Job, linear: Linear) -> QuantileForecaster:
        cleaned = clean(table, job.series).table
        data = prepare(cleaned, job, folds(cleaned, job)[0])
        spec = spec_for(job, "ridge", data.features, data.scaler, context=linear.context, quantiles=(0.5,))
        graph = to_onnx(linear, inputs=len(data.features.inputs), ahead=len(data.features.known_ahead))
        assemble(tmp_path / "linear", spec, Graphs(graph), data.valid, origin=Origin())
        return QuantileForecaster(open_bundle(tmp_path / "linear"))

    return build


@pytest.fixture(scope="session")
def lag_40(make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> tuple[pd.DataFrame, Job]:
    """Readings that depend on those 40 steps before and on nothing else, one step ahead."""
    draw = np.random.default_rng(5)
    y = list(draw.normal(size=40))
    for _ in range(1200):
        y.append(0.9 * y[-40] + 0.4 * draw.normal())
    window = {"context": 60, "horizon": 1}
    return make_table({"a": y}), make_job(window=window, backtest={"windows": 20}, train={"validation": 100})


def random_model(
    table: pd.DataFrame, job: Job, params: Any, place: Path, then: Callable[[keras.Model], None] | None = None
) -> QuantileForecaster:
    """A network with weights from a fixed seed, changed by `then`, in a bundle of the job's first fold."""
    cleaned = clean(table, job.series).table
    data = prepare(cleaned, job, folds(cleaned, job)[0])
    features, layout = data.features, data.layout
    keras.utils.set_random_seed(1)
    network = models.build(params, shapes(job, features, layout), heads.build(job.head))
    draw = np.random.default_rng(1)
    network.set_weights([draw.normal(0, 0.4, weight.shape) for weight in network.get_weights()])
    if then is not None:
        then(network)
    spec = spec_for(job, params.name, features, data.scaler, context=job.window.context, layout=layout)
    output = "quantiles" if job.head.name == "quantile" else "parameters"
    parts = models.parts(params.name, network).items()
    graphs = Graphs(**{name: exporter.to_onnx(part, output) for name, part in parts})
    assemble(place / "bundle", spec, graphs, data.valid, origin=Origin(params=params.model_dump()))
    return QuantileForecaster(open_bundle(place / "bundle"))


def symbol_model(
    text: str, params: InStep, context: int, place: Path, then: Callable[[keras.Model, Vocabulary], None] | None = None
) -> tuple[pd.DataFrame, SymbolForecaster, keras.Model]:
    """A text, a network of its characters with weights from a fixed seed, changed by `then`, and that network."""
    stamps = pd.date_range("2024-01-01", periods=len(text), freq="s", unit="us")
    table = pd.DataFrame({"unique_id": "book", "ds": stamps, "y": list(text)}).astype({"unique_id": "str", "y": "str"})
    job = parse_job(
        {
            "name": "job",
            "source": {"kind": "text", "path": "book.txt"},
            "series": {"freq": "s"},
            "window": {"context": context, "horizon": 3},
            "model": {"name": "in_step"},
            "head": {"name": "categorical"},
        }
    )
    vocabulary = learn_vocabulary(text)
    keras.utils.set_random_seed(2)
    network = network_of(params, vocabulary.size, steps=context)
    if then is not None:
        then(network, vocabulary)
    codes = vocabulary.encode(list(text))
    graphs, _ = chunk_graph(network, codes[None, :8])
    bundle = assemble_symbols(place / "b", symbol_spec(job, "in_step", vocabulary), graphs, [codes], origin=Origin())
    return table, SymbolForecaster(open_bundle(bundle)), network
