"""The shapes in which a recurrent network is used: each shipped job of configs/shapes learns what it is about."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job, load_job
from forecasting.config.network import SegRNN, SegRNNModel
from forecasting.evaluation.backtest import backtest, find_origins
from forecasting.evaluation.judging import fit_baselines
from forecasting.evaluation.metrics import summarise
from forecasting.evaluation.symbols import backtest as judge_symbols
from forecasting.evaluation.symbols import find_origins as find_symbol_origins
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.training.fit import fit
from forecasting.training.symbols import fit_symbols

SHAPES = Path(__file__).parents[1] / "configs" / "shapes"


class Shape(NamedTuple):
    """Steps read, steps told, and the most that the error may be, as a share of naive's and of seasonal naive's."""

    context: int
    horizon: int
    of_naive: float
    of_seasonal: float


# The noise alone makes an error of 0.08: a tenth of naive's over a day, four tenths of naive's over one hour, and,
# where there is no trend, 0.71 of seasonal naive's, which has the noise of two readings in it.
WANTED = {
    "one_to_many": Shape(context=1, horizon=24, of_naive=0.2, of_seasonal=0.6),
    "many_to_one": Shape(context=48, horizon=1, of_naive=0.6, of_seasonal=0.9),
    "after_reading": Shape(context=48, horizon=24, of_naive=0.15, of_seasonal=0.9),
}


def errors(job: Job, place: Path) -> dict[str, float]:
    """The mean absolute error of the job's network and of the baselines, on the job's rolling origins."""
    table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    origins = find_origins(table, job, plan)
    rivals = fit_baselines(table, job, plan, place / "baselines", origin=Origin())
    bundles: dict[str, Any] = {rival.name: rival.bundles for rival in rivals}
    bundles["network"] = (fit(table, job, plan[0], place / "fit", origin=Origin()).bundle,)
    scored = {name: backtest(table, origins, paths, name).scored for name, paths in bundles.items()}
    median = {name: list(each.quantiles).index(0.5) for name, each in scored.items()}
    return {name: float(np.nanmean(np.abs(s.forecast[..., median[name]] - s.y))) for name, s in scored.items()}


def test_segments_do_what_steps_do(tmp_path: Path) -> None:
    """The job that tells a day after reading two is learned by SegRNN as well, with half a day in a segment."""
    model = SegRNNModel(params=SegRNN(segment=12, units=16))
    job = load_job(SHAPES / "after_reading.yaml").model_copy(update={"model": model})
    error, wanted = errors(job, tmp_path), WANTED["after_reading"]
    assert error["network"] < wanted.of_naive * error["naive"], error
    assert error["network"] < wanted.of_seasonal * error["seasonal_naive"], error


def test_in_step_every_character_is_followed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped job tells the next character of these pages better than what counts pairs of them."""
    monkeypatch.chdir(SHAPES.parents[1])  # its text is named relative to the project
    job = load_job(SHAPES / "in_step.yaml")
    table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    spans = find_symbol_origins(table, job, plan)
    fitted = fit_symbols(table, job, plan[0], tmp_path / "fit", origin=Origin())
    rivals = {rival.name: rival for rival in fit_baselines(table, job, plan, tmp_path / "baselines", origin=Origin())}
    nats = {
        name: summarise(judge_symbols(spans, bundles, name).scored)["nats"]
        for name, bundles in (("network", (fitted.bundle,)), ("bigram", rivals["bigram"].bundles))
    }
    assert nats["network"] < 0.9 * nats["bigram"], nats


@pytest.mark.parametrize("name", WANTED)
def test_shape_of_use_beats_what_needs_no_learning(name: str, tmp_path: Path) -> None:
    """The shipped job reads and tells as many steps as it says, far better than naive and seasonal naive."""
    job, wanted = load_job(SHAPES / f"{name}.yaml"), WANTED[name]
    assert (job.window.context, job.window.horizon) == (wanted.context, wanted.horizon)
    error = errors(job, tmp_path)
    assert error["network"] < wanted.of_naive * error["naive"], error
    assert error["network"] < wanted.of_seasonal * error["seasonal_naive"], error
