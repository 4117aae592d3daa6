"""The live version of a job, with its records in the registry and the tables."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from forecasting.config.job import Job
from forecasting.monitor import findings as memory
from forecasting.monitor.horizons import Pace, pace_of
from forecasting.monitor.rules import Refusal
from forecasting.monitor.signals import REFERENCE, Answered
from forecasting.registry.registry import Registry
from forecasting.registry.versions import Version
from forecasting.series.calendar import season_of
from forecasting.series.clean import clean
from forecasting.series.folds import shift
from forecasting.storage.store import Store

__all__ = ["LiveModel", "Span", "readings", "span_of", "watched", "window_of"]


class Span(NamedTuple):
    """Where the readings ended that a version was fitted on, calibrated on, and judged by."""

    fit_until: pd.Timestamp
    calibrated_since: pd.Timestamp
    known_until: pd.Timestamp


class LiveModel(NamedTuple):
    """The live version, those with its weights, the last reading, and the last training that did not replace it."""

    store: Store
    job: Job
    live: Version
    kin: frozenset[int]  # versions with the same weights, the live one among them
    until: pd.Timestamp
    refusal: Refusal | None

    @property
    def pace(self) -> Pace:
        """How fast evidence comes."""
        return pace_of(self.job.series.freq, self.job.window.horizon)

    @property
    def latest(self) -> pd.Timestamp:
        """The stamp before the window."""
        return shift(self.until, -window_of(self.job), self.job.series.freq)

    @property
    def answered(self) -> Answered | None:
        """The last drift that the live version, or a challenger refused since, knew."""
        known = [span.known_until for span in (span_of(self.live),) if span]
        known += [self.refusal.until] if self.refusal else []
        return memory.answered(self.store, self.job.name, max(known)) if known else None

    @property
    def may_train(self) -> bool:
        """Whether the last training, requested or refused, was long enough ago."""
        requested = memory.asked(self.store, self.job.name, self.kin, self.until)
        last = [stamp for stamp in (requested, self.refusal and self.refusal.until) if stamp is not None]
        if not last:
            return True
        passed = len(pd.date_range(max(last), self.until, freq=self.job.series.freq)) - 1
        return passed >= (self.job.monitor.patience or window_of(self.job))


def watched(store: Store, registry: Registry, job: Job, live: Version, until: pd.Timestamp) -> LiveModel:
    """The live version and its records, with readings up to `until`."""
    versions = registry.versions.every(job.name)
    kin = frozenset({live.version, *(other.version for other in versions if other.weights == live.weights)})
    return LiveModel(store, job, live, kin, until, _refusal(store, job, versions, kin))


def window_of(job: Job) -> int:
    """The number of latest steps to test for drift, to renew intervals from, and to show."""
    return job.monitor.window or max(100, 2 * season_of(job.series), 4 * job.window.horizon)


def span_of(live: Version) -> Span | None:
    """The span that a version records; none for one registered before versions did."""
    if "known_until" not in live.notes:
        return None
    fit, known = (pd.Timestamp(live.notes[name]) for name in ("fit_until", "known_until"))
    return Span(fit, pd.Timestamp(live.notes.get("calibrated_since", pd.Timestamp.min)), known)


def readings(store: Store, job: Job, span: Span | None, context: int) -> pd.DataFrame:
    """The clean readings, back to the start of the drift reference plus one context of the live model."""
    since = None
    if span is not None:
        needed = min(span.fit_until, shift(span.known_until, -REFERENCE, job.series.freq))
        since = shift(needed, -context, job.series.freq)
    return clean(store.observations.read(job.name, since=since), job.series).table


def _refusal(store: Store, job: Job, versions: list[Version], kin: frozenset[int]) -> Refusal | None:
    """The last challenger that was refused since the live weights were registered; none without one."""
    refused = [one for one in versions if one.verdict == "refused" and one.version > min(kin)]
    span = span_of(refused[0]) if refused else None
    if span is None:
        return None
    drift = memory.answered(store, job.name, span.known_until, kin)
    return Refusal(refused[0].version, span.known_until, drift and drift.onset)
