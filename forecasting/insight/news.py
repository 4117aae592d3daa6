"""Unusual events in words, and the message about those that nobody was told of."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forecasting.columns import UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.notify.message import Message
from forecasting.notify.outbox import deliver
from forecasting.storage.store import Store

__all__ = ["rows_of", "tell"]

_LISTED: Final = 20  # events of a message
_WORDS: Final = {
    "spike": "an unusual reading",
    "level": "readings off the forecast for long",
    "flat": "the same reading over and over",
}


def tell(store: Store, job: Job, default: Path | None, *, at_once: int = 3) -> int:
    """Tell people of the events that they were not told of, all in one message; returns the number of events.

    A kill in between repeats the message under the same key, so that the outbox knows it.
    """
    found = store.anomalies.read(job.name)
    news = found[~found["told"].astype(bool)] if len(found) else found
    if news.empty or deliver(store, job, [_message(job, news)], default=default, at_once=at_once) is None:
        return 0
    store.anomalies.keep(job.name, news.assign(told=True))
    return len(news)


def rows_of(events: pd.DataFrame) -> list[dict[str, Any]]:
    """Events for a person: series, since when and until when, what, and how rare."""
    return [
        {
            "unique_id": event[UNIQUE_ID],
            "from": f"{event['start']:%Y-%m-%d %H:%M}",
            "to": f"{event['end']:%Y-%m-%d %H:%M}",
            "what": _WORDS[event["kind"]],
            "alarms": int(event["alarms"]),
            "reading": f"{event[Y]:.6g}",
            "expected": f"{event['low']:.6g} to {event['high']:.6g}",
            "one in": f"{1 / max(event['chance'], 1e-12):,.0f}",
        }
        for event in events.to_dict("records")
    ]


def _message(job: Job, news: pd.DataFrame) -> Message:
    rarest = news.sort_values("chance", kind="stable").head(_LISTED)
    lines = [
        f"{row['unique_id']}, {row['from']}: {row['what']}, {row['reading']} where {row['expected']} was expected;"
        f" one reading in {row['one in']} is that unusual"
        for row in rows_of(rarest)
    ]
    more = [f"and {len(news) - len(rarest)} more: gatecast inspect {job.name} --anomalies"] * (len(news) > len(rarest))
    names = sorted(f"{name}\0{start.isoformat()}" for name, start in zip(news[UNIQUE_ID], news["start"], strict=True))
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]
    series = news[UNIQUE_ID].nunique()
    title = f"{job.name}: {len(news)} unusual event{'s' * (len(news) > 1)} in {series} series"
    return Message(
        key=f"anomaly/{digest}",
        job=job.name,
        event="anomaly",
        title=title,
        text="\n".join([*lines, *more]),
        facts={"events": len(news), "series": series, "first": news["start"].min().isoformat()},
    )
