"""The verdict on a live model, and the store of verdicts: each is kept once and acted on once."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasting.columns import CREATED, VERSION
from forecasting.monitor.signals import Answered
from forecasting.monitor.verdict import Action, Verdict
from forecasting.storage.store import Store

__all__ = ["Findings", "acted", "answered", "asked", "keep"]


class Findings(BaseModel):
    """The result of a check: the same object for a person, a program, and an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    model: str
    until: datetime  # the last reading
    verdict: Verdict
    action: Action = "none"  # what is to be done about it, by the loop itself
    summary: str
    due: bool = True  # whether that, or to call a person, is still to be done
    rules: list[dict[str, Any]]  # rule, remedy, state (kept, broken, not judged), figure, bound, since, sentence
    scores: list[dict[str, Any]]  # metric, promised, live
    steps: list[dict[str, Any]]  # the live metrics of each step ahead
    worst: list[dict[str, Any]]  # the series with the largest errors for their size
    unscored: list[str] = []  # the stored alternatives of what is known ahead


def keep(store: Store, findings: Findings, onset: pd.Timestamp | None) -> Findings:
    """Keep a verdict, once per version, last reading, and verdict; it is due until it was acted on."""
    mine = _same(store, findings)
    if mine.empty:
        row = {
            VERSION: findings.version,
            "until": pd.Timestamp(findings.until).as_unit("us"),
            "verdict": findings.verdict,
            "action": findings.action,
            "summary": findings.summary,
            "rules": json.dumps(findings.rules),
            "onset": "" if onset is None else onset.isoformat(),  # of the drift, if any
            CREATED: pd.Timestamp(datetime.now(UTC)).tz_localize(None).as_unit("us"),
            "acted": "",  # when
        }
        store.verdicts.keep(findings.name, pd.DataFrame([row]))
    wanted = findings.verdict == "alarm" or findings.action != "none"
    done = not mine.empty and mine["acted"].iloc[0] != ""
    return findings.model_copy(update={"due": wanted and not done})


def acted(store: Store, findings: Findings) -> None:
    """Mark this verdict as acted on, so that it is not due again."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.verdicts.keep(findings.name, _same(store, findings).assign(acted=now))


def asked(store: Store, job: str, versions: Collection[int], until: pd.Timestamp) -> pd.Timestamp | None:
    """The last reading, before `until`, at which a training was requested for one of these versions; none: never."""
    rows = store.verdicts.read(job)
    if rows.empty:
        return None
    mine = rows[(_actions(rows) == "retrain") & (rows["acted"] != "") & rows[VERSION].isin(versions)]
    before = mine["until"][mine["until"] < until]
    return before.max() if len(before) else None


def answered(
    store: Store, job: str, known_until: pd.Timestamp, versions: Collection[int] | None = None
) -> Answered | None:
    """The last drift, of any or of these versions, that a model judged until `known_until` knows; none without one."""
    rows = store.verdicts.read(job)
    if rows.empty:
        return None
    found = rows["verdict"].isin(["retrain", "alarm"]) & (rows["onset"] != "") & (rows["until"] <= known_until)
    mine = rows[found if versions is None else found & rows[VERSION].isin(versions)]
    return Answered(pd.Timestamp(mine["onset"].max()), known_until) if len(mine) else None


def _actions(rows: pd.DataFrame) -> pd.Series:
    """What each verdict asked for; older rows do not say it apart."""
    return rows["action"].fillna(rows["verdict"]) if "action" in rows else rows["verdict"]


def _same(store: Store, findings: Findings) -> pd.DataFrame:
    rows = store.verdicts.read(findings.name)
    if rows.empty:
        return rows
    same = (rows[VERSION] == findings.version) & (rows["until"] == findings.until)
    return rows[same & (rows["verdict"] == findings.verdict)]
