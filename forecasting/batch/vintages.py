"""Batch forecasts: the live model over every stored series, each forecast kept once as a vintage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from forecasting.batch.part_files import Part, ends_of, table_of
from forecasting.batch.plan import Alternative, PlannedModel, Request, plan
from forecasting.batch.runners import Runner, run_local
from forecasting.bundle.artifact import read_spec
from forecasting.bundle.cautions import Caution, merged, of_series, stale, stale_ends
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.generation import Generated, Sampling
from forecasting.bundle.spec import Spec
from forecasting.columns import BASE, CUTOFF, UNIQUE_ID
from forecasting.config.job import Job
from forecasting.errors import ConfigError, DataError
from forecasting.registry.registry import Registry
from forecasting.runtime.files import remove_folder
from forecasting.runtime.locks import forecast_lock
from forecasting.series.vocabulary import split_text, unit_of
from forecasting.storage import ingestion, remarks
from forecasting.storage.remarks import Remark, Remarks
from forecasting.storage.store import Store

__all__ = ["Absent", "Vintage", "continue_text", "forecast", "forecast_alternatives", "forecast_live"]

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
    beside: tuple[Caution, ...] = ()  # warnings about no part

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """The warnings about what the forecasts stand on, series that ended before the others among them."""
        ends, dated = self._ends, self.spec is not None and not self.spec.symbols
        old = stale([*ends[UNIQUE_ID]], ends[CUTOFF].to_numpy(), self.spec) if self.spec and dated else []
        return merged([*(one for part in self.parts for one in part.cautions), *old, *self.beside])

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def failures(self) -> pd.DataFrame:
        """The series without a forecast, and why: unique_id, reason."""
        found = [(failure.unique_id, failure.reason) for part in self.parts for failure in part.failures]
        return pd.DataFrame(found, columns=["unique_id", "reason"], dtype="str")

    @property
    def remarks(self) -> list[Remark]:
        """Every series without a forecast, and every one whose forecast begins long ago, each with its reason."""
        without = [
            Remark(unique_id=name, forecast=False, reason=reason)
            for name, reason in self.failures.itertuples(index=False)
        ]
        if self.spec is None or self.spec.symbols:
            return without
        ends = self._ends
        old = ends[stale_ends(ends[CUTOFF].to_numpy(), self.spec)[0]]
        return without + [
            Remark(
                unique_id=name, forecast=True, reason=f"stale: its last reading is at {end}, and it goes on from there"
            )
            for name, end in old.itertuples(index=False)
        ]

    @property
    def _ends(self) -> pd.DataFrame:
        """The last reading that each series was forecast from: unique_id, cutoff."""
        return pd.concat([ends_of(part) for part in self.parts], ignore_index=True)

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
    live = _Live.of(registry, job, model)
    with forecast_lock(store.workspace.locks, job.name):
        vintage = live.vintage(store, request or Request(), runner)
        _forget_old(store.workspace.parts(job.name), _KEPT)
        return _committed(store, job, vintage)


def forecast_alternatives(
    store: Store,
    registry: Registry,
    job: Job,
    alternatives: Sequence[Alternative],
    *,
    model: str = "champion",
    request: Request | None = None,
    runner: Runner = run_local,
) -> dict[str, Vintage | Absent]:
    """The forecast from the stored values, called `base`, and that of each alternative, by their names.

    Only `base` joins the vintages that are scored; the others are stored apart, under their names. A forecast that
    cannot be made has its reason; raises DataError if none can, ConfigError if the model reads nothing known ahead.
    """
    live, asked = _Live.of(registry, job, model), request or Request()
    if not live.spec.series.future:
        raise ConfigError(
            f"{job.name} @{model} reads no covariates known ahead, so alternatives of them change nothing"
        )
    found: dict[str, Vintage | Absent] = {}
    with forecast_lock(store.workspace.locks, job.name):
        for name, one in {BASE: None, **{one.name: one for one in alternatives}}.items():
            try:
                vintage = live.vintage(store, asked._replace(alternative=one), runner)
                found[name] = _committed(store, job, vintage) if one is None else _kept(store, job, vintage, one)
            except DataError as error:
                found[name] = Absent(str(error))
        _forget_old(store.workspace.parts(job.name), _KEPT + len(found))
    reasons = [f"{name}: {one.reason}" for name, one in found.items() if isinstance(one, Absent)]
    if len(reasons) == len(found):
        raise DataError("no forecast can be made:", reasons)
    return found


def continue_text(
    registry: Registry, job: Job, text: str, length: int, sampling: Sampling, *, model: str = "champion"
) -> Generated:
    """Continue a text in the job's symbols; stores nothing. Raises ConfigError for a model of numbers."""
    live = registry.versions.get(job.name, model)
    forecaster = open_forecaster(registry.cache.download(job.name, live.version))
    return forecaster.generator.extend(split_text(text, unit_of(job)), length, sampling)


