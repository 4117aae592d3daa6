"""The event of readings that were merged: what an ingestion starts, they start, too, though not every few seconds."""

from __future__ import annotations

import logging
import time
from collections import Counter

import httpx

from forecasting.runtime.events import OBSERVATIONS, send

__all__ = ["Announcer"]

log = logging.getLogger("gatecast.serve")


class Announcer:
    """Sends one event per job and `seconds`, with the rows that were merged since the last one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rows: Counter[str] = Counter()
        self._sent: dict[str, float] = {}

    def merged(self, job: str, rows: int) -> None:
        """Rows were merged, or none: then those that wait may be due. A server that fails is asked again later."""
        self._rows[job] += rows
        if self._rows[job] and time.monotonic() - self._sent.get(job, -self._seconds) >= self._seconds:
            self._send(job)

    def rest(self) -> None:
        """Send what waits, at the end of the service."""
        for job in [job for job, rows in self._rows.items() if rows]:
            self._send(job)

    def _send(self, job: str) -> None:
        self._sent[job] = time.monotonic()
        try:
            if send(OBSERVATIONS, job, {"merged": self._rows[job]}):
                log.info("flows told of readings", extra={"model": job, "rows": self._rows[job]})
            self._rows[job] = 0
        except httpx.HTTPError as error:
            log.error("flows not told of readings", extra={"model": job, "reason": type(error).__name__})
