"""The outbox of a job: messages are kept before they are sent, sent once to every sink, and tried a bounded number of
times."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from forecasting.config.job import Job
from forecasting.config.notify import SINKS, Notify, load_notify
from forecasting.errors import GatecastError
from forecasting.notify.message import Message
from forecasting.notify.senders import SENDERS, SendError
from forecasting.runtime.locks import notice_lock
from forecasting.storage.store import Store

__all__ = ["TRIES", "Posted", "deliver", "history", "sinks_of", "try_out"]

log = logging.getLogger("gatecast.notify")

TRIES: Final = 9  # of one message, in all
_AT_ONCE: Final = 3  # of these, in one delivery
_PAUSE: Final = 1.0  # seconds before the second one, twice as long before the next
_PATIENCE: Final = 60.0  # seconds that another delivery of the same job may take
_LATE: Final = pd.Timedelta(days=1)  # after which a message is no news


class Posted(NamedTuple):
    """One message at one sink: waiting, sent, or failed for good, and why it was not sent."""

    message: str
    sink: str
    event: str
    title: str
    content: str  # JSON of the message
    state: str
    tries: int
    why: str
    created: pd.Timestamp


def sinks_of(job: Job, default: Path | None) -> Notify:
    """Whom a job tells: what its YAML says, else what the file `default` says; raises ConfigError."""
    if job.notify is not None:
        return job.notify
    return Notify() if default is None else load_notify(default)


def deliver(
    store: Store, job: Job, messages: Sequence[Message], *, default: Path | None = None, at_once: int = _AT_ONCE
) -> list[Posted] | None:
    """Keep messages that are new, and send what waits, also of earlier deliveries; never raises.

    A message goes to every sink that wants its event, once: what was sent is known by its key. A sink that fails is
    tried `at_once` times, and again by the next delivery, up to `TRIES` times within a day. What is not sent is logged
    and stays in the table. None where even keeping them failed.
    """
    try:
        notify = sinks_of(job, default)
        if not any(getattr(notify, sink) for sink in SINKS):
            return []
        with notice_lock(store.workspace.locks, job.name, _PATIENCE):
            waiting = _keep(store, job.name, list(_addressed(notify, messages)))
            posted = list(_sent(notify, waiting, at_once))
            store.notices.keep(job.name, pd.DataFrame(posted, columns=list(Posted._fields)))
    except Exception as error:  # noqa: BLE001 - whatever it is, a message must not stop the work that it is about
        why = str(error) if isinstance(error, GatecastError) else type(error).__name__
        log.error("messages about %s not sent: %s", job.name, why)
        return None
    for row in posted:
        if row.state != "sent":
            log.error("message %s not sent to %s: %s", row.title, row.sink, row.why)
    return posted


def history(store: Store, job: str) -> list[Posted]:
    """All messages about a job, the newest first."""
    stored = store.notices.read(job)
    if stored.empty:
        return []
    rows = stored.sort_values("created", ascending=False, kind="stable")
    return [Posted._make(row) for row in rows[list(Posted._fields)].itertuples(index=False)]


def try_out(job: Job, default: Path | None) -> list[Posted]:
    """Send a test message to every sink, now and once, and say how it went; raises ConfigError."""
    notify, text = sinks_of(job, default), f"If you read this, messages about {job.name} reach you."
    now = pd.Timestamp(datetime.now(UTC)).tz_localize(None).as_unit("us")
    message = Message(key=f"test/{now.isoformat()}", job=job.name, event="test", title=f"{job.name}: a test", text=text)
    rows = [_row(message, sink, now) for sink in SINKS if getattr(notify, sink) is not None]
    return list(_sent(notify, rows, 1))


def _addressed(notify: Notify, messages: Sequence[Message]) -> Iterator[Posted]:
    now = pd.Timestamp(datetime.now(UTC)).tz_localize(None).as_unit("us")
    for message in messages:
        for sink in SINKS:
            wanted = getattr(notify, sink)
            if wanted is not None and message.event in wanted.about:
                yield _row(message, sink, now)


def _row(message: Message, sink: str, now: pd.Timestamp) -> Posted:
    content = message.model_dump_json()
    return Posted(message.key, sink, message.event, message.title, content, "waiting", 0, "", now)


def _keep(store: Store, job: str, rows: list[Posted]) -> list[Posted]:
    """Keep the rows that are new, and give all that wait: they outlive a process that is killed."""
    before = sorted(history(store, job), key=lambda row: row.created)
    known = {(row.message, row.sink) for row in before}
    new = {(row.message, row.sink): row for row in rows if (row.message, row.sink) not in known}
    store.notices.keep(job, pd.DataFrame([*new.values()], columns=list(Posted._fields)))
    return [*(row for row in before if row.state == "waiting"), *new.values()]


def _sent(notify: Notify, waiting: Sequence[Posted], at_once: int) -> Iterator[Posted]:
    """What became of each row; a sink that fails is left alone for the rest of a delivery."""
    now, failed = pd.Timestamp(datetime.now(UTC)).tz_localize(None), set[str]()
    for row in waiting:
        if now - row.created > _LATE or getattr(notify, row.sink, None) is None:
            yield _given_up(row, row.why or "nobody could be told for a day")
            continue
        if row.sink in failed:
            continue
        done = _tried(notify, row, min(at_once, TRIES - row.tries))
        if done.state != "sent":
            failed.add(row.sink)
        yield done


def _tried(notify: Notify, row: Posted, times: int) -> Posted:
    message = Message.model_validate_json(row.content)
    for attempt in range(times):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        try:
            SENDERS[row.sink](getattr(notify, row.sink), message)
        except SendError as error:
            row = row._replace(tries=row.tries + 1, why=str(error))
            if not error.again:
                return _given_up(row, row.why)
        except GatecastError as error:  # a variable that is not set, say
            row = row._replace(tries=row.tries + 1, why=str(error))
            break
        except Exception as error:  # noqa: BLE001 - a sink that is broken in any way leaves the others
            return _given_up(row._replace(tries=row.tries + 1), type(error).__name__)
        else:
            return row._replace(state="sent", tries=row.tries + 1, why="")
    return row if row.tries < TRIES else _given_up(row, row.why)


def _given_up(row: Posted, why: str) -> Posted:
    return row._replace(state="failed", why=why)
