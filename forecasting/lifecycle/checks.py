"""The checks of `gatecast check` and `gatecast backtest`: the source, leaks, and standings."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.columns import MODEL, records
from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import find_origins
from forecasting.evaluation.external import backtest_file
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.judging import CHAMPION, as_challenger, fit_baselines, noted
from forecasting.evaluation.problem import problem_of
from forecasting.evaluation.rivals import RIVALS, backtest_rivals
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.dataset import dataset
from forecasting.series.validate import validate
from forecasting.storage import snapshot
from forecasting.storage.snapshot import Snapshot
from forecasting.storage.store import Store

__all__ = ["CheckResult", "leakage", "source", "standings"]

_OF_QUANTILES: Final = ("wql", "crps")


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
    table, _, folds, job, _ = dataset(raw, job)
    first = folds[:1]
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


def standings(
    store: Store, registry: Registry, job: Job, names: Sequence[str], external: Sequence[Path] = ()
) -> dict[str, Any]:
    """Backtest the named models on the job's rolling origins, and the forecasts of the `external` files.

    By default these are the champion, all baselines, and the rivals of the job.
    """
    data = snapshot.take(store, job)
    job = data.job
    live = [CHAMPION] if registry.versions.champion(job.name) else []
    shown = names or [*live, *problem_of(job).baselines, *job.backtest.rivals]
    backtests = _own(registry, job, data, [name for name in shown if name not in RIVALS])
    backtests += backtest_rivals([name for name in shown if name in RIVALS], data.table, job, data.folds)
    backtests += _external(external, job, data)
    _refuse_twins(backtests)
    scored = [one.scored for one in backtests]
    tables = {by: _comparable(metrics.table(scored, by), backtests) for by in ("model", "series", "step", "window")}
    leaderboard = records(noted(tables.pop("model"), backtests))
    return {"name": job.name, "leaderboard": leaderboard, **{by: records(table) for by, table in tables.items()}}


def _own(registry: Registry, job: Job, data: Snapshot, names: Sequence[str]) -> list[Backtested]:
    """The backtests of baselines and of registered models."""
    backtest = problem_of(job).backtester(data.table, job, data.folds)
    with tempfile.TemporaryDirectory() as scratch:
        fitted = {e.name: e for e in fit_baselines(data.table, job, data.folds, Path(scratch), origin=Origin())}
        found = []
        for name in names:
            if name in fitted:
                bundles = fitted[name].bundles
            else:
                bundle = registry.cache.download(job.name, name)
                work = Path(scratch) / name
                bundles = (as_challenger(bundle, data.table, job, data.folds[0], work),)
            found.append(backtest(bundles, name))
    return found


def _external(paths: Sequence[Path], job: Job, data: Snapshot) -> list[Backtested]:
    if paths and job.symbolic:
        raise ConfigError(f"{job.name} forecasts symbols; forecasts of a file are numbers")
    origins = find_origins(data.table, job, data.folds) if paths else None
    return [one for path in paths if origins is not None for one in backtest_file(path, origins, job)]


def _refuse_twins(backtests: Sequence[Backtested]) -> None:
    names = [one.name for one in backtests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{', '.join(twice)} would stand on the leaderboard twice; rename the models of the file")


def _comparable(table: pd.DataFrame, backtests: Sequence[Backtested]) -> pd.DataFrame:
    """Metrics of quantiles are left out for models that give other quantiles than the first one."""
    other = {one.name for one in backtests if one.scored.quantiles != backtests[0].scored.quantiles}
    return table.assign(**{name: table[name].mask(table[MODEL].isin(other)) for name in _OF_QUANTILES if name in table})
