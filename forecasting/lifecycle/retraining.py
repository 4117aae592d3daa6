"""A job's next challenger: its first weights, what it cost and gained, and the last fit on all readings."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forecasting.bundle.artifact import open_bundle, read_manifest
from forecasting.config.job import Job
from forecasting.config.training import STARTS
from forecasting.errors import UnknownVersionError
from forecasting.evaluation.gate import Rule, sane
from forecasting.evaluation.judging import CHAMPION, Candidate, Judgment
from forecasting.evaluation.problem import problem_of
from forecasting.lifecycle.promotion import Decision, Judging
from forecasting.registry.registry import Registry
from forecasting.registry.versions import TWIN, Version
from forecasting.runtime.files import write_text
from forecasting.series.folds import last_reading, past
from forecasting.storage.snapshot import Snapshot
from forecasting.training.fitted import Fitted
from forecasting.training.start import SCRATCH, Start, objections

__all__ = ["Attempt", "FinalFit", "candidates", "costs", "find_start", "replace_twin", "rules_of"]


class Attempt(NamedTuple):
    """A challenger: its first weights, and its fit of each fold."""

    start: Start
    fits: tuple[Fitted, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch of the last fold's fit, counted from 1, that validation chose."""
        return int(self.fits[-1].curves["val_loss"].to_numpy().argmin()) + 1


class FinalFit(NamedTuple):
    """What came of the last fit: the version that serves because of it, or none, and the rules it was held against."""

    version: int | None
    rules: tuple[Rule, ...]


def find_start(registry: Registry, job: Job, data: Snapshot, *, work: Path) -> Start:
    """The weights that `train.init` asks for, or scratch that says why they cannot be had.

    Noted in `work`: a run that was killed after it went live does not begin with its own weights.
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
    """The version whose weights may be taken, or why there is none."""
    init = job.train.init
    wanted = registry.versions.champion(job.name) if init in STARTS else _of_run(registry, job, init)
    if wanted is None:
        return None, "trained from scratch: nothing is live yet"
    version = wanted.judged
    known = past(data.table, data.folds[0].fit_until)
    against = objections(open_bundle(registry.cache.download(job.name, version)), job, data.folds, known)
    if against:
        return None, f"trained from scratch, not from version {version}: {'; '.join(against)}"
    return version, ""


def _of_run(registry: Registry, job: Job, run_id: str) -> Version:
    """The version that a run judged; raises UnknownVersionError that names the runs there are."""
    versions = registry.versions.table(job.name)
    of_run = versions[versions["run_id"] == run_id]
    if of_run.empty:
        known = ", ".join(dict.fromkeys(versions["run_id"]))
        raise UnknownVersionError(f"{job.name} has no version of the run {run_id}; it has versions of {known}")
    return registry.versions.get(job.name, int(of_run["version"].min()))  # a fallback and a last fit come after it


def candidates(job: Job, attempts: Sequence[Attempt], rivals: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The last challenger, then the baselines, then the challengers that were refused before, for the leaderboard."""
    names = [*(f"{job.model.name}:{attempt.start.init}" for attempt in attempts[:-1]), job.model.name]
    tried = [
        Candidate(name, tuple(fitted.bundle for fitted in attempt.fits))
        for name, attempt in zip(names, attempts, strict=True)
    ]
    return (tried[-1], *rivals, *tried[:-1])


def costs(job: Job, attempts: Sequence[Attempt], held: Judgment) -> list[dict[str, Any]]:
    """What every challenger cost and gained, a row each: seconds, optimiser steps, and the primary metric.

    `over_champion` and `over_scratch` are shares by which that metric is lower than theirs; none where they were not
    there.
    """
    board = held.leaderboard.set_index("model")[job.gate.primary]
    named = candidates(job, attempts, ())
    values = {candidate.name: float(board[candidate.name]) for candidate in named}
    champion = float(board[CHAMPION]) if CHAMPION in board.index else None
    cold = values[job.model.name] if not attempts[-1].start.warm and len(attempts) > 1 else None
    rows = []
    for attempt, name in zip(attempts, (*(one.name for one in named[1:]), named[0].name), strict=True):
        value = values[name]
        rows.append(
            {
                "init": attempt.start.init,
                "from_version": attempt.start.version,
                "seconds": round(float(sum(fitted.curves["seconds"].sum() for fitted in attempt.fits)), 3),
                "steps": sum(read_manifest(fitted.bundle).origin.steps for fitted in attempt.fits),
                job.gate.primary: _finite(value),
                "over_champion": _gain(value, champion),
                "over_scratch": _gain(value, cold) if attempt.start.warm else None,
                "note": attempt.start.note,
            }
        )
    return rows


def replace_twin(registry: Registry, judging: Judging, decision: Decision, last: Fitted | str) -> FinalFit:
    """Hold the last fit against its judged twin and let it serve in its place, if it is sane and that still serves.

    Both stay in the registry: the note `twin` of the new version names the judged one.
    """
    job, twin = judging.job, judging.candidates[0].bundles[-1]
    if isinstance(last, str):
        return FinalFit(None, (Rule("finished", math.nan, math.nan, False, last),))
    backtest = problem_of(job).backtester(judging.table, job, judging.folds[-1:])
    first, second = (backtest((bundle,), job.model.name) for bundle in (last.bundle, twin))
    rules = sane(first, second, job.gate, step=job.backtest.step)
    if not all(rule.passed for rule in rules):
        return FinalFit(None, rules)
    end = last_reading(judging.table).isoformat()
    with registry.aliases.lock(job.name):
        judged, live = registry.versions.get(job.name, decision.version), registry.versions.champion(job.name)
        if live is None or live.judged != judged.version:
            return FinalFit(None, rules)
        version = registry.versions.register(
            job.name,
            judging.run_id,
            last.bundle,
            verdict="final",
            metrics=judged.metrics,
            notes={**judged.notes, TWIN: str(judged.version), "fit_until": end, "known_until": end},
        )
        return FinalFit(version if registry.aliases.replace_twin(job.name, version, judged.version) else None, rules)


def rules_of(final: FinalFit | None) -> list[dict[str, Any]]:
    """The rules of a last fit as they stand in an outcome."""
    return [rule.plain() for rule in final.rules] if final else []


def _gain(value: float, other: float | None) -> float | None:
    return None if not other else _finite(1 - value / other)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
