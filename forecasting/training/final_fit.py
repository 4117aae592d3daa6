"""The last fit: the judged network once more, on all readings, for the number of steps that validation chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, open_bundle, write
from forecasting.config.job import Job
from forecasting.series.folds import Fold
from forecasting.series.prepare import prepare
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.devices import describe, set_up
from forecasting.training.export import origin_of, save_network
from forecasting.training.fit import build_network, export_graphs, learned_by, lessons
from forecasting.training.loop import learn_all
from forecasting.training.plan import plan
from forecasting.training.records import SCRATCH, Fitted, Start
from forecasting.training.ridge_start import start_as_ridge

__all__ = ["fit_finally"]


def fit_finally(
    table: pd.DataFrame, job: Job, judged: Fold, twin: Bundle, work: Path, *, epochs: int, start: Start = SCRATCH
) -> Fitted:
    """Train on every reading of `table` as `twin` was trained on its fold `judged` up to its best epoch, the number
    `epochs`.

    Features, scaler, and residuals are the twin's, and so is the penalty of a ridge start: no readings are left that
    this fit has not seen. An epoch has as many steps as the twin's, so the number of steps and the schedule of the
    learning rate are the same. `work` is as in `fit`. Raises TrainingError if the loss is not finite.
    """
    set_up(job.train)
    end = pd.Timestamp(table["ds"].max())
    fold = Fold(end, end, pd.DatetimeIndex([]))
    older = open_bundle(start.bundle) if start.bundle else None
    data = prepare(table, job, fold, learned=learned_by(twin))
    train, _ = lessons(table, data, job, fold, older)
    network = build_network(job, data, start, older)
    if older is None:
        watched = prepare(table, job, judged, learned=learned_by(twin))
        start_as_ridge(network, *lessons(table, watched, job, judged, None), everything=train)
    length = twin.manifest.origin.steps // max(epochs, 1)
    planned = plan(job.train, len(train))._replace(length=length, passes=False)
    devices, checkpoint = describe(network, job.train), Checkpoint(work)
    title = f"{job.model.name} on all readings"
    learn_all(network, train, job.train, planned, checkpoint, rounds=epochs, title=title, notes=devices)
    graphs, parity = export_graphs(network, job, train.batch(np.arange(min(len(train), 64))))
    bundle = write(
        work / "bundle",
        twin.spec,
        graphs,
        calibration=twin.calibration,
        golden=twin.golden,
        origin=origin_of(twin.manifest.origin, job, fold, steps=epochs * length).model_copy(update={"parity": parity}),
        weights_file=save_network(network, work),
    )
    return Fitted(bundle, pd.DataFrame(checkpoint.history), tuple(devices))
