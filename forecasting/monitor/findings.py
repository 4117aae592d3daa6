"""The verdict on a live model, and the store of verdicts: each is kept once and acted on once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasting.columns import CREATED, VERSION
from forecasting.evaluation.gate import Rule
from forecasting.monitor.rules import REMEDIES, Remedy
from forecasting.storage.store import Store

__all__ = ["Findings", "acted", "answered", "keep", "plain", "tried"]


class Findings(BaseModel):
    """The result of a check: the same object for a person, a program, and an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    model: str
    until: datetime  # the last reading
    verdict: Remedy
    summary: str
    due: bool = True  # whether it needs action; false if it is fine, or was acted on before
    rules: list[dict[str, Any]]  # rule, remedy, figure, bound, passed, sentence
    scores: list[dict[str, Any]]  # metric, promised, live
    steps: list[dict[str, Any]]  # the live metrics of each step ahead
    worst: list[dict[str, Any]]  # the series with the largest errors for their size


def plain(rule: Rule) -> dict[str, Any]:
    """A rule with its remedy, for JSON."""
    return rule.plain() | {"remedy": REMEDIES[rule.rule]}


def keep(store: Store, findings: Findings, onset: pd.Timestamp | None) -> Findings:
    """Keep a verdict, once per version, last reading, and verdict; it is due until it was acted on."""
    mine = _same(store, findings)
    if mine.empty:
        row = {
            VERSION: findings.version,
            "until": pd.Timestamp(findings.until).as_unit("us"),
            "verdict": findings.verdict,
            "summary": findings.summary,
            "rules": json.dumps(findings.rules),
            "onset": "" if onset is None else onset.isoformat(),  # of the drift, if any
            CREATED: pd.Timestamp(datetime.now(UTC)).tz_localize(None).as_unit("us"),
            "acted": "",  # when
        }
        store.verdicts.keep(findings.name, pd.DataFrame([row]))
    done = findings.verdict == "fine" or (not mine.empty and mine["acted"].iloc[0] != "")
    return findings.model_copy(update={"due": not done})


def acted(store: Store, findings: Findings) -> None:
    """Mark this verdict as acted on, so that it is not due again."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.verdicts.keep(findings.name, _same(store, findings).assign(acted=now))


def tried(store: Store, job: str, version: int, until: pd.Timestamp) -> pd.Timestamp | None:
    """The last reading, before `until`, of a retraining that did not replace this version; none: no such retraining."""
    before = _retrained(store, job)
    mine = before[(before[VERSION] == version) & (before["until"] < until)] if len(before) else before
    return mine["until"].max() if len(mine) else None


def answered(store: Store, job: str, known_until: pd.Timestamp) -> pd.Timestamp | None:
    """The onset of the last drift that a model judged until `known_until` knows: earlier readings are no reference."""
    before = _retrained(store, job)
    mine = before[(before["onset"] != "") & (before["until"] <= known_until)] if len(before) else before
    return pd.Timestamp(mine["onset"].max()) if len(mine) else None


def _retrained(store: Store, job: str) -> pd.DataFrame:
    rows = store.verdicts.read(job)
    return rows[(rows["verdict"] == "retrain") & (rows["acted"] != "")] if len(rows) else rows


def _same(store: Store, findings: Findings) -> pd.DataFrame:
    rows = store.verdicts.read(findings.name)
    if rows.empty:
        return rows
    same = (rows[VERSION] == findings.version) & (rows["until"] == findings.until)
    return rows[same & (rows["verdict"] == findings.verdict)]
