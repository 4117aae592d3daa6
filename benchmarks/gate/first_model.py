"""The first model of a job: decisions by the average of the backtest, and by a confidence bound."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.gate.challengers import JOB, make_world, perturbed
from benchmarks.gate.siege import hidden_truth, true_loss
from forecasting.bundle.artifact import Origin
from forecasting.evaluation.bootstrap import better
from forecasting.evaluation.gate import best_baseline
from forecasting.evaluation.judging import Candidate, Judgment, fit_baselines, judge_challenger

__all__ = ["first_models", "summary_of_first"]

CHALLENGERS: Final = 20  # of each world
NOISE: Final = (0.2, 0.9)  # from clearly better than the baselines to clearly worse


def first_models(place: Path, number: int) -> list[dict[str, Any]]:
    """Challengers of one world without a champion: the true worth of each beside the best baseline, and both
    decisions."""
    world = make_world(number)
    rivals = fit_baselines(world.known, JOB, world.folds, place / "baselines", origin=Origin())
    bundles = {rival.name: rival.bundles[0] for rival in rivals}
    truth, draw, rows = hidden_truth(world), np.random.default_rng(number), []
    for index in range(CHALLENGERS):
        bundle = perturbed(
            world, place / f"first-{index}", noise=float(draw.uniform(*NOISE)), seed=1000 * number + index
        )
        judgment = judge_challenger(world.known, JOB, world.folds, Candidate("challenger", (bundle,)), rivals, None)
        instead = best_baseline([judgment.of(name) for name in JOB.gate.baselines], JOB.gate.primary).name
        effect = 1 - true_loss(truth, bundle) / true_loss(truth, bundles[instead])
        rows.append({"effect": effect, "average": judgment.verdict.passed, "confident": _confident(judgment)})
        print(rows[-1], file=sys.stderr)
    return rows


def _confident(judgment: Judgment) -> bool:
    """Whether the challenger would have passed if it had to beat the baselines for sure."""
    others = (rule for rule in judgment.verdict.rules if not rule.rule.startswith("beats_"))
    challenger = judgment.of("challenger").scored
    lows = [
        better(
            challenger,
            judgment.of(name).scored,
            metric=JOB.gate.primary,
            confidence=JOB.gate.confidence,
            step=JOB.backtest.step,
        ).low
        for name in JOB.gate.baselines
    ]
    return min(lows) > 0 and all(rule.passed for rule in others)


def summary_of_first(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The share of right decisions of each rule, and the average loss from its wrong ones."""
    table = pd.DataFrame(rows)
    found: dict[str, Any] = {"decisions": len(table), "truly_better": int((table["effect"] > 0).sum())}
    for way in ("average", "confident"):
        right = table[way] == (table["effect"] > 0)
        found[f"right_by_{way}"] = float(right.mean())
        found[f"lost_by_{way}"] = float(table["effect"].abs().where(~right, 0.0).mean())
    return found
