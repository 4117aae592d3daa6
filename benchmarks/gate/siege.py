"""Retrains of one world, one after the other, and what came of each kind of challenger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.gate.challengers import JOB, PLANTED, World, make_world, perturbed
from forecasting.bundle.artifact import Origin
from forecasting.columns import DS
from forecasting.errors import GatecastError
from forecasting.evaluation.judging import Candidate, fit_baselines
from forecasting.evaluation.metrics import METRICS, value
from forecasting.evaluation.problem import problem_of
from forecasting.lifecycle.promotion import Judging, decide
from forecasting.registry.registry import Registry
from forecasting.series.folds import Fold

__all__ = ["WORLDS", "hidden_truth", "siege", "summary", "true_loss"]

WORLDS, OTHERS = 10, 100
CHAMPION_NOISE = 0.35
NOISE = (0.0, 0.8)  # of the challengers that are not planted
EFFECTS = (-np.inf, -0.02, 0.0, 0.01, 0.02, 0.05, np.inf)  # true improvements over the champion, the edges of the bins


class Arena(NamedTuple):
    """A world with its champion live in the registry."""

    number: int
    world: World
    registry: Registry
    rivals: tuple[Candidate, ...]
    champion: Path
    truth: Any  # a bundle and its name → its backtest on the hidden hours


def siege(place: Path, number: int) -> list[dict[str, Any]]:
    """All retrains of one world, one row each."""
    arena = _open(place, number)
    live = true_loss(arena.truth, arena.champion)
    kinds = [kind for kind, (count, _) in PLANTED.items() for _ in range(count)][number::WORLDS]
    draw = np.random.default_rng(number)
    rows = []
    for index in range(len(kinds) + OTHERS // WORLDS):
        bundle, seed = place / f"challenger-{index}", 1000 * number + index
        kind = kinds[index] if index < len(kinds) else "other"
        if index < len(kinds):
            PLANTED[kind][1](arena.world, bundle, seed)
        else:
            perturbed(arena.world, bundle, noise=float(draw.uniform(*NOISE)), seed=seed)
        promoted, reasons = _retrain(arena, index, bundle)
        rows.append(
            {"kind": kind, "effect": 1 - true_loss(arena.truth, bundle) / live, "promoted": promoted, "rules": reasons}
        )
        print(rows[-1], file=sys.stderr)
    return rows


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """What came of each kind, and of the others by what they are truly worth."""
    others = rows["kind"] == "other"
    bins = pd.cut(rows["effect"], list(EFFECTS)).astype(str)
    rows = rows.assign(what=rows["kind"].where(~others, "true improvement in " + bins))
    worse, better = others & (rows["effect"] <= 0), others & (rows["effect"] > 0)
    wrong = rows.loc[worse & rows["promoted"], "effect"]
    sure = others & (rows["effect"] > 0.02)
    table = rows.groupby("what").agg(
        retrains=("promoted", "size"),
        promoted=("promoted", "sum"),
        mean_effect=("effect", "mean"),
        rules=("rules", lambda told: ", ".join(sorted({rule for rules in told for rule in rules}))),
    )
    return {
        "table": table.reset_index(),
        "retrains": len(rows),
        "planted": int((~others).sum()),
        "planted_promoted": int(rows.loc[~others, "promoted"].sum()),
        "truly_worse": int(worse.sum()),
        "worse_promoted": len(wrong),
        "worst_promoted": float(wrong.min()) if len(wrong) else 0.0,
        "truly_better": int(better.sum()),
        "better_refused": int((~rows.loc[better, "promoted"]).sum()),
        "better_refused_share": _share(rows, better),
        "better_by_2_percent_refused_share": _share(rows, sure),
    }


def _share(rows: pd.DataFrame, chosen: pd.Series) -> float:
    return float(1 - rows.loc[chosen, "promoted"].mean()) if chosen.any() else 0.0


def _open(place: Path, number: int) -> Arena:
    world = make_world(number)
    rivals = fit_baselines(world.known, JOB, world.folds, place / "baselines", origin=Origin())
    registry = Registry(f"sqlite:///{place / 'mlflow.db'}", place)
    champion = perturbed(world, place / "champion", noise=CHAMPION_NOISE, seed=number)
    run = registry.runs.start(JOB.name, "champion", {})
    version = registry.versions.register(JOB.name, run.run_id, champion, verdict="passed", metrics={})
    registry.aliases.promote(JOB.name, version)
    return Arena(number, world, registry, rivals, champion, hidden_truth(world))


def hidden_truth(world: World) -> Any:
    """Scores a bundle on the hours that no run ever sees."""
    last = world.folds[0].cutoffs[-1] + pd.Timedelta(hours=JOB.window.horizon)
    hidden = pd.date_range(last, world.table[DS].max() - pd.Timedelta(hours=JOB.window.horizon), freq="7h")
    later = Fold(world.folds[0].fit_until, world.folds[0].seen_until, hidden)
    return problem_of(JOB).backtester(world.table, JOB, [later])


def _retrain(arena: Arena, index: int, bundle: Path) -> tuple[bool, list[str]]:
    """Judge and promote as a run does; whether it went live, and which rules it failed. The champion is put back."""
    run = arena.registry.runs.start(JOB.name, f"run-{index}", {})
    candidates = (Candidate("challenger", (bundle,)), *arena.rivals)
    work = bundle.with_name(f"work-{index}")
    judged = Judging(JOB, run.run_id, arena.world.known, arena.world.folds, candidates, work)
    before = arena.registry.versions.champion(JOB.name)
    try:
        decision = decide(arena.registry, judged)
    except GatecastError as error:
        return False, [f"error: {type(error).__name__}"]
    after = arena.registry.versions.champion(JOB.name)
    if (after != before) != (decision.promoted is not None):
        raise SystemExit(f"the alias moved, or not, against the verdict on {bundle}")
    if decision.promoted is not None:
        arena.registry.aliases.rollback(JOB.name)
    return decision.promoted is not None, [rule.rule for rule in decision.judgment.verdict.rules if not rule.passed]


def true_loss(truth: Any, bundle: Path) -> float:
    """What a model is truly worth: its weighted quantile loss on the hidden hours."""
    return value(truth((bundle,), "truth").scored, METRICS["wql"])
