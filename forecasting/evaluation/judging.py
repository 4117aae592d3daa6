"""The challenger, the champion and every baseline on the same rolling origins, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from forecasting.bundle.artifact import Origin, read_manifest, verify
from forecasting.bundle.assemble import recalibrate
from forecasting.config.job import Job
from forecasting.errors import ArtifactError, GatecastError
from forecasting.evaluation import backtest, baselines, metrics, ngrams, symbols
from forecasting.evaluation.gate import Candidate, Verdict, best_baseline, judge
from forecasting.series.folds import Fold, past
from forecasting.series.prepare import prepare
from forecasting.series.vocabulary import prepare_symbols

__all__ = [
    "CHAMPION",
    "Contest",
    "Entrant",
    "as_challenger",
    "baseline_names",
    "fit_baselines",
    "hold",
    "is_whole",
    "judging",
]

CHAMPION = "champion"  # the name of the live model's row, whatever it is


class Entrant(NamedTuple):
    """A model to be judged: its name and its bundle for each fold (one for all folds, if there is only one)."""

    name: str
    bundles: tuple[Path, ...]


class Contest(NamedTuple):
    """Everyone's backtest, the verdict on the challenger, and the baseline to fall back to."""

    candidates: tuple[Candidate, ...]
    verdict: Verdict
    fallback: str

    def candidate(self, name: str) -> Candidate:
        """The candidate of that name."""
        return next(candidate for candidate in self.candidates if candidate.name == name)

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row per model, one column per metric."""
        return self.table("model")

    def table(self, by: metrics.By) -> pd.DataFrame:
        """Every metric of every model per model, series, step or window."""
        return metrics.table([candidate.scored for candidate in self.candidates], by)


def fit_baselines(
    table: pd.DataFrame, job: Job, folds: Sequence[Fold], directory: Path, *, origin: Origin
) -> tuple[Entrant, ...]:
    """Fit every baseline on every fold; what already lies whole in `directory` is kept."""
    bundles: dict[str, list[Path]] = {name: [] for name in baseline_names(job)}
    for number, fold in enumerate(folds):
        paths = {name: directory / f"{name}-{number}" for name in bundles}
        missing = [name for name, path in paths.items() if not is_whole(path)]
        if missing:
            _fit(missing, table, job, fold, paths, origin=origin)
        for name, path in paths.items():
            bundles[name].append(path)
    return tuple(Entrant(name, tuple(paths)) for name, paths in bundles.items())


def baseline_names(job: Job) -> tuple[str, ...]:
    """The baselines of a job: those of numbers, or those of symbols."""
    return tuple(ngrams.NGRAMS if job.symbolic else baselines.BASELINES)


def judging(table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> Callable[[Sequence[Path], str], Candidate]:
    """How a model, its bundle of each fold and its name, is backtested on the windows of this table.

    Raises DataError when no window can be scored.
    """
    if job.symbolic:
        spans = symbols.find_spans(table, job, folds)
        return lambda bundles, name: symbols.candidate(spans, bundles, name)
    origins = backtest.find_origins(table, job, folds)
    return lambda bundles, name: backtest.candidate(table, origins, bundles, name)


def hold(
    table: pd.DataFrame,
    job: Job,
    folds: Sequence[Fold],
    challenger: Entrant,
    rivals: Sequence[Entrant],
    champion: Path | None,
) -> Contest:
    """Backtest everyone on the same windows and judge the challenger; `table` must be clean.

    `champion` is the live model's bundle, made comparable by `as_challenger`. Rivals that are no baselines are shown.
    Raises GatecastError for a challenger that knows what it would be judged on.
    """
    _check_unseen(challenger, folds)
    backtested = judging(table, job, folds)
    first, *others = (backtested(entrant.bundles, entrant.name) for entrant in (challenger, *rivals))
    live = backtested((champion,), CHAMPION) if champion else None
    return Contest(
        candidates=(first, *([live] if live else []), *others),
        verdict=judge(first, live, others, job.gate, step=job.backtest.step),
        fallback=best_baseline([one for one in others if one.name in baseline_names(job)], job.gate.primary).name,
    )


def as_challenger(bundle: Path, table: pd.DataFrame, fold: Fold, directory: Path) -> Path:
    """A live model with the residuals that a challenger of `fold` has: of the validation span.

    Live models are calibrated on all that was read before they went live, which is part of what they are judged on
    later; with those residuals their intervals would know their own future. The weights stay the same.
    """
    return recalibrate(verify(bundle), past(table, fold.seen_until), fold.fit_until, directory)


def is_whole(bundle: Path) -> bool:
    """Whether a complete, verified bundle lies there."""
    try:
        verify(bundle)
    except ArtifactError:
        return False
    return True


def _check_unseen(challenger: Entrant, folds: Sequence[Fold]) -> None:
    """A fit says until when it has learned; a verdict on one that knows more than its fold would mean nothing."""
    for bundle, fold in zip(challenger.bundles, folds, strict=False):
        origin = read_manifest(bundle).origin
        if origin.seen_until is not None and origin.seen_until > fold.seen_until:
            raise GatecastError(
                f"{challenger.name} knows readings up to {origin.seen_until} and cannot be judged on forecasts from"
                f" {fold.seen_until} on: fit it on its fold"
            )


def _fit(
    names: Sequence[str], table: pd.DataFrame, job: Job, fold: Fold, paths: dict[str, Path], *, origin: Origin
) -> None:
    """Fit some baselines on one fold; what they may see is prepared once."""
    if job.symbolic:
        spans = prepare_symbols(table, job, fold)
        for name in names:
            ngrams.fit_ngram(name, spans, job, paths[name], origin=origin)
        return
    data = prepare(table, job, fold)
    for name in names:
        baselines.fit(name, data, job, paths[name], origin=origin)
