"""One shard: read its histories, forecast them through ONNX Runtime, keep the part."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.batch.alternatives import with_alternative
from forecasting.batch.histories import Histories, read, series_read_on
from forecasting.batch.part_files import Failure, Made, Part, keep, recall
from forecasting.batch.plan import Plan
from forecasting.bundle.cautions import Caution, merged
from forecasting.bundle.fast_path import Readings
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.columns import (
    CREATED,
    DS,
    HINDCAST,
    MODEL,
    PROBABILITY,
    SCENARIO,
    UNIQUE_ID,
    VERSION,
    Y,
    quantile_columns,
)
from forecasting.errors import DataError

__all__ = ["forecast_shard"]


def forecast_shard(plan: Plan, number: int) -> Part:
    """Forecast shard `number`, or return its finished part."""
    path = plan.folder / f"part-{number:05d}.parquet"
    found = recall(path)
    if found is not None:
        return found
    clock = _Clock()
    forecaster = _forecaster(plan.model.bundle, plan.threads)
    clock.lap("open")
    histories = read(plan, plan.shards[number], forecaster.spec)
    changed = None if plan.alternative is None else with_alternative(histories, plan, forecaster.spec)
    clock.lap("read")
    made = _forecasts(forecaster, histories if changed is None else changed.histories, plan.horizon)
    if changed is not None:
        made = changed.beside(made)
    table = made.table
    clock.lap("forecast")
    table[MODEL] = pd.array([plan.model.name] * len(table), dtype="str")
    table[VERSION] = plan.model.version
    table[CREATED] = pd.Timestamp(plan.created)
    if plan.alternative is not None:
        table[SCENARIO] = pd.array([plan.alternative] * len(table), dtype="str")
    if plan.at is not None:
        table[HINDCAST] = table[UNIQUE_ID].isin(series_read_on(plan, plan.shards[number]))
    part = keep(path, made)
    clock.lap("write")
    return part.model_copy(update={"seconds": clock.seconds})


class _Clock:
    """Processor time of this process, lap by lap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.seconds[name], self._last = now - self._last, now


@functools.lru_cache(maxsize=1)
def _forecaster(bundle: Path, threads: int) -> Forecaster:
    """Open the forecaster, verified, once per process."""
    return open_forecaster(bundle, threads=threads)


def _forecasts(forecaster: Forecaster, histories: Histories, horizon: int | None) -> Made:
    """Forecasts of all series that have any, in order, the reasons for the others, and the warnings."""
    failures: list[Failure] = []
    warned: list[Caution] = []

    def forecast(history: pd.DataFrame | Readings) -> pd.DataFrame:
        table, found = forecaster.warned(history, horizon=horizon)
        warned.extend(one for one in found if one.kind != "stale")  # of all series together: `Vintage.cautions`
        return table

    tables = [forecast(histories.whole)] if len(histories.whole.y) else []
    if len(histories.others):
        together = forecaster.spec.layout is not None
        found = [forecast(histories.others)] if together else _one_by_one(forecast, histories.others, failures)
        tables += found
        known = {name for table in found for name in table[UNIQUE_ID].unique()} | {one.unique_id for one in failures}
        failures += _failures(set(histories.others[UNIQUE_ID].unique()) - known, "no reading")
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({UNIQUE_ID: []})
    table, failures = _finite(_in_order(table) if len(tables) > 1 else table, failures)
    return Made(table, tuple(failures), merged(warned))


def _one_by_one(
    forecast: Callable[[pd.DataFrame], pd.DataFrame], table: pd.DataFrame, failures: list[Failure]
) -> list[pd.DataFrame]:
    """Forecast all usable series: if a table is refused, try its halves."""
    try:
        return [forecast(table)]
    except DataError as error:
        names = table[UNIQUE_ID].unique()
        if len(names) == 1:
            reason = "no reading" if table[Y].isna().all() else " ".join(str(error).split())
            failures.append(Failure(unique_id=str(names[0]), reason=reason))
            return []
    low = table[UNIQUE_ID] < names[len(names) // 2]
    halves = (table[low].reset_index(drop=True), table[~low].reset_index(drop=True))
    return [found for half in halves for found in _one_by_one(forecast, half, failures)]


def _failures(names: Iterable[str], reason: str) -> list[Failure]:
    return [Failure(unique_id=str(name), reason=reason) for name in sorted(names)]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values([UNIQUE_ID, DS], kind="stable", ignore_index=True)


def _finite(table: pd.DataFrame, failures: list[Failure]) -> tuple[pd.DataFrame, list[Failure]]:
    """Keep only series with finite forecasts."""
    values = [*quantile_columns(table.columns), *(name for name in (PROBABILITY,) if name in table.columns)]
    bad = table[UNIQUE_ID][~np.isfinite(table[values].to_numpy(dtype=float)).all(axis=1)].unique()
    failures = sorted([*failures, *_failures(bad, "forecast is not finite")], key=lambda one: one.unique_id)
    return (table[~table[UNIQUE_ID].isin(bad)].reset_index(drop=True) if len(bad) else table), failures
