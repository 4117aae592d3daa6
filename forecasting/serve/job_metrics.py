"""What the tables of a home say of its models, as metrics: live accuracy, coverage, verdicts, and the age of it all."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import pandas as pd
from prometheus_client import CollectorRegistry, Gauge

from forecasting.columns import CREATED, CUTOFF
from forecasting.errors import DataError
from forecasting.insight.anomalies import KINDS
from forecasting.monitor.verdict import VERDICTS, state_of
from forecasting.notify.outbox import history
from forecasting.storage.reading import reach
from forecasting.storage.store import Store

__all__ = ["JobMetrics"]

log = logging.getLogger("gatecast.serve")

_PAUSE: Final = 60.0  # seconds between two looks at the tables
_DAYS: Final = pd.Timedelta(days=7)  # of cutoffs that accuracy is measured over


class JobMetrics:
    """Gauges of every served model, renewed once a minute in a thread of their own; what cannot be read is absent."""

    def __init__(self, store: Store, registry: CollectorRegistry) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tables")
        self._task: asyncio.Task[None] | None = None

        def gauge(name: str, text: str, *more: str) -> Gauge:
            return Gauge(f"gatecast_{name}", text, ["model", *more], registry=registry)

        self._up = gauge("tables_up", "Whether the tables of a model could be read.")
        self._accuracy = {
            "mae": gauge("live_mae", "Mean absolute error of the forecasts of the last 7 days that have actuals."),
            "coverage": gauge("live_coverage", "Share of their actuals inside of the widest interval."),
            "count": gauge("live_forecasts", "The number of those forecasts."),
        }
        self._verdict = gauge("monitor_verdict", "1 for the last verdict of the monitor.", "verdict")
        self._kept = gauge("monitor_rule_kept", "Whether the last verdict found a rule kept, drift included.", "rule")
        self._judged = gauge(
            "monitor_rule_judged", "Whether there was enough to judge it by; else it is not kept.", "rule"
        )
        self._messages = gauge("messages", "Messages to people, by what became of them.", "sink", "state")
        self._anomalies = gauge("anomalies", "Unusual events that began in the last 7 days of readings.", "kind")
        self._ages = {
            "data": gauge("data_age_seconds", "Time since the stamp of the last reading."),
            "ingestion": gauge("ingestion_age_seconds", "Time since readings last came."),
            "forecast": gauge("forecast_age_seconds", "Time since the last cutoff of a stored forecast."),
            "monitor": gauge("monitor_age_seconds", "Time since the monitor last came to a verdict."),
            "anomaly": gauge("anomaly_age_seconds", "Time since an unusual event was last found."),
        }

    def start(self, names: Callable[[], Iterable[str]]) -> None:
        """Begin to look at the tables of these models."""
        self._task = asyncio.create_task(self._watch(names))

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _watch(self, names: Callable[[], Iterable[str]]) -> None:
        while True:
            for name in list(names()):
                await asyncio.get_running_loop().run_in_executor(self._thread, self.look, name)
            await asyncio.sleep(_PAUSE)

    def look(self, name: str) -> None:
        """Renew the gauges of one model; it blocks. A failure is logged and leaves the others."""
        try:
            self._look(name)
            self._up.labels(name).set(1)
        except Exception as error:  # noqa: BLE001 - whatever is in a table, the others are looked at
            self._up.labels(name).set(0)
            log.warning("tables not read", extra={"model": name, "error": type(error).__name__})

    def _look(self, name: str) -> None:
        now = pd.Timestamp(datetime.now(UTC)).tz_localize(None)
        verdicts = self._store.verdicts.read(name)
        unusual, stamps = self._store.anomalies.read(name), self._stamps(name, verdicts)
        if len(unusual):
            stamps["anomaly"] = unusual[CREATED].max()
            self._show_anomalies(name, unusual, stamps["data"])
        for kind, stamp in stamps.items():
            if stamp is not None:
                self._ages[kind].labels(name).set((now - stamp).total_seconds())
        for (sink, state), count in Counter((one.sink, one.state) for one in history(self._store, name)).items():
            self._messages.labels(name, sink, state).set(count)
        scores = self._store.scores.read(name)
        if len(scores):
            self._show_accuracy(name, scores)
        if len(verdicts):
            self._show_verdict(name, verdicts.sort_values(CREATED).iloc[-1])

    def _stamps(self, name: str, verdicts: pd.DataFrame) -> dict[str, pd.Timestamp | None]:
        """When each of the ages begins, UTC; none where there is nothing yet."""
        store, found = self._store, dict.fromkeys(self._ages)
        try:
            span = reach(store.observations.latest(name))
            found["data"] = span[1] if span else None
            found["ingestion"] = pd.Timestamp(store.observations.last_write(name)).tz_convert(None)
            found["forecast"] = store.forecasts.last_cutoff(name)
        except DataError:  # nothing is stored of it, or nothing was forecast
            pass
        found["monitor"] = verdicts[CREATED].max() if len(verdicts) else None
        return found

    def _show_accuracy(self, name: str, scores: pd.DataFrame) -> None:
        recent = scores[scores[CUTOFF] >= scores[CUTOFF].max() - _DAYS]
        sums = recent[["absolute", "inside", "intervals", "count"]].sum()
        self._accuracy["count"].labels(name).set(sums["count"])
        if sums["count"]:
            self._accuracy["mae"].labels(name).set(sums["absolute"] / sums["count"])
        if sums["intervals"]:
            self._accuracy["coverage"].labels(name).set(sums["inside"] / sums["intervals"])

    def _show_anomalies(self, name: str, unusual: pd.DataFrame, last: pd.Timestamp | None) -> None:
        recent = unusual[unusual["start"] >= last - _DAYS] if last is not None else unusual
        for kind in KINDS:
            self._anomalies.labels(name, kind).set(int((recent["kind"] == kind).sum()))

    def _show_verdict(self, name: str, last: pd.Series) -> None:
        for verdict in {*VERDICTS, last["verdict"]}:
            self._verdict.labels(name, verdict).set(verdict == last["verdict"])
        for rule in json.loads(last["rules"]):
            state = state_of(rule)
            self._kept.labels(name, rule["rule"]).set(state == "kept")
            self._judged.labels(name, rule["rule"]).set(state != "not judged")
