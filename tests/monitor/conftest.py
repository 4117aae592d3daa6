"""A home that has lived: the ridge is live, forecasts were made of it day by day, readings came."""

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, parse_job
from forecasting.evaluation.judging import Candidate, fit_baselines
from forecasting.lifecycle.promotion import Judging, decide
from forecasting.monitor.check import look
from forecasting.monitor.findings import Findings
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.store import Store

START = pd.Timestamp("2024-01-01")
KNOWN = 600  # hours that were read when the model went live
LIVE = 120  # hours that came after


class Home(NamedTuple):
    """Where the stored tables and the registry of a job are."""

    job: Job
    store: Store
    registry: Registry
    path: Path

    def look(self, **named: Any) -> Findings:
        """One look of the monitor."""
        return look(self.store, self.registry, self.job, **named)

    def forecast(self, hours: Sequence[int]) -> None:
        """The champion's vintages from the readings at so many hours after the start."""
        live = self.registry.versions.get("buoy", "champion")
        forecaster = open_forecaster(self.registry.cache.download("buoy", live.version))
        table = clean(self.store.observations.read("buoy"), self.job.series).table
        made = forecaster.at(table, pd.DatetimeIndex([START + pd.Timedelta(hours=hour) for hour in hours])).table()
        self.store.forecasts.append("buoy", made.assign(version=live.version, model=live.model))

    def live_on(self, hours: int, **named: Any) -> Findings:
        """Readings like `readings(**named)` come for so many more hours, are forecast, and are looked at."""
        self.read(readings(**named), KNOWN + LIVE + hours)
        self.forecast(range(KNOWN + LIVE, KNOWN + LIVE + hours, 6))
        return self.look(now=datetime.now(UTC))

    def refuse(self, until: int) -> int:
        """A challenger that knew so many hours is registered as refused."""
        bundle = next(
            place.parent for place in sorted((self.path / "fits").rglob("manifest.json")) if "naive" in str(place)
        )
        run = self.registry.runs.start("buoy", f"refused-{until}", {}).run_id
        known = (START + pd.Timedelta(hours=until)).isoformat()
        notes = {"fit_until": known, "known_until": known}
        return self.registry.versions.register("buoy", run, bundle, verdict="refused", metrics={}, notes=notes)

    def read(self, table: pd.DataFrame, until: int) -> None:
        """Readings come, up to so many hours after the start."""
        self.store.observations.merge("buoy", table[table["ds"] <= START + pd.Timedelta(hours=until)])


def make_job(**monitor: Any) -> Job:
    """Two daily seasons; the gate compares the ridge with the naive forecasts."""
    return parse_job(
        {
            "name": "buoy",
            "source": {"kind": "synthetic"},
            "series": {"freq": "h", "past": ["p"]},
            "window": {"context": 48, "horizon": 6},
            "backtest": {"windows": 40, "step": 2},
            "gate": {"baselines": ["naive", "seasonal_naive"], "coverage": [0.5, 1.0]},
            "monitor": monitor,
        }
    )


def readings(*, shift: float = 0.0, noise: float = 1.0) -> pd.DataFrame:
    """Two seasonal series with a covariate; what comes live may be shifted, or noisier."""
    draw = np.random.default_rng(3)
    hours = np.arange(KNOWN + LIVE + 24)
    live = hours >= KNOWN
    tables = []
    for name in "ab":
        error = np.zeros(len(hours))
        for hour in hours[1:]:
            error[hour] = 0.5 * error[hour - 1] + draw.normal(0, 0.3) * (noise if live[hour] else 1)
        y = 10 + 3 * np.sin(2 * np.pi * hours / 24) + error + np.where(live, shift, 0.0)
        ds = START + pd.to_timedelta(hours, unit="h")
        tables.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": y, "p": draw.normal(5, 1, len(hours))}))
    return pd.concat(tables, ignore_index=True).astype({"unique_id": "str", "ds": "datetime64[us]"})


@pytest.fixture(scope="session")
def born(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Home:
    """The ridge has just gone live; nobody changes this home."""
    path = tmp_path_factory.mktemp("monitor") / "home"
    path.mkdir()
    shutil.copy(database, path / "mlflow.db")
    home = Home(make_job(), Store(path), registry_of(path), path)
    table = readings()
    home.store.observations.merge("buoy", table[table["ds"] < START + pd.Timedelta(hours=KNOWN)])
    known = clean(home.store.observations.read("buoy"), home.job.series).table
    cut = folds(known, home.job)
    fitted = {one.name: one for one in fit_baselines(known, home.job, cut, path / "fits", origin=Origin())}
    candidates: tuple[Candidate, ...] = tuple(fitted[name] for name in ("ridge", "naive", "seasonal_naive", "drift"))
    run = home.registry.runs.start("buoy", "key", {})
    decision = decide(home.registry, Judging(home.job, run.run_id, known, cut, candidates, path / "work"))
    assert decision.promoted == "ridge", decision.judgment.verdict
    return home


def registry_of(path: Path) -> Registry:
    """The registry of a home."""
    return Registry(f"sqlite:///{path / 'mlflow.db'}", path)


@pytest.fixture(scope="session")
def aged(born: Home, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Home]:
    """Makes a home whose live readings are as given; made once for each, and not to be changed."""
    made: dict[tuple[float, float], Home] = {}

    def build(*, shift: float = 0.0, noise: float = 1.0) -> Home:
        if (shift, noise) not in made:
            home = copied(born, tmp_path_factory.mktemp("aged"))
            home.read(readings(shift=shift, noise=noise), KNOWN + LIVE)
            home.forecast(range(KNOWN - 1, KNOWN + LIVE, 6))
            made[shift, noise] = home
        return made[shift, noise]

    return build


def copied(home: Home, place: Path, **monitor: Any) -> Home:
    """The same home elsewhere, to be changed."""
    path = place / "home"
    shutil.copytree(home.path, path)
    return Home(make_job(**monitor), Store(path), registry_of(path), path)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Home]:
    """The same home elsewhere, to be changed, with other settings of the monitor where they are given."""
    return lambda home, **monitor: copied(home, tmp_path / "copy", **monitor)
