"""What MLflow shows of a run: its metrics as numbers and curves, and a description that says how it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from forecasting.columns import MODEL, STEP
from forecasting.evaluation.judging import Judgment
from forecasting.report.outcome import Outcome, summary
from forecasting.runtime.templates import number

__all__ = ["described", "logged"]

Logged = dict[str, float | Sequence[float]]

_SHOWN = ("mae", "coverage")  # metrics of the description, behind the primary one
_CURVES = ("loss", "val_loss", "gradient_norm", "clipped")
_BY_STEP = "by_step/"  # a slash makes a group of charts


def logged(judgment: Judgment, curves: pd.DataFrame, primary: str) -> Logged:
    """The challenger's metrics by name, the primary one of all others as `model.metric`, and curves.

    Curves are the primary metric and the coverage by step ahead, and losses and gradients of the last fold by epoch.
    """
    challenger = judgment.backtests[0].name
    metrics: Logged = {
        str(name) if model == challenger else f"{model}.{name}": float(value)
        for model, row in judgment.leaderboard.set_index(MODEL).iterrows()
        for name, value in row.items()
        if math.isfinite(value) and (model == challenger or name == primary)
    }
    metrics |= _by_step(judgment, challenger, primary)
    last = curves[curves["fold"] == curves["fold"].max()]  # of a search, there is none
    found = {name: last[name].dropna().tolist() for name in _CURVES if name in last}
    return metrics | {name: values for name, values in found.items() if values}


def _by_step(judgment: Judgment, challenger: str, primary: str) -> Logged:
    found: Logged = {}
    for model, rows in judgment.table("step").sort_values(STEP).groupby(MODEL):
        for name in [primary, *(["coverage"] if model == challenger and "coverage" in rows else [])]:
            if rows[name].notna().all():
                found[f"{_BY_STEP}{name}" if model == challenger else f"{_BY_STEP}{model}.{name}"] = rows[name].tolist()
    return found


def described(outcome: Outcome, primary: str) -> str:
    """The verdict, the leaderboard, what to try next, and where the report lies, in Markdown."""
    names = [name for name in (primary, *_SHOWN) if any(name in row for row in outcome.leaderboard)]
    head = ["| model | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    rows = [
        f"| {row['model']} | " + " | ".join(number(row.get(name)) for name in names) + " |"
        for row in outcome.leaderboard
    ]
    parts = [f"**{'Promoted' if outcome.promoted else 'Refused'}.** {summary(outcome)}", "\n".join([*head, *rows])]
    if outcome.next_steps:
        parts.append("What to try next:\n\n" + "\n".join(f"1. {step}" for step in outcome.next_steps))
    parts.append(f"Report: `report.html` among the artifacts of this run, and `{outcome.report}`.")
    return "\n\n".join(parts)
