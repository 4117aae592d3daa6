"""Batch forecasts: the live model over every stored series, each forecast kept once as a vintage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from forecasting.batch.part_files import Part, ends_of, table_of
from forecasting.batch.plan import PlannedModel, Request, plan
from forecasting.batch.runners import Runner, run_local
from forecasting.bundle.artifact import read_spec
from forecasting.bundle.cautions import Caution, merged, stale
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.generation import Generated, Sampling
from forecasting.bundle.spec import Spec
from forecasting.columns import CUTOFF, UNIQUE_ID
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.registry.registry import Registry
from forecasting.runtime.files import remove_folder
from forecasting.runtime.locks import forecast_lock
from forecasting.series.vocabulary import split_text, unit_of
from forecasting.storage.store import Store

__all__ = ["Absent", "Vintage", "continue_text", "forecast", "forecast_live"]

_KEPT: Final = 4  # plans whose parts are kept


class Vintage(NamedTuple):
    """The forecasts of one run: their parts on disk, and how many of their rows were new to the store.

    The parts stay until the job has been forecast a few times from other readings or by other models.
    """

    parts: tuple[Part, ...]
    written: int
    model: str
    version: int
    spec: Spec | None = None
    coverage: Mapping[str, float] | None = None  # of its intervals in the backtest, by level in percent

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """The warnings about what the forecasts stand on, series that ended before the others among them."""
        ends = pd.concat([ends_of(part) for part in self.parts], ignore_index=True)
        old = (
            []
            if self.spec is None or self.spec.symbols
            else stale([*ends[UNIQUE_ID]], ends[CUTOFF].to_numpy(), self.spec)
        )
        return merged([*(one for part in self.parts for one in part.cautions), *old])

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def failures(self) -> pd.DataFrame:
        """The series without a forecast, and why: unique_id, reason."""
        found = [(failure.unique_id, failure.reason) for part in self.parts for failure in part.failures]
        return pd.DataFrame(found, columns=["unique_id", "reason"], dtype="str")

    def tables(self) -> Iterator[pd.DataFrame]:
        """The forecasts, part by part, in order of their series."""
        return (table_of(part) for part in self.parts if part.rows)

    @property
    def table(self) -> pd.DataFrame:
        """All forecasts at once, if memory allows."""
        return pd.concat(self.tables(), ignore_index=True)


class Absent(NamedTuple):
    """A run without forecasts, and the reason."""

    reason: str


def forecast_live(store: Store, registry: Registry, job: Job) -> Vintage | Absent:
    """Forecast with the champion; a job without one, or without values known ahead, gets no forecasts and a reason."""
    if registry.versions.champion(job.name) is None:
        return Absent("nothing is live")
    try:
        return forecast(store, registry, job)
    except DataError as error:
        return Absent(str(error))


def forecast(
    store: Store,
    registry: Registry,
    job: Job,
    *,
    model: str = "champion",
    request: Request | None = None,
    runner: Runner = run_local,
) -> Vintage:
    """Forecast every stored series of `job` from its last reading on, or from its last one up to `request.at`.

    `model` is an alias or a version. `runner` runs the shards; their forecasts are stored in one commit, once per
    (unique_id, ds, cutoff, version). Finished shards survive a kill. The vintage reports the series that cannot be
    forecast; raises DataError if none can.
    """
    live = registry.versions.get(job.name, model)
    bundle = registry.cache.download(job.name, live.version)
    folder = store.workspace.parts(job.name)
    with forecast_lock(store.workspace.locks, job.name):
        chosen = PlannedModel(bundle=bundle.absolute(), name=live.model, version=live.version, weights=live.weights)
        spec = read_spec(bundle)
        planned = plan(folder, store.observations.latest(job.name), chosen, spec, request or Request())
        _forget_old(folder)
        parts = tuple(sorted(runner(planned), key=lambda part: part.path))
        vintage = Vintage(parts, 0, live.model, live.version, spec, live.coverage)
        _refuse_nothing(vintage)
        return vintage._replace(written=store.forecasts.commit(job.name, [part.path for part in parts if part.rows]))


def continue_text(
    registry: Registry, job: Job, text: str, length: int, sampling: Sampling, *, model: str = "champion"
) -> Generated:
    """Continue a text in the job's symbols; stores nothing. Raises ConfigError for a model of numbers."""
    live = registry.versions.get(job.name, model)
    forecaster = open_forecaster(registry.cache.download(job.name, live.version))
    return forecaster.generator.extend(split_text(text, unit_of(job)), length, sampling)


def _forget_old(folder: Path) -> None:
    """Keep only the parts of the newest plans; vintages share theirs with the table until it is compacted."""
    plans = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in plans[_KEPT:]:
        remove_folder(old)


def _refuse_nothing(vintage: Vintage) -> None:
    if vintage.rows:
        return
    failures = vintage.failures
    reasons = [f"{name}: {reason}" for name, reason in failures.head(10).itertuples(index=False)]
    raise DataError(f"none of the {len(failures)} series can be forecast:", reasons)
