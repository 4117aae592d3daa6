"""The leak audit: change everything after a cutoff and check that nothing before it moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.ngrams import NGRAMS, fit_table
from forecasting.series.aggregate import step_ends
from forecasting.series.clean import clean
from forecasting.series.defaults import resolve
from forecasting.series.folds import Fold, folds, past
from forecasting.series.moments import Moment, stamps_of
from forecasting.series.prepare import Prepared, prepare
from forecasting.series.vocabulary import prepare_symbols

__all__ = ["Moved", "audit", "audit_symbols", "perturb_future"]

_NEW_LABEL = "a label of the future"


class Moved(NamedTuple):
    """One result of the audit: did it move when the future was changed?"""

    what: str
    moved: bool
    note: str


def perturb_future(table: pd.DataFrame, cutoff: Moment, job: Job, *, seed: int = 0) -> pd.DataFrame:
    """The raw table with all values after `cutoff` changed, except those known ahead: other numbers, labels, and gaps.

    Duplicate rows of one stamp stay duplicates.
    """
    draw = np.random.default_rng(seed)
    known = table[DS].to_numpy()
    if job.series.aggregate is not None:  # a reading is known when its step is over
        known = step_ends(table[DS], job.series.freq)
    later = known > stamps_of(cutoff, table[UNIQUE_ID].to_numpy())
    key = table.groupby([UNIQUE_ID, DS]).ngroup().to_numpy()
    changed = table.copy()
    for name in (Y, *job.series.past):
        gaps = draw.random(len(table)) < (0.0 if job.symbolic else 0.1)  # a sequence of symbols has none
        if name in job.series.categorical:
            changed[name] = table[name].mask(later, _NEW_LABEL).mask(later & gaps[key])
            continue
        values = table[name].to_numpy(dtype=float)
        noise = np.nanmean(values) + (np.nanstd(values) or 1.0) * draw.normal(3.0, 2.0, len(table))
        changed[name] = np.where(later, np.where(gaps, np.nan, noise)[key], values)
    return changed


def audit(table: pd.DataFrame, job: Job, bundles: Sequence[Path]) -> list[Moved]:
    """Run cleaning, features, scaler, windows, and forecasts on the table and on one with another future.

    `table` is raw, as read from the source. Everything is compared at and before the first cutoff of the job's
    backtest, including the models of `bundles` and a ridge fitted anew on both tables.
    """
    cleaned = clean(table, job.series).table
    job = resolve(job, cleaned)
    fold = folds(cleaned, job)[0]
    cutoff = fold.moments[0]
    before, after = (clean(raw, job.series).table for raw in (table, perturb_future(table, cutoff, job)))
    findings = [_table(before, after, cutoff)]
    one, other = (prepare(cleaned, job, fold) for cleaned in (before, after))
    findings += [_state(name, read(one), read(other)) for name, read in _STATES.items()]
    findings += [_windows("training windows", one, other, "train"), _windows("validation windows", one, other, "valid")]
    findings.append(_ridge(one, other, job))
    return findings + [_forecasts(open_forecaster(bundle), before, after, fold) for bundle in bundles]


def audit_symbols(table: pd.DataFrame, job: Job, bundles: Sequence[Path]) -> list[Moved]:
    """The same for a job of symbols: vocabulary, sequences, a trigram fitted anew, and forecasts."""
    cleaned = clean(table, job.series).table
    job = resolve(job, cleaned)
    fold = folds(cleaned, job)[0]
    cutoff = fold.cutoffs[0]
    before, after = (clean(raw, job.series).table for raw in (table, perturb_future(table, cutoff, job)))
    one, other = (prepare_symbols(cleaned, job, fold) for cleaned in (before, after))
    findings = [_table(before, after, cutoff), _state("vocabulary", one.vocabulary, other.vocabulary)]
    for name, mine, theirs in (("training", one.train, other.train), ("validation", one.valid, other.valid)):
        same = len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))
        findings.append(Moved(f"{name} sequences", not same, f"{sum(map(len, mine)):,} symbols"))
    first, second = (fit_table(NGRAMS["trigram"], data).rows for data in (one, other))
    findings.append(Moved("trigram fitted anew", not np.array_equal(first, second), f"{first.size:,} probabilities"))
    return findings + [_forecasts(open_forecaster(bundle), before, after, fold) for bundle in bundles]


_STATES: dict[str, Callable[[Prepared], object]] = {
    "features and vocabularies": lambda data: data.features,
    "scaler": lambda data: data.scaler,
    "calendar and grid": lambda data: data.seen[DS].tolist(),
}


def _table(before: pd.DataFrame, after: pd.DataFrame, cutoff: Moment) -> Moved:
    same = past(before, cutoff).reset_index(drop=True).equals(past(after, cutoff).reset_index(drop=True))
    return Moved("cleaned table", not same, f"{len(past(before, cutoff)):,} rows up to the first cutoff")


def _state(name: str, one: object, other: object) -> Moved:
    return Moved(name, one != other, "learned on the training span")


def _windows(name: str, one: Prepared, other: Prepared, span: str) -> Moved:
    first, second = getattr(one, span), getattr(other, span)
    if len(first) != len(second):
        return Moved(name, True, f"{len(first)} windows against {len(second)}")
    same = all(
        all(np.array_equal(a, b, equal_nan=True) for a, b in zip(x.values(), y.values(), strict=True))
        and np.array_equal(first.targets(block), second.targets(block), equal_nan=True)
        for block in first.batches(1024)
        for x, y in [(first.batch(block), second.batch(block))]
    )
    return Moved(name, not same, f"{len(first):,} windows, inputs and targets")


def _ridge(one: Prepared, other: Prepared, job: Job) -> Moved:
    fits = [baselines.ridge(baselines.Fit(data.train, data.valid, 1)) for data in (one, other)]
    same = np.array_equal(fits[0].weights, fits[1].weights) and np.array_equal(fits[0].bias, fits[1].bias)
    return Moved("ridge fitted anew", not same, f"{fits[0].weights.size:,} weights of job {job.name}")


def _forecasts(forecaster: Forecaster, before: pd.DataFrame, after: pd.DataFrame, fold: Fold) -> Moved:
    one, other = (forecaster.at(table, fold.moments[:1]).table() for table in (before, after))
    note = f"{len(one):,} forecasts from {fold.cutoffs[0]}"
    return Moved(f"forecasts of {forecaster.spec.model}", not one.equals(other), note)
