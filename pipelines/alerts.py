"""Messages of flows to people: what the gate decided, what the monitor found, and runs that failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from forecasting.columns import CREATED, VERSION
from forecasting.config.job import Job
from forecasting.errors import GatecastError
from forecasting.insight import arrivals, news
from forecasting.lifecycle.home import open_home
from forecasting.monitor.findings import Findings
from forecasting.monitor.verdict import state_of
from forecasting.notify.message import Message
from forecasting.notify.outbox import deliver
from forecasting.report.outcome import Outcome, summary
from forecasting.storage.store import Store
from pipelines.tasks import step

__all__ = ["failing", "judged", "trained", "watched"]


@contextmanager
def failing(job: Job, flow: str) -> Iterator[None]:
    """Tell people of an error that ends a flow, the same one once a day, and let it go on."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, GatecastError)  # any other text may hold whatever a library had in its hands
        why = str(error) if known else f"{type(error).__name__}; the log of the run says where"
        day, digest = datetime.now(UTC).date(), hashlib.sha256(why.encode()).hexdigest()[:16]
        title = f"{job.name}: {flow} failed"
        facts = {"flow": flow, "error": type(error).__name__}
        _tell(
            job,
            [
                Message(
                    key=f"failed/{flow}/{day}/{digest}",
                    job=job.name,
                    event="failed",
                    title=title,
                    text=why,
                    facts=facts,
                )
            ],
        )
        raise


@step("judging the new readings")
def judged(job: Job) -> None:
    """Judge what came by the forecasts that were stored before, and tell people of each unusual event once."""
    home = open_home()
    arrivals.judge_arrivals(home.store, job)
    news.tell(home.store, job, home.notify)


def trained(job: Job, outcome: Outcome) -> Outcome:
    """Tell people what went live, and of a refusal that leaves them without a model that keeps its promise."""
    store = open_home().store
    went_live = outcome.promoted or outcome.fallback
    if not (went_live or outcome.champion is None or _breaks_promise(store, job.name)):
        return outcome
    event = "promoted" if went_live else "refused"
    said = f"{outcome.model} is live, version {outcome.champion}" if went_live else "a challenger was refused"
    _tell(
        job,
        [
            Message(
                key=f"{event}/{outcome.run_id}",
                job=job.name,
                event=event,
                title=f"{job.name}: {said}",
                text=summary(outcome),
                facts={"run_id": outcome.run_id, "version": outcome.version, "champion": outcome.champion},
            )
        ],
    )
    return outcome


def watched(job: Job, findings: Findings) -> None:
    """Tell people of rules that the check before did not find broken."""
    store = open_home().store
    before = _broken_before(store, findings)
    news = [rule for rule in findings.rules if rule["state"] == "broken" and rule["rule"] not in before]
    if not news:
        return
    names = [rule["rule"] for rule in news]
    _tell(
        job,
        [
            Message(
                key=f"monitor/{findings.version}/{findings.until.isoformat()}/{'+'.join(names)}",
                job=job.name,
                event="monitor",
                title=f"{job.name}: {findings.verdict} ({', '.join(names)})",
                text="\n".join(f"{rule['rule']}: {rule['sentence']}" for rule in news),
                facts={
                    "version": findings.version,
                    "until": findings.until.isoformat(),
                    "verdict": findings.verdict,
                    "action": findings.action,
                    "rules": names,
                },
            )
        ],
    )


def _tell(job: Job, messages: Sequence[Message]) -> None:
    home = open_home()
    deliver(home.store, job, messages, default=home.notify)


def _breaks_promise(store: Store, job: str) -> bool:
    """Whether the last check found the live error above what the backtest promised."""
    verdicts = store.verdicts.read(job)
    if verdicts.empty:
        return False
    rules = json.loads(verdicts.sort_values(CREATED)["rules"].iloc[-1])
    return any(rule["rule"] == "error" and state_of(rule) == "broken" for rule in rules)


def _broken_before(store: Store, findings: Findings) -> set[str]:
    """The rules that were broken in the verdict before this one, of the same version."""
    rows = store.verdicts.read(findings.name)
    mine = rows[rows[VERSION] == findings.version].sort_values(CREATED)
    this = (mine["until"] == findings.until) & (mine["verdict"] == findings.verdict)
    first = mine.loc[this, CREATED].min()
    before = mine[mine[CREATED] < first]
    rules = json.loads(before["rules"].iloc[-1]) if len(before) else []
    return {rule["rule"] for rule in rules if state_of(rule) == "broken"}
