"""Forecasts that somebody else made: a long table, judged on the cutoffs of a job beside its models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forecasting.columns import CUTOFF, DS, MODEL, STEP, UNIQUE_ID, Y, column_quantile, quantile_columns
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.evaluation.backtest import Origins, scored_as
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.rivals import cannot_serve

__all__ = ["backtest_file"]

_KEYS: Final = (UNIQUE_ID, DS, CUTOFF)
_BOUND: Final = re.compile(r"(.+)-(lo|hi)-(\d+(?:\.\d+)?)")

Columns = dict[float, str]  # quantile → the column that holds it


def backtest_file(path: Path, origins: Origins, job: Job) -> list[Backtested]:
    """Backtest every model of a CSV or Parquet file on the same cutoffs.

    It holds unique_id, ds, cutoff, and for each model either a column of its name with `NAME-lo-80`, `NAME-hi-80`, or
    quantiles as `q0.1`, `q0.5`, whose model a column `model` names, else the file. A model without the quantiles of the
    job is judged by its point forecast. Raises DataError where a column or a forecast is missing.
    """
    table = _read(path)
    found = [_backtested(path, rows, name, columns, origins, job) for name, rows, columns in _models(path, table)]
    if not found:
        raise DataError(f"{path} holds no forecast: expected columns NAME, NAME-lo-80, NAME-hi-80, or q0.1, q0.5, q0.9")
    return found


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else pd.read_csv(path)
        if lacking := [name for name in _KEYS if name not in table]:
            raise DataError(f"{path} lacks {', '.join(lacking)}; it has {', '.join(map(str, table.columns))}")
        ds, cutoff = (_stamps(table[name]) for name in (DS, CUTOFF))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the forecasts of {path}: {error}") from error
    return table.assign(**{UNIQUE_ID: table[UNIQUE_ID].astype("str"), DS: ds, CUTOFF: cutoff})


def _stamps(column: pd.Series) -> pd.Series:
    """Stamps in UTC without a zone, as those of a job."""
    stamps: pd.Series = pd.to_datetime(column, utc=True, format="ISO8601").dt.tz_localize(None).astype("datetime64[us]")
    return stamps


def _models(path: Path, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, Columns]]:
    """Name, rows, and columns of each model of a table."""
    if quantiles := quantile_columns(table.columns):
        columns = {column_quantile(name): name for name in quantiles}
        groups = table.groupby(MODEL, sort=False) if MODEL in table else [(path.stem, table)]
        yield from ((str(name), rows, columns) for name, rows in groups)
        return
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and name not in (Y, STEP)]
    bounds = {name: found for name in numbers if (found := _BOUND.fullmatch(str(name)))}
    for name in (str(name) for name in numbers if name not in bounds and not str(name).endswith("-median")):
        sides = {column: found for column, found in bounds.items() if found[1] == name}
        columns = {_quantile(found): str(column) for column, found in sides.items()}
        yield name, table, columns | {0.5: f"{name}-median" if f"{name}-median" in table else name}


def _quantile(bound: re.Match[str]) -> float:
    """`x-lo-80` is the quantile 0.1."""
    side = -1 if bound[2] == "lo" else 1
    return round(50 + side * float(bound[3]) / 2, 6) / 100


def _backtested(path: Path, rows: pd.DataFrame, name: str, columns: Columns, origins: Origins, job: Job) -> Backtested:
    whole = all(quantile in columns for quantile in origins.quantiles)
    wanted = origins.quantiles if whole else (0.5,)
    if 0.5 not in columns:
        raise DataError(f"{path}: {name} has no median; give it as q0.5")
    keys = _asked(origins, job)
    if rows.duplicated(list(_KEYS)).any():
        raise DataError(f"{path}: {name} forecasts a stamp from one cutoff more than once")
    values = rows.set_index(list(_KEYS))[[columns[quantile] for quantile in wanted]].reindex(keys).to_numpy(float)
    missing = np.isnan(values).any(axis=1)
    if missing.any():
        series, ds, cutoff = keys[int(missing.argmax())]
        raise DataError(
            f"{path}: {name} lacks {int(missing.sum())} of {len(keys)} forecasts, the first is that of {series} at {ds}"
            f" from {cutoff}"
        )
    shaped = values.reshape(*origins.y.shape, len(wanted))
    if whole:
        return cannot_serve(origins, shaped, name, job)
    scored = scored_as(origins, shaped, wanted, name)
    return Backtested(name, scored, latency_ms=float("nan"), size_mb=float("nan"), weights="")


def _asked(origins: Origins, job: Job) -> pd.MultiIndex:
    """Series, stamp, and cutoff of every forecast, in the order of the origins and their steps."""
    horizon = origins.y.shape[1]
    stamps = {
        cutoff: pd.date_range(cutoff, periods=horizon + 1, freq=job.series.freq, unit="us")[1:]
        for cutoff in np.unique(origins.cutoff)
    }
    ds = np.concatenate([stamps[cutoff] for cutoff in origins.cutoff])
    names = np.repeat(origins.unique_id.astype(str), horizon)
    return pd.MultiIndex.from_arrays([names, ds, np.repeat(origins.cutoff, horizon)], names=list(_KEYS))
