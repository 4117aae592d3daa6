"""The fitted networks of a made-up job, and how a registry comes to hold them."""

from pathlib import Path
from typing import NamedTuple

from forecasting.config.job import Job
from forecasting.evaluation.judging import Candidate
from forecasting.lifecycle.attempts import Attempt
from forecasting.lifecycle.first_weights import find_start
from forecasting.registry.registry import Registry
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import SCRATCH, Fitted, Start


class World(NamedTuple):
    """A network fitted on all but the newest hours, another one on what a run knows now, and the baselines."""

    job: Job
    data: Snapshot
    older: Fitted
    newer: Fitted
    rivals: tuple[Candidate, ...]


def asking(job: Job, init: str) -> Job:
    """The job with these first weights."""
    return job.model_copy(update={"train": job.train.model_copy(update={"init": init})})


def live(registry: Registry, bundle: Path, key: str = "old", notes: dict[str, str] | None = None) -> tuple[int, str]:
    """Register a bundle and make it the champion; its version and its run."""
    run = registry.runs.start("well", key, {})
    version = registry.versions.register("well", run.run_id, bundle, verdict="passed", metrics={}, notes=notes)
    registry.aliases.promote("well", version)
    return version, run.run_id


def found(registry: Registry, world: World, place: Path, init: str) -> Start:
    """The start of a run in this folder."""
    return find_start(registry, asking(world.job, init), world.data, work=place / "work")


def attempt(world: World, start: Start = SCRATCH) -> Attempt:
    """A challenger with the newer fit."""
    return Attempt(start, (world.newer,))
