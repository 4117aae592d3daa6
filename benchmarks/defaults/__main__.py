"""Jobs of four keys (name, source, frequency, horizon) on public data sets: what goes live, and how good it is.

    python -m benchmarks.defaults                      all sets, budget good
    python -m benchmarks.defaults aep taylor --budget fast --json defaults.json

The last 15 per cent of each set are the test: at most 100 rolling origins, all judged by the gate of the job, with no
champion. Hyperparameters, members and weights are chosen before the first origin. GATECAST_DATASETS names the folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.defaults.sets import SETS
from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.memory import peak_of_children_mb
from forecasting.bundle.artifact import Origin, read_spec
from forecasting.config.job import Job, parse_job
from forecasting.config.settings import Settings
from forecasting.evaluation.judging import Candidate, Judgment, fit_baselines, judge_challenger
from forecasting.runtime import child
from forecasting.series.clean import clean
from forecasting.series.defaults import resolve
from forecasting.series.folds import folds

TEST: Final = 0.15
MOST_ORIGINS: Final = 100
LINEAR: Final = ("ridge", "seasonal_naive", "theta")


def main() -> None:
    """Measure the sets that were asked for."""
    command = parser("defaults", __doc__)
    command.add_argument("sets", nargs="*", type=one_of(SETS), metavar="SET", help=f"any of {', '.join(SETS)}")
    command.add_argument("--budget", choices=("fast", "good", "best"), default="good")
    options = command.parse_args()
    figures = {name: measure(name, options.budget) for name in options.sets or SETS}
    publish({"budget": options.budget, "sets": figures, **summary(figures)}, options.json)


def measure(name: str, budget: str) -> dict[str, Any]:
    """One set, from its file to the verdict."""
    begin = time.perf_counter()
    job, table = prepared(name, budget)
    with tempfile.TemporaryDirectory() as scratch:
        judgment, bundle = judged(job, table, Path(scratch))
        members = {one.title: one.weight for one in read_spec(bundle).members}
        networks = sum(one.weight for one in read_spec(bundle).members if one.model not in LINEAR)
    board = judgment.leaderboard.set_index("model")
    live = "auto" if judgment.verdict.passed else judgment.fallback
    baselines = board.drop(index="auto")
    found = {
        "wql": float(board.loc[live, "wql"]),
        "mae": float(board.loc[live, "mae"]),
        "coverage": float(board.loc[live, "coverage"]),
        "auto_wql": float(board.loc["auto", "wql"]),
        "best_baseline": float(baselines["wql"].min()),
        "best_baseline_name": str(baselines["wql"].idxmin()),
        "auto_coverage": float(board.loc["auto", "coverage"]),
        "promoted": judgment.verdict.passed,
        "refused_by": [rule.sentence for rule in judgment.verdict.rules if not rule.passed],
        "networks": networks,
        "members": members,
        "context": job.window.context,
        "season": job.series.season,
        "origins": job.backtest.windows,
        "seconds": time.perf_counter() - begin,
        "peak_mb": peak_of_children_mb(),
    }
    ratio, best = found["auto_wql"] / found["best_baseline"], found["best_baseline_name"]
    print(
        f"{name:14} {live:15} auto {found['auto_wql']:.4f}  {best} {found['best_baseline']:.4f}"
        f"  ratio {ratio:.3f}  coverage {found['auto_coverage']:.2f}  networks {networks:.0%}"
        f"  {found['seconds']:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    return found


def prepared(name: str, budget: str) -> tuple[Job, pd.DataFrame]:
    """The job of four keys, its test span set, and the clean table."""
    data = SETS[name]
    raw = data.load(Settings().datasets)
    length = int(raw.dropna().groupby("unique_id").size().max())
    span = max(data.horizon, round(TEST * length)) - data.horizon + 1
    step = -(-span // MOST_ORIGINS)
    job = parse_job(
        {
            "name": name,
            "source": {"kind": "synthetic"},
            "series": {"freq": data.freq},
            "window": {"horizon": data.horizon},
            "model": "auto",
            "selection": {"budget": budget},
            "backtest": {"windows": (span - 1) // step + 1, "step": step},
        }
    )
    raw = raw.astype({"unique_id": "str", "ds": "datetime64[us]"})
    table = clean(raw.sort_values(["unique_id", "ds"], ignore_index=True), job.series).table
    return resolve(job, table), table


def judged(job: Job, table: pd.DataFrame, work: Path) -> tuple[Judgment, Path]:
    """The verdict on `auto`, with all baselines on the same origins, and the bundle that was judged."""
    plan = folds(table, job)
    fitted = child.call("forecasting.selection.auto:fit_auto", table, job, plan[0], work / "auto", origin=Origin())
    rivals = fit_baselines(table, job, plan, work / "baselines", origin=Origin())
    return judge_challenger(table, job, plan, Candidate("auto", (fitted.bundle,)), rivals, None), fitted.bundle


def summary(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How often, and by how much, what goes live is better than the best baseline."""
    ratios = np.array([one["wql"] / one["best_baseline"] for one in figures.values()])
    return {
        "wins": int((ratios < 1).sum()),
        "of": len(ratios),
        "geomean_vs_baseline": float(np.exp(np.log(ratios).mean())),
        "worst": float(ratios.max()),
        "covered": float(np.mean([0.75 <= one["coverage"] <= 0.85 for one in figures.values()])),
        "networks": float(np.mean([one["promoted"] and one["networks"] >= 0.5 for one in figures.values()])),
        "median_seconds": float(np.median([one["seconds"] for one in figures.values()])),
    }


if __name__ == "__main__":
    main()
