"""The outcome of a run: one object for a person, a program, and the archive."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Outcome", "summary"]


class Outcome(BaseModel):
    """The result of a run: the same object for a person, a program, and the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    run_id: str
    version: int
    model: str | None  # that went live by this run
    promoted: bool  # did the network go live
    fallback: bool  # did a baseline go live in its place
    champion: int | None  # the version that is live now
    verdict: list[dict[str, Any]]  # rule, figure, bound, passed, sentence
    leaderboard: list[dict[str, Any]]  # model and its metrics
    members: list[dict[str, Any]] = []  # of an ensemble: model, title, weight, context
    challengers: list[dict[str, Any]] = []  # first weights, cost and gain of each; the last one is the judged
    final_fit: list[dict[str, Any]] = []  # the rules of the last fit on all readings; none if it was not configured
    forecasts: dict[str, Any]  # rows, and table, model, version, series without any; or the reason for none
    series: list[dict[str, Any]] = []  # unique_id, forecast, reason: without a forecast, or with a doubtful one
    notes: list[str] = []  # what would otherwise go unsaid: series left out, labels that changed, borrowed scales
    next_steps: list[str] = []  # after a refusal: changes of the job to try
    report: str


def summary(outcome: Outcome) -> str:
    """The outcome in one sentence."""
    challenger = outcome.leaderboard[0]["model"] if outcome.leaderboard else "the network"
    reasons = [rule["sentence"] for rule in outcome.verdict if not rule["passed"]]
    if outcome.promoted:
        return f"{outcome.model} passed every rule and is the champion, version {outcome.champion}.{_finally(outcome)}"
    refused = f"{challenger} was refused: {'; '.join(reasons)}."
    if outcome.fallback:
        return f"{refused} The best baseline, {outcome.model}, serves in its place as version {outcome.champion}."
    if outcome.champion is None:
        return f"{refused} Nothing is live, since there is no champion and gate.fallback is none."
    return f"{refused} Version {outcome.champion} stays the champion."


def _finally(outcome: Outcome) -> str:
    failed = [rule["sentence"] for rule in outcome.final_fit if not rule["passed"]]
    if failed:
        return f" It serves as judged, since the last fit on all readings was refused: {'; '.join(failed)}."
    if outcome.final_fit and outcome.champion != outcome.version:
        return f" It was fitted once more on all readings; the judged twin is version {outcome.version}."
    return ""
