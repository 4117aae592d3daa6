"""The gate under siege: 200 seeded retrains, half of them planted worse, through the real contest and registry.

    python -m benchmarks.gate --json gate.json

Every retrain is judged as a training run judges: against the live model and the baselines, on the same rolling origins,
registered in MLflow, promoted or refused. What a challenger is truly worth is its loss on a long continuation of the
series that no run ever sees. After a promotion the old champion is rolled back to, so that every retrain of a world has
the same opponent. The planted half has faults of which some forecast well but must not go live; the other half are
linear models with more or less noise in their weights than the champion's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks._planted import JOB, PLANTED, World, make_world, perturbed
from forecasting.bundle.artifact import Origin
from forecasting.columns import DS
from forecasting.errors import GatecastError
from forecasting.evaluation.judging import Candidate, fit_baselines
from forecasting.evaluation.metrics import METRICS, value
from forecasting.evaluation.problem import problem_of
from forecasting.lifecycle.promotion import Judging, decide
from forecasting.registry.registry import Registry
from forecasting.series.folds import Fold

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


def main() -> None:
    """Run all retrains, print what came of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=WORLDS, help="of the ten, for a shorter siege")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = pd.DataFrame(
            [row for number in range(options.worlds) for row in siege(Path(place) / f"world-{number}", number)]
        )
    result = summary(rows)
    print(result["table"].to_string(index=False))
    print({key: content for key, content in result.items() if key != "table"})
    if options.json:
        content = result | {"table": result["table"].to_dict("records")}
        options.json.write_text(json.dumps(content), encoding="utf-8")
    sys.exit(0 if result["planted_promoted"] == 0 and result["better_refused_share"] <= 0.05 else 1)


def siege(place: Path, number: int) -> list[dict[str, Any]]:
    """All retrains of one world, one row each."""
    arena = _open(place, number)
    live = _loss(arena, arena.champion)
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
        rows.append({"kind": kind, "effect": 1 - _loss(arena, bundle) / live, "promoted": promoted, "rules": reasons})
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
    last = world.folds[0].cutoffs[-1] + pd.Timedelta(hours=JOB.window.horizon)
    hidden = pd.date_range(last, world.table[DS].max() - pd.Timedelta(hours=JOB.window.horizon), freq="7h")
    later = Fold(world.folds[0].fit_until, world.folds[0].seen_until, hidden)
    truth = problem_of(JOB).backtester(world.table, JOB, [later])
    return Arena(number, world, registry, rivals, champion, truth)


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


def _loss(arena: Arena, bundle: Path) -> float:
    """What a model is truly worth: its weighted quantile loss on the hidden hours."""
    return value(arena.truth((bundle,), "truth").scored, METRICS["wql"])


if __name__ == "__main__":
    main()
