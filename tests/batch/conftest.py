"""Homes with stored readings and a live baseline, as batch forecasts find them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from forecasting import sources
from forecasting.batch.part_files import Part
from forecasting.batch.plan import Plan, Request
from forecasting.batch.runners import Runner
from forecasting.batch.vintages import Vintage, forecast
from forecasting.batch.worker import forecast_shard
from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, parse_job
from forecasting.evaluation.judging import fit_baselines
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.store import Store


def run_here(plan: Plan) -> Iterator[Part]:
    """All shards in this process: the runners have tests of their own."""
    return (forecast_shard(plan, number) for number in range(len(plan.shards)))


class Home(NamedTuple):
    """A home whose champion is the ridge, fitted on readings of its own."""

    job: Job
    path: Path
    store: Store
    registry: Registry
    bundle: Path

    def forecast(self, runner: Runner = run_here, **asked: Any) -> Vintage:
        """A batch forecast of what is stored."""
        return forecast(self.store, self.registry, self.job, request=Request(**asked), runner=runner)

    def expected(self, **named: Any) -> pd.DataFrame:
        """What the bundle says of the whole stored history at once."""
        return open_forecaster(self.bundle).forecast(self.store.observations.read(self.job.name), **named)


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Home]:
    """Fits and registers the ridge of a job on synthetic series; nothing is stored yet."""

    def make(**sections: Any) -> Home:
        path = tmp_path_factory.mktemp("home")
        content: dict[str, Any] = {
            "name": "buoy",
            "source": {"kind": "synthetic", "series": 3, "length": 260, "season": 24, "seed": 1},
            "series": {"freq": "h"},
            "window": {"context": 24, "horizon": 4},
            "backtest": {"windows": 5},
        }
        job = parse_job({**content, **sections})
        table = clean(sources.read(job), job.series).table
        fitted = fit_baselines(table, job, folds(table, job), path / "fits", origin=Origin())
        bundle = next(entrant.bundles[0] for entrant in fitted if entrant.name == "ridge")
        registry = Registry(f"sqlite:///{path / 'mlflow.db'}", path)
        run = registry.runs.start(job.name, "ridge", {})
        registry.versions.register(job.name, run.run_id, bundle, verdict="passed", metrics={})
        registry.aliases.promote(job.name, 1)
        return Home(job, path, Store(path), registry, bundle)

    return make


@pytest.fixture(scope="session")
def plain(make_home: Callable[..., Home]) -> Home:
    """A job without covariates."""
    return make_home()


@pytest.fixture
def place(plain: Home, tmp_path: Path) -> Home:
    """The same with a store of the test's own."""
    return plain._replace(path=tmp_path, store=Store(tmp_path))
