"""The checks of `gatecast check` and `gatecast backtest`: the source, leaks, and standings."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.columns import records
from forecasting.config.job import Job
from forecasting.evaluation import metrics
from forecasting.evaluation.judging import CHAMPION, as_challenger, fit_baselines
from forecasting.evaluation.problem import problem_of
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.validate import validate
from forecasting.storage import snapshot
from forecasting.storage.store import Store

__all__ = ["CheckResult", "leakage", "source", "standings"]


@dataclass(frozen=True)
class CheckResult:
    """Rows for a table, and one sentence if something is wrong."""

    title: str
    rows: list[dict[str, Any]]
    failed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {"title": self.title, "findings": self.rows, "failed": self.failed}


def source(job: Job) -> CheckResult:
    """Every violation of the source's rows, and every decision of cleaning."""
    raw = sources.read(job)
    report = validate(raw, job.series)
    rows = [{"severity": v.severity, "rule": v.rule, "count": v.count, "message": v.message} for v in report.violations]
    failed = f"{len(report.errors)} error(s) in {report.rows:,} rows: see the messages" if report.errors else ""
    if not report.errors:
        decisions = clean(raw, job.series).decisions
        rows += [
            {"severity": "cleaned", "rule": row["decision"], "count": row["count"], "message": row["note"]}
            for row in records(decisions)
        ]
    return CheckResult(f"{job.name}: {report.rows:,} rows of {report.series:,} series", rows, failed)


def leakage(job: Job, champion: Path | None = None) -> CheckResult:
    """The leak audit of the source's rows, with all baselines fitted anew, and with the live model if there is one."""
    raw = sources.read(job)
    validate(raw, job.series).raise_for_errors()
    table = clean(raw, job.series).table
    first = folds(table, job)[:1]
    with tempfile.TemporaryDirectory() as scratch:
        candidates = fit_baselines(table, job, first, Path(scratch), origin=Origin())
        bundles = [*(candidate.bundles[0] for candidate in candidates), *([champion] if champion else [])]
        findings = problem_of(job).audit(raw, job, bundles)
    rows = [{"what": f.what, "moved": f.moved, "note": f.note} for f in findings]
    moved = [finding.what for finding in findings if finding.moved]
    return CheckResult(
        f"{job.name}: everything after {first[0].cutoffs[0]} was changed",
        rows,
        f"the future leaks into: {', '.join(moved)}" if moved else "",
    )


def standings(store: Store, registry: Registry, job: Job, names: Sequence[str]) -> dict[str, Any]:
    """Backtest the named models, by default the champion and all baselines, on the job's rolling origins."""
    data = snapshot.take(store, job)
    live = [CHAMPION] if registry.versions.champion(job.name) else []
    backtest = problem_of(job).backtester(data.table, job, data.folds)
    with tempfile.TemporaryDirectory() as scratch:
        fitted = {e.name: e for e in fit_baselines(data.table, job, data.folds, Path(scratch), origin=Origin())}
        scored = []
        for name in names or [*live, *problem_of(job).baselines]:
            if name in fitted:
                bundles = fitted[name].bundles
            else:
                bundle = registry.cache.download(job.name, name)
                least = job.window.min_observed
                work = Path(scratch) / name
                bundles = (as_challenger(bundle, data.table, data.folds[0], work, min_observed=least),)
            scored.append(backtest(bundles, name).scored)
    tables = {by: records(metrics.table(scored, by)) for by in ("model", "series", "step", "window")}
    return {"name": job.name, "leaderboard": tables.pop("model"), **tables}
