"""The names that a job may write are those of the registries: neither can be forgotten."""

from typing import Any, get_args

import pytest

from forecasting.config.cells import CONVOLUTIONAL, OPTIONS, Cell
from forecasting.config.evaluation import Baseline, Ngram, PrimaryMetric, PrimarySymbolMetric
from forecasting.config.head import Head, HeadName
from forecasting.config.network import NETWORKS, Auto, Model
from forecasting.config.series import TimeFeature
from forecasting.config.source import Source
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.metrics import METRICS, Metric
from forecasting.evaluation.ngrams import NGRAMS
from forecasting.evaluation.symbols import SYMBOL_METRICS
from forecasting.nn.cells import CELLS
from forecasting.nn.heads import HEADS
from forecasting.nn.models import MODELS
from forecasting.series.calendar import TIME_FEATURES
from forecasting.sources import SOURCES


def ranking(metrics: dict[str, Metric]) -> list[str]:
    """The metrics that models can be ranked by."""
    return [name for name, metric in metrics.items() if metric.lower_is_better]


def tags(union: Any, key: str) -> list[str]:
    """What picks each section of a union."""
    sections = get_args(get_args(union)[0])
    return [name for section in sections for name in get_args(section.model_fields[key].annotation)]


@pytest.mark.parametrize(
    ("written", "registered"),
    [
        pytest.param(get_args(Cell), CELLS, id="cells"),
        pytest.param(get_args(HeadName), HEADS, id="heads"),
        pytest.param(tags(Head, "name"), HEADS, id="head"),
        pytest.param(NETWORKS, MODELS, id="networks"),
        pytest.param(tags(Model, "name"), ["auto", *MODELS], id="model"),
        pytest.param(tags(Source, "kind"), SOURCES, id="sources"),
        pytest.param(get_args(TimeFeature), TIME_FEATURES, id="time features"),
        pytest.param(get_args(Baseline), BASELINES, id="baselines"),
        pytest.param(get_args(Ngram), NGRAMS, id="n-grams"),
        pytest.param(get_args(PrimaryMetric), ranking(METRICS), id="metrics"),
        pytest.param(get_args(PrimarySymbolMetric), ranking(SYMBOL_METRICS), id="metrics of symbols"),
    ],
)
def test_names_of_the_configuration_are_those_of_the_registry(written: Any, registered: Any) -> None:
    """As many, and the same."""
    assert sorted(written) == sorted(registered)


def test_each_network_stands_under_its_own_name() -> None:
    """In the table of networks, and in the section that picks it."""
    assert {name: network.name for name, network in NETWORKS.items()} == {name: name for name in NETWORKS}
    chosen = {section.model_fields["name"].default: section().params for section in get_args(get_args(Model)[0])}
    assert {name: type(params) for name, params in chosen.items()} == {"auto": Auto, **NETWORKS}


def test_cells_with_options_are_cells() -> None:
    """Options of a cell that there is not would never be read."""
    assert {*OPTIONS, *CONVOLUTIONAL} <= set(CELLS)
