"""From a table to what one fit may see: features, scaler, training windows and validation windows."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from forecasting.columns import DS, UNIQUE_ID
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import regular_grid
from forecasting.series.features import Features, learn_features
from forecasting.series.folds import Fold, past
from forecasting.series.layout import Layout, learn_layout
from forecasting.series.panel import build
from forecasting.series.scaling import Scaler, fit
from forecasting.series.spacing import explain
from forecasting.series.windows import Windows, slide

__all__ = ["Learned", "Prepared", "prepare"]


class Learned(NamedTuple):
    """What a fit learns from its readings besides its weights."""

    features: Features
    scaler: Scaler
    layout: Layout | None


class Prepared(NamedTuple):
    """The past of one fold, ready for a fit; `seen` is its table on the regular grid, `layout` where series stand."""

    seen: pd.DataFrame
    features: Features
    scaler: Scaler
    train: Windows
    valid: Windows
    layout: Layout | None = None


def prepare(table: pd.DataFrame, job: Job, fold: Fold, *, learned: Learned | None = None) -> Prepared:
    """Learn features and scaler on the training span and lay windows over it and over the validation span.

    `table` must be clean; rows after `fold.seen_until` are never looked at, and nothing is learned from rows after
    `fold.fit_until`. What an older fit has `learned` stays as it is; only series that are new to it are scaled by what
    is known of them now. Raises DataError when either span holds no window.
    """
    seen = regular_grid(past(table, fold.at(fold.seen_until)), job.series)
    known = past(seen, fold.at(fold.fit_until))
    features, scaler, layout = _learn(known, job)
    if learned is not None:
        features, scaler, layout = learned._replace(scaler=learned.scaler.extended(scaler))
    panel = build(seen, features, scaler)
    border = panel.rows_at(fold.at(fold.fit_until))
    train = slide(panel, job.window, max_gap=job.series.max_gap, end=border)
    valid = slide(panel, job.window, max_gap=job.series.max_gap, begin=border)
    longest = job.window.context if job.series.max_gap is None else job.series.max_gap
    watched = fold.seen_until > fold.fit_until  # the last fit, on all readings, has no validation span
    for name, windows in (("training", train), ("validation", valid)):
        if not len(windows) and (windows is train or watched):
            raise DataError(
                f"the {name} span holds no window of {job.window.context} + {job.window.horizon} steps with"
                f" {job.window.min_observed:.0%} of its context read and no gap of more than"
                f" {longest} steps; shorten window.context, raise series.max_gap,"
                f" or bring more data{explain(table, job.series)}"
            )
    return Prepared(seen, features, scaler, train, valid, layout)


def _learn(known: pd.DataFrame, job: Job) -> Learned:
    layout = learn_layout(known, job.series)
    features = learn_features(known, job.series, time_zone=getattr(job.source, "time_zone", None))
    if layout is not None and (
        None in layout.unique_id or known.groupby(UNIQUE_ID)[DS].agg(["min", "max"]).nunique().max() > 1
    ):
        features = features.model_copy(update={"mask": True})  # places without a series, or series that come and go
    return Learned(features, fit(known, job.series), layout)
