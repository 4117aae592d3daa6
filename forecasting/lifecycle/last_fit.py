"""The last fit, on all readings: it replaces its judged twin if it is sane."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from forecasting.evaluation.gate import Rule, sane
from forecasting.evaluation.problem import problem_of
from forecasting.lifecycle.promotion import Decision, Judging
from forecasting.registry.registry import Registry
from forecasting.registry.versions import TWIN
from forecasting.series.folds import last_reading
from forecasting.training.records import Fitted

__all__ = ["FinalFit", "replace_twin", "rules_of"]


class FinalFit(NamedTuple):
    """The result of a last fit: the version that serves because of it, or None, and the rules that judged it."""

    version: int | None
    rules: tuple[Rule, ...]


def replace_twin(registry: Registry, judging: Judging, decision: Decision, last: Fitted | str) -> FinalFit:
    """Compare the last fit with its judged twin; if it is sane and the twin is live, let it serve in the twin's place.

    Both stay in the registry: the note `twin` of the new version names the judged one. `last` is a sentence if the fit
    failed.
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
    """The rules of a last fit in the form of an outcome."""
    return [rule.plain() for rule in final.rules] if final else []