class _Live(NamedTuple):
    """The version that forecasts."""

    job: Job
    chosen: PlannedModel
    spec: Spec
    coverage: Mapping[str, float]

    @classmethod
    def of(cls, registry: Registry, job: Job, model: str) -> _Live:
        found = registry.versions.get(job.name, model)
        bundle = registry.cache.download(job.name, found.version).absolute()
        chosen = PlannedModel(bundle=bundle, name=found.model, version=found.version, weights=found.weights)
        return cls(job, chosen, read_spec(bundle), found.coverage)

    def vintage(self, store: Store, request: Request, runner: Runner) -> Vintage:
        """The forecasts on disk, not in the store yet; raises DataError if there are none."""
        stored = store.observations.latest(self.job.name)
        planned = plan(store.workspace.parts(self.job.name), stored, self.chosen, self.spec, request)
        parts = tuple(sorted(runner(planned), key=lambda part: part.path))
        vintage = Vintage(parts, 0, self.chosen.name, self.chosen.version, self.spec, self.coverage)
        if request == Request(shards=request.shards, horizon=request.horizon):
            _remark(store, self.job, vintage)
        _refuse_nothing(vintage)
        return vintage


def _remark(store: Store, job: Job, vintage: Vintage) -> None:
    """Store the remarks on single series, including series without a reading in the source."""
    known, left = set(store.observations.series(job.name)), ingestion.recall(store.workspace, job.name).left_out
    never = [
        Remark(unique_id=name, forecast=False, reason=f"left out of the last ingestion: {why}")
        for name, why in left.items()
        if name not in known
    ]
    now = datetime.now(UTC).replace(tzinfo=None)
    series = tuple(sorted((*vintage.remarks, *never), key=lambda one: (one.forecast, one.unique_id)))
    remarks.keep(store.workspace, job.name, Remarks(version=vintage.version, created=now, series=series))


def _committed(store: Store, job: Job, vintage: Vintage) -> Vintage:
    parts = [part.path for part in vintage.parts if part.rows]
    return vintage._replace(written=store.forecasts.commit(job.name, parts))


def _kept(store: Store, job: Job, vintage: Vintage, alternative: Alternative) -> Vintage:
    """The vintage of an alternative, in a table of its own."""
    strangers = sorted({*alternative.table[UNIQUE_ID]} - {*store.observations.series(job.name)})
    unknown = [of_series("unknown_series", "are in this alternative and have no readings", strangers)]
    written = store.alternatives.keep(job.name, vintage.table)
    return vintage._replace(written=written, beside=tuple(unknown if strangers else ()))


def _forget_old(folder: Path, kept: int) -> None:
    """Keep only the parts of the newest plans; vintages share theirs with the table until it is compacted."""
    plans = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in plans[kept:]:
        remove_folder(old)


def _refuse_nothing(vintage: Vintage) -> None:
    if vintage.rows:
        return
    failures = vintage.failures
    reasons = [f"{name}: {reason}" for name, reason in failures.head(10).itertuples(index=False)]
    raise DataError(f"none of the {len(failures)} series can be forecast:", reasons)
