"""From backtests to the registry: judge, register the judged model, move the alias only if the verdict says so."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.config.job import Job
from forecasting.config.operation import MIN_RESIDUALS
from forecasting.errors import RegistryError
from forecasting.evaluation.gate import Backtested, held
from forecasting.evaluation.judging import Candidate, Judgment, as_challenger, as_champion, judge_challenger
from forecasting.evaluation.metrics import Judged, covered, summarise
from forecasting.evaluation.metrics import table as value_table
from forecasting.evaluation.uncertainty import mean_of
from forecasting.registry.aliases import Cause
from forecasting.registry.registry import Registry
from forecasting.registry.versions import COVERED, INTERVALS
from forecasting.runtime.files import write_text
from forecasting.series.folds import Fold, last_reading, shift

__all__ = ["Decision", "Judging", "decide"]


class Judging(NamedTuple):
    """The input of a judgment: the run, its clean table and folds, the challenger first among the candidates."""

    job: Job
    run_id: str
    table: pd.DataFrame
    folds: tuple[Fold, ...]
    candidates: tuple[Candidate, ...]
    work: Path  # of the run; the same after a kill
    again: bool = False  # another challenger follows if this one is refused, whose refusal then changes nothing
    beside: tuple[Backtested, ...] = ()  # models that stand on the leaderboard and cannot go live

    @property
    def went_live(self) -> Path:
        """A file that is there once this run has promoted."""
        return self.work / "went-live"


class Decision(NamedTuple):
    """The outcome of a judgment."""

    judgment: Judgment
    version: int  # that went live, else the refused challenger's; 0 if another challenger follows
    promoted: str | None  # the name of the model that went live by this run
    fallback: bool  # a baseline went live in place of the refused challenger

    @property
    def settled(self) -> bool:
        """Whether no other challenger follows."""
        return self.version > 0


def decide(registry: Registry, judging: Judging) -> Decision:
    """Judge against the current champion and promote, under the lock that serializes promotions.

    Registered models have the judged weights, with conformal residuals of all windows that no fit has seen. A run that
    is killed anywhere in here and repeated ends as it would have ended.
    """
    job, candidates = judging.job, judging.candidates
    with registry.aliases.lock(job.name):
        opponent = _opponent(registry, judging)
        live = _bundle(registry, judging, opponent)
        judgment = judge_challenger(
            judging.table, job, judging.folds, candidates[0], candidates[1:], live, judging.beside
        )
        if judging.again and not judgment.verdict.passed:
            return Decision(judgment, 0, None, fallback=False)
        version = _register(registry, judging, candidates[0], judgment)
        if judgment.verdict.passed:
            _go_live(registry, judging, version, opponent, "passed every rule of the gate")
            return Decision(judgment, version, candidates[0].name, fallback=False)
        if opponent is None and job.gate.fallback == "best_baseline":
            baseline = next(candidate for candidate in candidates if candidate.name == judgment.fallback)
            version = _register(registry, judging, baseline, judgment)
            _go_live(registry, judging, version, opponent, "the best baseline, since the network was refused")
            return Decision(judgment, version, baseline.name, fallback=True)
    return Decision(judgment, version, None, fallback=False)


def _go_live(registry: Registry, judging: Judging, version: int, opponent: int | None, why: str) -> None:
    """Promote, once: a version that was rolled back by hand does not return when its run is repeated.

    MLflow cannot compare and set an alias, so the live version is checked once more.
    """
    if judging.went_live.exists():
        return
    live = registry.versions.champion(judging.job.name)
    if live is not None and live.version not in (opponent, version):
        raise RegistryError(
            f"version {live.version} of {judging.job.name} went live while this challenger was judged against"
            f" {f'version {opponent}' if opponent else 'the baselines'}: another home writes to this registry. Let all"
            " of them name one folder in GATECAST_LOCKS, and run again"
        )
    registry.aliases.promote(judging.job.name, version, cause=Cause(f"run {judging.run_id[:8]}: {why}"))
    judging.went_live.touch()


def _opponent(registry: Registry, judging: Judging) -> int | None:
    """The version to beat: the live one, or, if this very run went live before it was killed, the one before."""
    live = registry.versions.champion(judging.job.name)
    note = judging.work / "opponent.json"
    mine = judging.went_live.exists() or (live is not None and live.run_id == judging.run_id)
    if mine and note.exists():
        recorded: int | None = json.loads(note.read_text(encoding="utf-8"))
        return recorded
    version = live.version if live else None
    write_text(note, json.dumps(version))
    return version


def _bundle(registry: Registry, judging: Judging, version: int | None) -> Path | None:
    """The opponent's bundle, made comparable; none without an opponent."""
    if version is None:
        return None
    judged = registry.versions.get(judging.job.name, version).judged
    live = registry.cache.download(judging.job.name, judged)
    return as_challenger(live, judging.table, judging.job, judging.folds[0], judging.work / "opponent")


def _register(registry: Registry, judging: Judging, candidate: Candidate, judgment: Judgment) -> int:
    """Recalibrate the candidate's last bundle on held-out windows and register it, once."""
    scored, since = judgment.of(candidate.name).scored, _calibrated_since(judging, judgment.of(candidate.name).scored)
    work, least = judging.work / f"registered-{candidate.name}", judging.job.window.min_observed
    fold = judging.folds[-1]._replace(fit_until=since)
    bundle = as_champion(candidate.bundles[-1], judging.table, fold, work, min_observed=least)
    passed = judgment.verdict.passed and candidate.name == judgment.verdict.challenger
    by_level = {f"{COVERED}@{level}": share for level, share in covered(scored).items()}
    return registry.versions.register(
        judging.job.name,
        judging.run_id,
        bundle,
        verdict="passed" if passed else "refused" if candidate.name == judgment.verdict.challenger else "fallback",
        metrics=summarise(scored) | by_level,
        notes=_notes(judging, scored)
        | ({} if since == judging.folds[-1].fit_until else {INTERVALS: since.isoformat()}),
    )


def _calibrated_since(judging: Judging, scored: Judged) -> pd.Timestamp:
    """From when on the residuals of a registered model come: all windows that no fit has seen.

    Where its intervals did not hold in the backtest, the residuals of validation do not fit the later span: then those
    of the backtest alone count, if there are enough of them.
    """
    fold, job = judging.folds[-1], judging.job
    if "coverage" not in scored.metrics or held(scored, job.gate):
        return fold.fit_until
    enough = shift(fold.seen_until, job.window.horizon + MIN_RESIDUALS, job.series.freq)
    return fold.seen_until if enough <= last_reading(judging.table) else fold.fit_until


def _notes(judging: Judging, scored: Judged) -> dict[str, str]:
    """Notes for the monitor: where the readings of the fit and of the judgment ended, the standard errors of the MAE
    and of the coverage, and the number of stamps that both are averages over."""
    table, fold, step = judging.table, judging.folds[-1], judging.job.backtest.step
    notes = {
        "fit_until": fold.fit_until.isoformat(),
        "known_until": last_reading(table).isoformat(),
    }
    if "mae" not in scored.metrics:
        return notes
    by_window, horizon = value_table([scored], "window"), scored.y.shape[1]
    for name in ("mae", "coverage"):
        if name in by_window:
            values = by_window[name].dropna().to_numpy(dtype=np.float64)
            notes[f"{name}_error"] = repr(mean_of(values, ceil(horizon / step)).error)
    return notes | {"judged_stamps": str(len(by_window) * min(step, horizon))}
