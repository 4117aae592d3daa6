"""The last fit of an ensemble: every member once more, on all readings; its shares and residuals stay as judged."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import keras
import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, open_bundle, read_graphs, write
from forecasting.bundle.engine import Graphs
from forecasting.bundle.spec import MemberFit, MemberSpec
from forecasting.config.job import Job
from forecasting.errors import TrainingError
from forecasting.evaluation import baselines
from forecasting.nn.exporters.ensemble import MemberGraph, combine, separated
from forecasting.selection.linear_members import ridge_fit, ridge_member
from forecasting.selection.members import Watched, training_windows, watch, windows_with
from forecasting.selection.search import job_of
from forecasting.selection.weights import Further, resume, setting_of, unpack
from forecasting.series.folds import Fold
from forecasting.series.prepare import Prepared, prepare
from forecasting.storage.snapshot import take
from forecasting.storage.store import Store
from forecasting.training import final_fit
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.devices import set_up
from forecasting.training.export import origin_of
from forecasting.training.fit import export_graphs, learned_by, network_for, shapes
from forecasting.training.loop import learn_all
from forecasting.training.plan import plan
from forecasting.training.records import SCRATCH, Fitted, Start
from forecasting.training.ridge_start import start_as_ridge

__all__ = ["fit_finally", "fit_finally_stored"]

_EXAMPLES: Final = 64  # windows on which graph and network are compared


class _Spans(NamedTuple):
    """All readings, and those of the judged ensemble's fold, in its space."""

    job: Job
    fold: Fold
    end: datetime  # the last reading
    everything: Prepared
    judged: Prepared
    watched: Watched
    context: int  # of the ensemble
    older: dict[tuple[str, int], Further]  # where the fits of a warm ensemble began, by title and seed


def fit_finally(
    table: pd.DataFrame, job: Job, judged: Fold, twin: Bundle, work: Path, *, start: Start = SCRATCH
) -> Fitted:
    """Train every member of `twin` on every reading of `table`, as it was trained on its fold `judged`.

    Networks take the steps that led to their best weights, from where these began. The ridge and ridge starts keep
    their penalty, and other linear maps stay as they are. Features, scaler, shares, spreads and residuals are the
    twin's: no readings are left that this fit has not seen. `work` keeps the state of each network, so a killed fit
    goes on. Raises TrainingError if a loss is not finite.
    """
    set_up(job.train)
    end = pd.Timestamp(table["ds"].max())
    fold = Fold(end, end, pd.DatetimeIndex([]))
    everything, watched = (prepare(table, job, one, learned=learned_by(twin)) for one in (fold, judged))
    older = unpack(open_bundle(start.bundle), start, work / "weights") if start.bundle else []
    begun = {(one.setting.title, one.fit.seed): one for one in older}
    spans = _Spans(job, judged, end.to_pydatetime(), everything, watched, watch(watched), twin.spec.context, begun)
    members = twin.spec.members
    graphs = separated(read_graphs(twin.path).model, len(members))
    parts = [
        _again(spans, one, graph, work / str(n)) for n, (one, graph) in enumerate(zip(members, graphs, strict=True))
    ]
    sizes = shapes(job, everything.features, None)._replace(context=twin.spec.context)
    whole = combine(parts, sizes, len(twin.spec.quantiles))
    steps = sum(one.fit.steps for one in members if one.fit)
    bundle = write(
        work / "bundle",
        twin.spec,
        Graphs(whole),
        calibration=twin.calibration,
        golden=twin.golden,
        origin=origin_of(twin.manifest.origin, job, fold, steps=steps),
    )
    curves = pd.DataFrame({"epoch": [0], "loss": [np.nan], "val_loss": [np.nan], "seconds": [0.0]})
    return Fitted(bundle, curves, ())


def fit_finally_stored(
    home: Path,
    job: Job,
    version: int,
    twin: Path,
    *,
    work: Path,
    epochs: int,
    start: Start,
) -> Fitted | str:
    """The last fit of a network, or of an ensemble, on the observations stored as `version`; runs in a child process.

    Returns the reason why there is none, if it failed: the judged model goes on serving. `epochs` is that of
    a network; the members of an ensemble have steps of their own.
    """
    data, judged = take(Store(home), job, version), open_bundle(twin)
    table, fold = data.table, data.folds[-1]
    try:
        if judged.spec.members:
            return fit_finally(table, data.job, fold, judged, work, start=start)
        return final_fit.fit_finally(table, data.job, fold, judged, work, epochs=epochs, start=start)
    except TrainingError as error:
        return str(error)


def _again(spans: _Spans, member: MemberSpec, graph: bytes, place: Path) -> MemberGraph:
    """The member after its last fit."""
    inputs = len(spans.everything.features.inputs)
    if member.fit is not None:
        return MemberGraph(_network(spans, member, member.fit, place), member.weight, member.context, inputs)
    if member.model == "ridge":
        return _ridge(spans, member)
    return MemberGraph(graph, member.weight, spans.context, inputs)  # nothing of it was fitted


def _ridge(spans: _Spans, member: MemberSpec) -> MemberGraph:
    before = baselines.ridge(ridge_fit(spans.job, spans.judged, spans.fold, member.context))
    judged = ridge_member(before, spans.judged, spans.watched, spans.job.head.quantiles)
    everything = windows_with(member.context, spans.job, spans.everything.train.panel)
    linear = baselines.solve(everything, before.penalty)
    ahead = len(spans.everything.features.known_ahead) if linear.ahead.size else 0
    content = baselines.to_onnx(linear, inputs=judged.channels, ahead=ahead)
    return MemberGraph(content, member.weight, judged.context, judged.channels, judged.spread)


def _network(spans: _Spans, member: MemberSpec, made: MemberFit, place: Path) -> bytes:
    """The graph of a network, trained on all readings for as many steps as led to its best weights."""
    job = job_of(spans.job, setting_of(member, made), made.planned, made.seed)
    keras.utils.clear_session()
    keras.utils.set_random_seed(made.seed)
    everything = windows_with(member.context, spans.job, spans.everything.train.panel)
    train = training_windows(job, spans.judged, spans.fold, member.context)
    valid = spans.watched.reading(member.context)
    network = network_for(job, spans.everything.features)
    older = spans.older.get((member.title, made.seed))
    if older is None:
        start_as_ridge(network, train, valid, everything=everything)
    else:
        everything = resume(network, older, everything, job, until=spans.end)
    planned = plan(job.train, len(everything))
    rounds, title = made.steps // planned.length, f"{member.title}, all readings"
    learn_all(network, everything, job.train, planned, Checkpoint(place), rounds=rounds, title=title)
    example = everything.batch(np.arange(min(len(everything), _EXAMPLES)))
    return export_graphs(network, job, example)[0].model
