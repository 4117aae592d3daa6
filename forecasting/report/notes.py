"""What a run would otherwise pass over in silence, each in a sentence: for text, JSON, and report alike."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from forecasting.batch.vintages import Absent, Vintage
from forecasting.bundle.artifact import read_spec
from forecasting.columns import UNIQUE_ID
from forecasting.config.job import Job
from forecasting.evaluation.gate import held
from forecasting.evaluation.metrics import summarise
from forecasting.lifecycle.last_fit import FinalFit
from forecasting.lifecycle.promotion import Decision
from forecasting.runtime.workspace import Workspace
from forecasting.storage import ingestion
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import Fitted

__all__ = ["notes", "of_live"]

_VANISHED = 1e-7  # mean norm of the gradients between two checks
_CLIPPED = 0.5  # share of the steps
_SHOWN = 3  # series in a sentence
_MET = ("stray", "static_changed")  # rules whose sentences belong beside the result
_DECIDED = ("all_missing", "too_short", "static_changed")  # decisions of cleaning, the same


def notes(workspace: Workspace, job: Job, data: Snapshot, fitted: Fitted, vintage: Vintage | Absent) -> list[str]:
    """The sentences on one run."""
    met = ingestion.recall(workspace, job.name).violations
    decided = data.decisions[data.decisions["decision"].isin(_DECIDED)]
    return [
        *_unforecast(data, vintage),
        *(str(message) for message in met["message"][met["rule"].isin(_MET)]),
        *(f"{count} {note}" for count, note in decided[["count", "note"]].itertuples(index=False)),
        *_borrowed(data, fitted),
        *_gradients(job, fitted),
    ]


def of_live(job: Job, decision: Decision, fit_until: pd.Timestamp, final: FinalFit | None) -> list[str]:
    """The sentences on what this run made live: intervals of a baseline that did not hold, the age of the weights."""
    if decision.promoted is None:
        return []
    if decision.fallback:
        return [*_uncovered(job, decision)]
    if final is not None and final.version is not None:
        return []
    fitted = f"the live network was fitted on readings up to {fit_until}"
    possible = not (job.train.final_fit or job.symbolic)  # a job of symbols refuses the key
    return [f"{fitted}; train.final_fit: true adds a fit on all of them" if possible else fitted]


def _uncovered(job: Job, decision: Decision) -> Iterator[str]:
    """Coverage is judged of a baseline, too, though it goes live all the same."""
    scored = decision.judgment.of(decision.judgment.fallback).scored
    if held(scored, job.gate):
        return
    share, (low, high) = summarise(scored)["coverage"], job.gate.coverage
    yield (
        f"{share:.1%} of the actuals lay inside the widest interval of {scored.model}, which serves, and {low:.0%} to"
        f" {high:.0%} are asked for; its intervals were made anew from the readings of the backtest, where enough"
    )


def _unforecast(data: Snapshot, vintage: Vintage | Absent) -> Iterator[str]:
    """The series of the vintage that have no forecast, and why."""
    if isinstance(vintage, Absent) or vintage.failures.empty:
        return
    count, total = len(vintage.failures), data.table[UNIQUE_ID].nunique()
    found = [f"{name} ({reason})" for name, reason in vintage.failures.head(_SHOWN).itertuples(index=False)]
    yield f"{count} of {total} series have no forecast: {_listed(found, count)}"


def _borrowed(data: Snapshot, fitted: Fitted) -> Iterator[str]:
    """The series whose scale is not their own, because they never changed while it was learned."""
    borrowed = read_spec(fitted.bundle).scaler.borrowed
    if borrowed:
        yield (
            f"{len(borrowed)} series never changed up to {data.folds[-1].fit_until}, so their scale is the panel's:"
            f" {_listed(borrowed[:_SHOWN], len(borrowed))}"
        )


def _gradients(job: Job, fitted: Fitted) -> Iterator[str]:
    """Gradients that vanished, or were clipped most of the time after the first check."""
    if fitted.tried is not None:  # of many fits, which have no curve in common
        yield from _of_search(fitted.tried)
    if "gradient_norm" not in fitted.curves:
        return
    checks = fitted.curves.dropna(subset=["gradient_norm"])
    vanished = int((checks["gradient_norm"] < _VANISHED).sum())
    if vanished:
        yield (
            f"gradients vanished: their norm was below {_VANISHED:g} in {vanished} of {len(checks)} checks of the"
            " training; try a gated cell, or another model.params.normalise"
        )
    clipped = float(checks["clipped"].iloc[1:].mean()) if len(checks) > 1 else 0.0
    if clipped > _CLIPPED:
        yield (
            f"{clipped:.0%} of the gradients were longer than train.clip_norm ({job.train.clip_norm:g}) and were"
            " clipped; try a lower train.learning_rate, or a larger train.clip_norm"
        )


def _of_search(tried: pd.DataFrame) -> Iterator[str]:
    """The networks of a search whose gradients vanished."""
    found = tried.loc[tried["gradient_norm"] < _VANISHED, "settings"].tolist()
    if found:
        count = int(tried["gradient_norm"].notna().sum())
        yield (
            f"gradients vanished in {len(found)} of {count} networks of the search, below {_VANISHED:g} at the end:"
            f" {_listed(found[:_SHOWN], len(found))}"
        )


def _listed(names: list[str] | tuple[str, ...], count: int) -> str:
    return ", ".join(names) + (", …" if count > len(names) else "")
