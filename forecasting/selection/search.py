"""The search: every candidate in a first round, the best of them again and longer, with several seeds."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from forecasting.bundle.spec import MemberFit
from forecasting.config.job import Job
from forecasting.runtime.files import replace_folder
from forecasting.selection.candidates import FINALISTS, Setting, candidates, rounds, steps_within
from forecasting.selection.members import Member, training_windows
from forecasting.selection.space import Space
from forecasting.selection.weights import Further, resume
from forecasting.series.calendar import season_of
from forecasting.series.windows import Windows
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.export import save_network
from forecasting.training.fit import export_graphs, network_for
from forecasting.training.loop import learn_best
from forecasting.training.plan import plan
from forecasting.training.ridge_start import start_as_ridge

__all__ = ["go_on", "job_of", "search", "train_candidate"]

BLOCK = 512


def search(space: Space, work: Path) -> list[Member]:
    """Train candidates within the job's budget, and give all that were trained; goes on where `work` stands.

    Only the training windows are learned from, and only the validation windows choose.
    """
    job, windows = space.job, len(space.data.train)
    batch = plan(job.train, windows).batch_size
    planned = rounds(job, candidates(job, season_of(job.series), windows, space.longer), batch)

    def trained(candidate: Setting, steps: int, seed: int) -> Member:
        place = work / f"{candidate.title.replace(' ', '-').replace(',', '')}-{steps}-{seed}"
        return train_candidate(space, candidate, (steps, seed), place)

    found = [trained(candidate, steps, job.train.seed) for candidate, steps in planned.first]
    if not planned.seeds:
        return found
    losses = [space.watched.wql(one.forecast, job.head.quantiles) for one in found]
    finalists = [planned.first[index][0] for index in np.argsort(losses, kind="stable")[:FINALISTS]]
    share = planned.seconds / (len(finalists) * len(planned.seeds))
    for seed in planned.seeds:
        found += [trained(candidate, steps_within(share, candidate, batch), seed) for candidate in finalists]
    return found


def go_on(space: Space, networks: Sequence[Further], work: Path) -> list[Member]:
    """Train the networks of an older ensemble further, each from its weights and with its settings."""
    return [
        train_candidate(space, one.setting, (one.fit.planned, one.fit.seed), work / one.weights.stem, one)
        for one in networks
    ]


def train_candidate(
    space: Space, candidate: Setting, effort: tuple[int, int], place: Path, older: Further | None = None
) -> Member:
    """The candidate after an `effort` of steps with a seed; recalled where it was trained in `place` before.

    It begins with the weights of an older fit where they are given, or else as a ridge or at random.
    """
    record = place / "member"
    if not record.exists():
        _train(space, job_of(space.job, candidate, *effort), record, candidate.title, older)
    kept = json.loads((record / "record.json").read_text("utf-8"))
    params = candidate.model.params.model_dump(mode="json")
    return Member(
        candidate.model.name,
        candidate.title,
        (record / "model.onnx").read_bytes(),
        candidate.context,
        len(space.data.features.inputs),
        None,
        np.load(record / "forecast.npy", allow_pickle=False),
        MemberFit(params=params, planned=effort[0], steps=kept["steps"], seed=effort[1]),
        kept["seconds"],
        record / "model.keras",
        kept["gradient_norm"],
        kept["clipped"],
    )


def job_of(job: Job, candidate: Setting, steps: int, seed: int) -> Job:
    """The job of one network: its settings, so many steps, and its seed."""
    measured = {"steps": steps, "seed": seed, "epochs": None, "windows_per_epoch": None, "patience": None}
    train = job.train.model_copy(update={**measured, "average": True, **candidate.train})
    window = job.window.model_copy(update={"context": candidate.context})
    return job.model_copy(update={"model": candidate.model, "train": train, "window": window})


def _train(space: Space, job: Job, record: Path, title: str, older: Further | None) -> None:
    begin = time.perf_counter()
    keras.utils.clear_session()
    keras.utils.set_random_seed(job.train.seed)
    train = training_windows(job, space.data, space.fold, job.window.context)
    valid = space.watched.reading(job.window.context)
    network = network_for(job, space.data.features)
    if older is None:
        start_as_ridge(network, train, valid)
    else:
        train = resume(network, older, train, job, until=space.fold.fit_until)
    loss = network.get_layer("head").loss
    checkpoint = Checkpoint(record.parent)
    steps = learn_best(network, loss, train, valid, job.train, checkpoint, title=title)
    graphs, _ = export_graphs(network, job, valid.batch(np.arange(min(len(valid), 64))))
    kept = {"steps": steps, "seconds": time.perf_counter() - begin, **_gradients(checkpoint)}

    def fill(draft: Path) -> None:
        (draft / "model.onnx").write_bytes(graphs.model)
        save_network(network, draft)
        np.save(draft / "forecast.npy", _forecast(network, valid), allow_pickle=False)
        (draft / "record.json").write_text(json.dumps(kept), encoding="utf-8")

    replace_folder(record, fill)


def _gradients(checkpoint: Checkpoint) -> dict[str, float]:
    """The norm of the gradients at the last check of a training, and the share that was clipped in all of it."""
    checks = [row for row in checkpoint.history if "gradient_norm" in row]  # none is of the one before the first step
    clipped = float(np.mean([row["clipped"] for row in checks]))
    return {"gradient_norm": checks[-1]["gradient_norm"], "clipped": clipped}


def _forecast(network: keras.Model, windows: Windows) -> np.ndarray:
    """The quantiles (B, H, Q) of all windows, scaled."""
    found: list[Any] = []
    for indices in windows.batches(BLOCK):
        batch = windows.batch(indices)
        read = {tensor.name: batch[tensor.name] for tensor in network.inputs}
        found.append(keras.ops.convert_to_numpy(network(read, training=False)))
    return np.concatenate(found)
