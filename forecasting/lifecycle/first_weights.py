"""The first weights of a challenger: those of a registered version, or none."""

from __future__ import annotations

import json
from pathlib import Path

from forecasting.bundle.artifact import open_bundle
from forecasting.config.job import Job
from forecasting.config.training import STARTS
from forecasting.errors import UnknownVersionError
from forecasting.registry.registry import Registry
from forecasting.registry.versions import Version
from forecasting.runtime.files import write_text
from forecasting.series.folds import past
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import SCRATCH, Start, objections

__all__ = ["find_start"]


def find_start(registry: Registry, job: Job, data: Snapshot, *, work: Path) -> Start:
    """The weights named by `train.init`, or scratch with a note on why they are not available.

    The choice is kept in `work`: a run that is repeated after it went live does not start from its own weights.
    """
    if job.train.init == "scratch":
        return SCRATCH
    note = work / "start.json"
    if note.exists():
        version, why = json.loads(note.read_text(encoding="utf-8"))
    else:
        version, why = _choose(registry, job, data)
        write_text(note, json.dumps([version, why]))
    if version is None:
        return SCRATCH._replace(note=why)
    return Start(job.train.init, registry.cache.download(job.name, version), version)


def _choose(registry: Registry, job: Job, data: Snapshot) -> tuple[int | None, str]:
    """The version whose weights may be used, or the reason why there is none."""
    init = job.train.init
    wanted = registry.versions.champion(job.name) if init in STARTS else _of_run(registry, job, init)
    if wanted is None:
        return None, "trained from scratch: nothing is live yet"
    version = wanted.judged
    first = data.folds[0]
    known = past(data.table, first.at(first.fit_until))
    against = objections(open_bundle(registry.cache.download(job.name, version)), job, data.folds, known)
    if against:
        return None, f"trained from scratch, not from version {version}: {'; '.join(against)}"
    return version, ""


def _of_run(registry: Registry, job: Job, run_id: str) -> Version:
    """The version that a run judged; raises UnknownVersionError that lists the known runs."""
    versions = registry.versions.table(job.name)
    of_run = versions[versions["run_id"] == run_id]
    if of_run.empty:
        known = ", ".join(dict.fromkeys(versions["run_id"]))
        raise UnknownVersionError(f"{job.name} has no version of the run {run_id}; it has versions of {known}")
    return registry.versions.get(job.name, int(of_run["version"].min()))  # a fallback and a last fit come after it
