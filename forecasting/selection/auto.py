"""Fit `auto`: search, ensemble, one bundle: one page, top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import NONE_EARLIER, Earlier, assemble, spec_for
from forecasting.bundle.engine import Graphs
from forecasting.bundle.spec import MemberSpec
from forecasting.config.job import Job
from forecasting.evaluation.baselines import relay
from forecasting.evaluation.cross_conformal import lent_errors
from forecasting.evaluation.earlier_spans import earlier_spans, with_earlier
from forecasting.nn.exporters.ensemble import MemberGraph, combine
from forecasting.selection.greedy import bagged, loss
from forecasting.selection.members import Member
from forecasting.selection.search import go_on, search
from forecasting.selection.space import Space, choose_space, space_of
from forecasting.selection.weights import keep, unpack
from forecasting.series.folds import Fold
from forecasting.series.windows import Windows
from forecasting.storage.snapshot import take
from forecasting.storage.store import Store
from forecasting.training.devices import set_up
from forecasting.training.export import origin_of
from forecasting.training.fit import shapes
from forecasting.training.records import SCRATCH, Fitted, Start

__all__ = ["fit_auto", "fit_stored"]


def fit_auto(
    table: pd.DataFrame, job: Job, fold: Fold, work: Path, *, origin: Origin, start: Start = SCRATCH
) -> Fitted:
    """Search for networks within the job's budget and write the best ensemble as one bundle to `work/bundle`.

    `table` must be clean. The choice sees what `fold` may see, and nothing after it. A killed search goes on from
    `work` and ends with the same members and weights. A warm `start` searches for nothing: the networks of an older
    ensemble are trained further, and the shares of its members are chosen anew. Raises DataError when there is too
    little to train on, TrainingError when a loss is not finite.
    """
    set_up(job.train)
    older = open_bundle(start.bundle) if start.bundle else None
    space = space_of(table, job, fold, older) if older else choose_space(table, job, fold)
    if older:
        networks = go_on(space, unpack(older, start, work / "weights"), work / "search")
    else:
        networks = search(space, work / "search")
    found, watched, quantiles = [*space.linear(), *networks], space.watched, job.head.quantiles
    forecasts = [watched.units(one.forecast) for one in found]
    weights = bagged(watched.y, forecasts, quantiles, watched.cutoffs)
    chosen = [(member, float(weight)) for member, weight in zip(found, weights, strict=True) if weight > 0]
    origin = origin_of(origin, space.job, fold, steps=sum(one.fit.steps for one in found if one.fit))
    bundle = _assembled(space, chosen, work, origin)
    losses = [loss(watched.y, forecast, quantiles) for forecast in forecasts]
    return Fitted(bundle, _curves(found), _notes(chosen, space.job), _tried(found, weights, losses))


def fit_stored(
    home: Path,
    job: Job,
    version: int,
    number: int,
    *,
    work: Path,
    origin: Origin,
    start: Start = SCRATCH,
) -> Fitted:
    """Fit fold `number` of the observations stored as `version`: what a child process is asked to do."""
    data = take(Store(home), job, version)
    return fit_auto(data.table, data.job, data.folds[number], work, origin=origin, start=start)


def _assembled(space: Space, chosen: Sequence[tuple[Member, float]], work: Path, origin: Origin) -> Path:
    """The bundle of these members, which reads as much as the one that reads the most, with their shares."""
    job, data = space.job, space.data
    context = max(job.window.context, *(member.context for member, _ in chosen))
    spec = spec_for(job, "auto", data.features, data.scaler, context=context)
    sizes = shapes(job, data.features, None)._replace(context=context)
    parts = [MemberGraph(one.content, weight, one.context, one.channels, one.spread) for one, weight in chosen]
    held_out, earlier = _held_out(space, chosen)
    return assemble(
        work / "bundle",
        spec.model_copy(update={"members": tuple(_spec(one, weight) for one, weight in chosen)}),
        Graphs(combine(parts, sizes, len(spec.quantiles))),
        held_out if context == job.window.context else relay(data, data.features, context, held_out),
        earlier=earlier,
        origin=origin,
        weights_file=keep([member.weights for member, _ in chosen], work),
    )


def _held_out(space: Space, chosen: Sequence[tuple[Member, float]]) -> tuple[Windows, Earlier]:
    """Windows to calibrate an ensemble on, and its errors on the first of them, which it was fitted on."""
    job, data, watched, fold = space.job, space.data, space.watched, space.fold
    spans = earlier_spans(data.valid, job.window, job.series.max_gap, fold.at(fold.fit_until))
    if not spans:
        return data.valid, NONE_EARLIER
    judged = watched.reading(job.window.context)
    middle = len(job.head.quantiles) // 2
    points = sum(weight * member.forecast[..., middle] for member, weight in chosen)
    own = judged.targets(np.arange(len(judged))) - points
    lent = lent_errors(spans, space.fitted, judged, own)
    return with_earlier(spans, data.valid), Earlier(len(lent), lent)


def _spec(member: Member, weight: float) -> MemberSpec:
    return MemberSpec(model=member.family, title=member.title, weight=weight, context=member.context, fit=member.fit)


def _tried(found: Sequence[Member], weights: np.ndarray, losses: Sequence[float]) -> pd.DataFrame:
    """All candidates, the best on the validation windows first; baselines have no gradients."""
    rows = [
        {
            "model": one.family,
            "settings": one.title,
            "seed": one.fit.seed if one.fit else 0,
            "steps": one.fit.steps if one.fit else 0,
            "seconds": round(one.seconds, 1),
            "wql": wql,
            "weight": float(weight),
            "gradient_norm": one.gradient_norm,
            "clipped": one.clipped,
        }
        for one, weight, wql in zip(found, weights, losses, strict=True)
    ]
    return pd.DataFrame(rows).sort_values("wql", ignore_index=True)


def _curves(found: Sequence[Member]) -> pd.DataFrame:
    """What the search took; its losses are those of many fits and make no curve."""
    return pd.DataFrame(
        {"epoch": [0], "loss": [np.nan], "val_loss": [np.nan], "seconds": [sum(m.seconds for m in found)]}
    )


def _notes(chosen: Sequence[tuple[Member, float]], job: Job) -> tuple[str, ...]:
    logged = ("of the logarithms of the readings",) if job.series.transform == "log" else ()
    return logged + tuple(
        f"{weight:.0%} {member.title}" for member, weight in sorted(chosen, key=lambda pair: -pair[1])
    )
