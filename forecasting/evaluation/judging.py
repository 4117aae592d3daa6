"""The challenger, the champion, and every baseline on the same rolling origins, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, Origin, is_whole, open_bundle, read_manifest
from forecasting.bundle.assemble import BATCH, Earlier, panel_of, recalibrate, renew
from forecasting.columns import MODEL
from forecasting.config.job import Job
from forecasting.config.series import Window
from forecasting.errors import GatecastError
from forecasting.evaluation import metrics
from forecasting.evaluation.baselines import Fit, ridge
from forecasting.evaluation.cross_conformal import lent_errors
from forecasting.evaluation.earlier_spans import EarlierSpan, count_of, earlier_spans, thinned, with_earlier
from forecasting.evaluation.gate import Backtested, Verdict, best_baseline, judge
from forecasting.evaluation.problem import problem_of
from forecasting.evaluation.rivals import LEAKY
from forecasting.series.folds import Fold, past
from forecasting.series.windows import Windows, slide

__all__ = [
    "CHAMPION",
    "Candidate",
    "Judgment",
    "as_challenger",
    "as_champion",
    "fit_baselines",
    "judge_challenger",
    "noted",
]

CHAMPION = "champion"  # the row of the live model, whatever its name


class Candidate(NamedTuple):
    """A model to be judged: its name and its bundle for each fold (one for all folds, if there is only one)."""

    name: str
    bundles: tuple[Path, ...]


class Judgment(NamedTuple):
    """The backtest of every candidate, the verdict on the challenger, and the fallback baseline."""

    backtests: tuple[Backtested, ...]
    verdict: Verdict
    fallback: str

    def of(self, name: str) -> Backtested:
        """The backtest of the model of that name."""
        return next(backtested for backtested in self.backtests if backtested.name == name)

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row per model, one column per metric."""
        return self.table("model")

    @property
    def standings(self) -> pd.DataFrame:
        """The leaderboard, with a column `note` where a model cannot go live."""
        return noted(self.leaderboard, self.backtests)

    def table(self, by: metrics.By) -> pd.DataFrame:
        """Every metric of every model per model, series, step, or window."""
        return metrics.table([backtested.scored for backtested in self.backtests], by)


def noted(leaderboard: pd.DataFrame, backtests: Sequence[Backtested]) -> pd.DataFrame:
    """A leaderboard of these backtests with a column `note` where a model, having no bundle, cannot go live."""
    notes = {one.name: _note(one) for one in backtests}
    if not any(notes.values()):
        return leaderboard
    return leaderboard.assign(note=leaderboard[MODEL].map(notes))


def _note(one: Backtested) -> str:
    if one.weights:
        return ""
    return "cannot go live, may have seen these readings" if one.name in LEAKY else "cannot go live"


def fit_baselines(
    table: pd.DataFrame, job: Job, folds: Sequence[Fold], directory: Path, *, origin: Origin
) -> tuple[Candidate, ...]:
    """Fit every baseline on every fold; whole bundles in `directory` are kept."""
    problem = problem_of(job)
    bundles: dict[str, list[Path]] = {name: [] for name in problem.baselines}
    for number, fold in enumerate(folds):
        paths = {name: directory / f"{name}-{number}" for name in bundles}
        missing = [name for name, path in paths.items() if not is_whole(path)]
        if missing:
            problem.fit(missing, table, job, fold, paths, origin)
        for name, path in paths.items():
            bundles[name].append(path)
    return tuple(Candidate(name, tuple(paths)) for name, paths in bundles.items())


def judge_challenger(
    table: pd.DataFrame,
    job: Job,
    folds: Sequence[Fold],
    challenger: Candidate,
    rivals: Sequence[Candidate],
    champion: Path | None,
    beside: Sequence[Backtested] = (),
) -> Judgment:
    """Backtest all candidates on the same windows and judge the challenger; `table` must be clean.

    `champion` is the live model's bundle, made comparable by `as_challenger`. Rivals that are not baselines are shown,
    and so are the models `beside`, which cannot go live.
    Raises GatecastError for a challenger that knows the readings it would be judged on.
    """
    _check_unseen(challenger, folds)
    problem = problem_of(job)
    backtest = problem.backtester(table, job, folds)
    first, *others = (backtest(candidate.bundles, candidate.name) for candidate in (challenger, *rivals))
    live = backtest((champion,), CHAMPION) if champion else None
    return Judgment(
        backtests=(first, *([live] if live else []), *others, *beside),
        verdict=judge(first, live, others, job.gate, step=job.backtest.step),
        fallback=best_baseline([one for one in others if one.name in problem.baselines], job.gate.primary).name,
    )


def as_challenger(bundle: Path, table: pd.DataFrame, job: Job, fold: Fold, directory: Path) -> Path:
    """Give a live model the residuals of the job's challenger of `fold`: those of the validation span, and with the
    model `auto` those of earlier spans.

    Live models are calibrated on all readings before they went live, which include later test windows; with those
    residuals their intervals would know their own future. The weights stay the same.
    """
    live, known, since = open_bundle(bundle), past(table, fold.at(fold.seen_until)), fold.at(fold.fit_until)
    spec = live.spec
    if job.model.name != "auto" or spec.layout is not None or live.predictor.feeds_back:
        return recalibrate(live, known, since, directory, min_observed=job.window.min_observed)
    panel = panel_of(spec, known)
    window = Window(context=spec.context, horizon=spec.horizon, min_observed=job.window.min_observed)
    gap, border = spec.series.max_gap, panel.rows_at(since)
    train, valid = slide(panel, window, max_gap=gap, end=border), slide(panel, window, max_gap=gap, begin=border)
    spans = earlier_spans(valid, window, gap, since)
    lent = _lent(live, train, valid, spans) if spans else None
    return renew(live, with_earlier(spans, valid), directory, earlier=Earlier(count_of(spans), lent))


def _lent(live: Bundle, train: Windows, valid: Windows, spans: Sequence[EarlierSpan]) -> np.ndarray | None:
    """The errors of a live model on the spans; none for a map of fixed weights, which has its own there."""
    if live.spec.baseline and live.spec.model != "ridge":
        return None
    judged = thinned(valid)
    middle = len(live.spec.quantiles) // 2
    points = [live.predictor.windows(judged, indices)[..., middle] for indices in judged.batches(BATCH)]
    own = judged.targets(np.arange(len(judged))) - np.concatenate(points)
    return lent_errors(spans, ridge(Fit(train, valid, 1)), judged, own)


def as_champion(bundle: Path, table: pd.DataFrame, fold: Fold, directory: Path, *, min_observed: float = 0.5) -> Path:
    """Give a judged model the residuals of all windows that its fit has not seen; the weights stay the same."""
    return recalibrate(open_bundle(bundle), table, fold.at(fold.fit_until), directory, min_observed=min_observed)


def _check_unseen(challenger: Candidate, folds: Sequence[Fold]) -> None:
    """Refuse a challenger that has learned from readings later than its fold's."""
    for bundle, fold in zip(challenger.bundles, folds, strict=False):
        origin = read_manifest(bundle).origin
        if origin.seen_until is not None and origin.seen_until > fold.seen_until:
            raise GatecastError(
                f"{challenger.name} knows readings up to {origin.seen_until} and cannot be judged on forecasts from"
                f" {fold.seen_until} on; fit it on its fold"
            )
