"""The cheap repair: the live model as it is, with intervals made of its latest residuals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.assemble import recalibrate
from forecasting.config.job import Job
from forecasting.config.operation import MIN_RESIDUALS
from forecasting.errors import DataError
from forecasting.monitor.findings import Findings, acted
from forecasting.monitor.watched import readings, span_of, window_of
from forecasting.registry.aliases import Cause
from forecasting.registry.registry import Registry
from forecasting.series.folds import shift
from forecasting.storage.store import Store

__all__ = ["renew_intervals"]


def renew_intervals(store: Store, registry: Registry, job: Job, findings: Findings, *, work: Path) -> int:
    """Recalibrate the champion on the judged readings, register and promote the result; returns the live version.

    The weights stay, so the gate's verdict on them stands; the old champion becomes @previous. Does nothing if another
    version has gone live since the check, or if this one has too few forecasts with actuals. Repeated after a kill, it
    ends as it would have ended.
    """
    until = pd.Timestamp(findings.until)
    with registry.aliases.lock(job.name):
        live = registry.versions.get(job.name, "champion")
        span = span_of(live)
        if live.version != findings.version:
            acted(store, findings)
            return live.version
        if span is None:
            raise DataError(
                f"version {live.version} of {job.name} does not record where its readings ended; train again"
            )
        first = shift(until, -window_of(job) - job.window.horizon, job.series.freq)
        since = max(first, span.fit_until)
        if shift(since, job.window.horizon + MIN_RESIDUALS, job.series.freq) > until:
            return live.version  # too few residuals: it stays due until there are more
        bundle = open_bundle(registry.cache.download(job.name, live.version))
        table = readings(store, job, span, bundle.spec.context)
        folder = work / f"{live.version}-{until:%Y%m%dT%H%M%S}"
        made = recalibrate(bundle, table, since, folder, min_observed=job.window.min_observed)
        notes = {
            "calibrated_since": since.isoformat(),
            "known_until": until.isoformat(),
            "why": findings.summary[:4000],
        }
        version = registry.versions.register(
            job.name, live.run_id, made, verdict="recalibrated", metrics=live.metrics, notes=live.notes | notes
        )
        registry.aliases.promote(job.name, version, cause=Cause(f"renewed intervals: {findings.summary}"))
        acted(store, findings)
    return version
