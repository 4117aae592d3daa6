"""Fit: a table and a job in, a model that answers out, by the same steps as a run."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Final, cast

import pandas as pd

from forecasting.api.model import FittedModel, JudgedFits
from forecasting.api.notices import found, showing, tell
from forecasting.api.tables import Names, read
from forecasting.bundle.artifact import Origin
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.evaluation.judging import as_champion
from forecasting.runtime import child, provenance
from forecasting.series.dataset import Dataset, dataset
from forecasting.series.validate import validate
from forecasting.training.records import Fitted

__all__ = ["fit", "seen"]

_FITS: Final = {
    "auto": "forecasting.selection.auto:fit_auto",
    "in_step": "forecasting.training.symbols:fit_symbols",
}


def fit(
    df: Any,
    job: Job,
    *,
    id_col: str = UNIQUE_ID,
    time_col: str = DS,
    target_col: str = Y,
    alias: str | None = None,
    in_process: bool = False,
) -> FittedModel:
    """Fit the network of `job`, or the ensemble of `auto`, on a long table: the model that `gatecast run` would judge.

    `df` is a table of pandas, polars, or pyarrow with the columns `unique_id`, `ds`, `y`, or those named, and the
    covariates of the job; without `unique_id` it is one series. The last part of it is not learned from: it judges the
    model, and calibrates its intervals. `alias` names the model in forecasts and leaderboards, in place of its network.
    The fit runs in a process of its own, or with `in_process` in this one. Raises ConfigError, DataError, SourceError,
    TrainingError.

    Examples:
        >>> model = fc.fit(df, job)
        >>> model
        <stacked: 4 steps of h ahead, 1 series>
    """
    _refuse_what_needs_a_registry(job)
    table, edge, notes = read(df, job, Names(id_col, time_col, target_col))
    data, notes = seen(table, job, notes)
    work = Path(tempfile.mkdtemp(prefix="gatecast-"))
    try:
        judged, bundle = _fitted(data, work, in_process=in_process)
        model = FittedModel(bundle, judged=judged, table=table, edge=edge, alias=alias, notes=notes)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    weakref.finalize(model, shutil.rmtree, work, ignore_errors=True)  # its files go with it
    return model


def seen(table: pd.DataFrame, job: Job, notes: tuple[str, ...]) -> tuple[Dataset, tuple[str, ...]]:
    """A raw long table as fits and judgments see it, and what there is to say of it; raises DataError."""
    report = validate(table, job.series)
    report.raise_for_errors()
    notes = (*notes, *found(report.violations))
    tell(notes)
    return dataset(table, job), notes


def _fitted(data: Dataset, work: Path, *, in_process: bool) -> tuple[JudgedFits, Path]:
    """The fits of all folds, and the model with the residuals of everything that it has not learned from."""
    with showing("fitting"):
        fits = [_fit(data, number, work / f"fit-{number}", in_process=in_process) for number in range(len(data.folds))]
    least = data.job.window.min_observed
    bundle = as_champion(fits[-1].bundle, data.table, data.folds[-1], work / "model", min_observed=least)
    for number in range(len(fits)):
        shutil.rmtree(work / f"fit-{number}" / "search", ignore_errors=True)
    return JudgedFits(data.job, data.folds, tuple(fit.bundle for fit in fits)), bundle


def _fit(data: Dataset, number: int, work: Path, *, in_process: bool) -> Fitted:
    function = _FITS.get(data.job.model.name, "forecasting.training.fit:fit")
    arguments = (data.table, data.job, data.folds[number], work)
    origin = Origin(git_commit=provenance.git_commit())
    if not in_process:
        return cast(Fitted, child.call(function, *arguments, timeout=data.job.train.timeout, origin=origin))
    module, name = function.split(":")
    return cast(Fitted, getattr(importlib.import_module(module), name)(*arguments, origin=origin))


def _refuse_what_needs_a_registry(job: Job) -> None:
    needs = [f"train.init: {job.train.init}"] if job.train.init != "scratch" else []
    needs += ["train.final_fit: true"] if job.train.final_fit else []
    if needs:
        raise ConfigError(f"{' and '.join(needs)}: only a run has a live model and a verdict; use run, or leave it out")
