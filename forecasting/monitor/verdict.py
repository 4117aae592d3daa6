"""From rules to a verdict on the live model, and to what is to be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Final, Literal

import pandas as pd

__all__ = ["REMEDIES", "VERDICTS", "Action", "LiveRule", "State", "Verdict", "action_of", "state_of", "verdict_of"]

State = Literal["kept", "broken", "not judged"]
Action = Literal["none", "recalibrate", "retrain"]
Verdict = Literal["fine", "not judged", "recalibrate", "retrain", "alarm"]

VERDICTS: Final[tuple[Verdict, ...]] = ("fine", "not judged", "recalibrate", "retrain", "alarm")  # by severity
REMEDIES: Final[dict[str, Verdict]] = {
    "arriving": "alarm",
    "finite": "alarm",
    "error": "retrain",
    "seasonal_naive": "retrain",
    "inputs_mean_shift": "retrain",
    "inputs_shape": "retrain",
    "residuals_mean_shift": "retrain",
    "residuals_shape": "recalibrate",
    "coverage": "recalibrate",
    "retrained": "alarm",
}


@dataclass(frozen=True)
class LiveRule:
    """One rule for the live model: its figure, its bound, and both in a sentence."""

    rule: str
    state: State
    figure: float  # NaN if there is nothing to measure
    bound: float
    sentence: str
    since: pd.Timestamp | None = None  # when what broke it began, or was certain

    def plain(self) -> dict[str, Any]:
        """The rule with its remedy, for JSON: a figure or bound that is not finite is null."""
        content = asdict(self) | {"since": self.since and self.since.isoformat(), "remedy": REMEDIES[self.rule]}
        return content | {key: content[key] if isfinite(content[key]) else None for key in ("figure", "bound")}


def state_of(rule: dict[str, Any]) -> State:
    """The state of a rule in JSON; verdicts of earlier releases only said whether it was kept."""
    state: State = rule["state"] if "state" in rule else "kept" if rule["passed"] else "broken"
    return state


def verdict_of(rules: Sequence[LiveRule]) -> Verdict:
    """The strongest remedy of a broken rule; fine only if every rule was judged and kept."""
    found: list[Verdict] = [REMEDIES[rule.rule] for rule in rules if rule.state == "broken"]
    found += ["not judged" for rule in rules if rule.state == "not judged"]
    return max(found, key=VERDICTS.index, default="fine")


def action_of(rules: Sequence[LiveRule], *, may_train: bool) -> Action:
    """What is to be done: nothing while a person is asked for, except for what a refused training leaves undone."""
    broken = {rule.rule for rule in rules if rule.state == "broken"}
    remedies = {REMEDIES[name] for name in broken - {"retrained"}}
    if "alarm" in remedies:
        return "none"
    if "retrain" in remedies | ({"retrain"} if "retrained" in broken else set()) and may_train:
        return "retrain"
    return "recalibrate" if "recalibrate" in remedies else "none"
