"""Readings that were sent are judged after each merge, by the forecasts that were stored before."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Final

from forecasting.config.job import Job
from forecasting.insight.arrivals import judge_arrivals
from forecasting.insight.news import tell
from forecasting.serve.logs import where
from forecasting.storage.store import Store

__all__ = ["Judge"]

log = logging.getLogger("gatecast.serve")

_REST: Final = 20  # times as long as readings were judged, none are


class Judge:
    """Judges what came for one job, in at most a twentieth of the time, so that merges do not wait for it."""

    def __init__(self, job: Job, store: Store, default: Path | None) -> None:
        self._job, self._store, self._default = job, store, default
        self._unjudged, self._rested = True, 0.0  # what was merged when the service ended is judged at its start

    def judge(self, merged: int) -> int:
        """Judge what was merged, now or when it has rested, and tell people; returns the number of new events.

        A failure is logged and keeps nobody from merging: it is judged the next time.
        """
        self._unjudged = self._unjudged or merged > 0
        began = time.monotonic()
        if not self._unjudged or began < self._rested:
            return 0
        try:
            judge_arrivals(self._store, self._job)
            told = tell(self._store, self._job, self._default, at_once=1)
        except Exception as error:  # noqa: BLE001 - the readings are stored, whatever is wrong with judging them
            log.error("readings not judged", extra={"model": self._job.name, **where(error)})
            return 0
        if told:
            log.info("unusual readings", extra={"model": self._job.name, "events": told})
        self._unjudged, now = False, time.monotonic()
        self._rested = now + _REST * (now - began)
        return told
