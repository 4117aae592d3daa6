"""Jobs of four keys (name, source, frequency, horizon) on public data sets: what goes live, and how good it is.

    python -m benchmarks.defaults                      all sets, budget good
    python -m benchmarks.defaults aep taylor --budget fast --json defaults.json

The last 15 per cent of each set are the test: at most 100 rolling origins, all judged by the gate of the job, with no
champion. Hyperparameters, members and weights are chosen before the first origin. The best rival is the best of the
theta method, exponential smoothing, MSTL and LightGBM in hindsight; the seconds of a set do not count it.

With `--earlier` the test span is cut off, and what comes before it is judged in the same way. Whoever changes `auto`
compares these figures, and looks at the others once, at the end. GATECAST_DATASETS names the folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.defaults.intervals import renewed, split_conformal
from benchmarks.defaults.sets import SETS
from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.homes import data_folder
from benchmarks.harness.memory import peak_of_children_mb
from forecasting.bundle.artifact import Origin, read_spec
from forecasting.config.job import Job, parse_job
from forecasting.evaluation import metrics
from forecasting.evaluation.judging import Candidate, Judgment, fit_baselines, judge_challenger
from forecasting.evaluation.rivals import LEAKY, RIVALS, backtest_rivals
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
    command.add_argument("--no-rivals", action="store_true", help="leave the rivals out, which take minutes a set")
    command.add_argument("--rival", choices=LEAKY, help="judge a foundation model, too, which may have seen the sets")
    command.add_argument("--earlier", action="store_true", help="judge on the span before the test span")
    options = command.parse_args()
    figures = {
        name: measure(name, options.budget, rivals=not options.no_rivals, leaky=options.rival, earlier=options.earlier)
        for name in options.sets or SETS
    }
    publish({"budget": options.budget, "sets": figures, **summary(figures)}, options.json)


def measure(name: str, budget: str, *, rivals: bool, leaky: str | None, earlier: bool) -> dict[str, Any]:
    """One set, from its file to the verdict."""
    begin = time.perf_counter()
    job, table = prepared(name, budget, earlier=earlier)
    with tempfile.TemporaryDirectory() as scratch:
        judgment, bundles = judged(job, table, Path(scratch))
        members, found = read_spec(bundles["auto"]).members, standing(judgment)
        seconds = time.perf_counter() - begin
        intervals = {
            **split_conformal(job, table, bundles["auto"], Path(scratch) / "split"),
            **renewed(job, table, bundles[found["live"]], Path(scratch) / "renewed"),
        }
    found |= {
        "networks": sum(one.weight for one in members if one.model not in LINEAR),
        "members": {one.title: one.weight for one in members},
        "context": job.window.context,
        "season": job.series.season,
        "calendar": job.series.calendar,
        "origins": job.backtest.windows,
        "seconds": seconds,
        "peak_mb": peak_of_children_mb(),
        **intervals,
        **(best_rival(job, table) if rivals else {}),
        **({leaky: losses((leaky,), job, table)["wql"][leaky]} if leaky else {}),
    }
    print(line(name, found), file=sys.stderr, flush=True)
    return found


def standing(judgment: Judgment) -> dict[str, Any]:
    """What goes live, and how it and `auto` stand to the best baseline in hindsight."""
    board = judgment.leaderboard.set_index("model")
    live = "auto" if judgment.verdict.passed else judgment.fallback
    baselines = board.drop(index="auto")
    return {
        "live": live,
        **{metric: float(board[metric][live]) for metric in ("wql", "mae", "coverage")},
        "auto_wql": float(board["wql"]["auto"]),
        "auto_coverage": float(board["coverage"]["auto"]),
        "best_baseline": float(baselines["wql"].min()),
        "best_baseline_name": str(baselines["wql"].idxmin()),
        "promoted": judgment.verdict.passed,
        "refused_by": [rule.sentence for rule in judgment.verdict.rules if not rule.passed],
    }


def best_rival(job: Job, table: pd.DataFrame) -> dict[str, Any]:
    """The least error of the rivals in hindsight, by either metric."""
    board = losses([name for name in RIVALS if name not in LEAKY], job, table)
    return {
        "best_rival": float(board["wql"].min()),
        "best_rival_name": str(board["wql"].idxmin()),
        "best_rival_mae": float(board["mae"].min()),
        "rivals": {str(name): float(value) for name, value in board["wql"].items()},
    }


def losses(rivals: Sequence[str], job: Job, table: pd.DataFrame) -> pd.DataFrame:
    """Every metric of these rivals, one row each."""
    scored = backtest_rivals(rivals, table, job, folds(table, job))
    return metrics.table([one.scored for one in scored], "model").set_index("model")


def line(name: str, found: dict[str, Any]) -> str:
    """What a person reads while the sets run."""
    rival = f"  {found['best_rival_name']} {found['best_rival']:.4f}" if "best_rival" in found else ""
    return (
        f"{name:14} {found['live']:15} auto {found['auto_wql']:.4f}  {found['best_baseline_name']}"
        f" {found['best_baseline']:.4f}  ratio {found['auto_wql'] / found['best_baseline']:.3f}{rival}"
        f"  coverage {found['coverage']:.2f} (auto {found['auto_coverage']:.2f}, split {found['split_coverage']:.2f},"
        f" renewed {found['renewed_coverage']:.2f})"
        f"  networks {found['networks']:.0%}  {found['seconds']:.0f} s"
    )


def prepared(name: str, budget: str, *, earlier: bool = False) -> tuple[Job, pd.DataFrame]:
    """The job of four keys, its test span set, and the clean table."""
    data = SETS[name]
    raw = data.load(data_folder()).sort_values(["unique_id", "ds"], ignore_index=True)
    length = int(raw.dropna().groupby("unique_id").size().max())
    held = max(data.horizon, round(TEST * length))
    if earlier:
        raw = raw[raw.groupby("unique_id").cumcount(ascending=False) >= held]
    span = held - data.horizon + 1
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
    table = clean(raw.reset_index(drop=True), job.series).table
    return resolve(job, table), table


def judged(job: Job, table: pd.DataFrame, work: Path) -> tuple[Judgment, dict[str, Path]]:
    """The verdict on `auto`, with all baselines on the same origins, and the bundles that were judged, by name."""
    plan = folds(table, job)
    fitted = child.call("forecasting.selection.auto:fit_auto", table, job, plan[0], work / "auto", origin=Origin())
    rivals = fit_baselines(table, job, plan, work / "baselines", origin=Origin())
    auto = Candidate("auto", (fitted.bundle,))
    bundles = {one.name: one.bundles[0] for one in (auto, *rivals)}
    return judge_challenger(table, job, plan, auto, rivals, None), bundles


def summary(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How often, and by how much, what goes live is better than the best baseline and the best rival."""
    sets = list(figures.values())
    baseline = np.array([one["wql"] / one["best_baseline"] for one in sets])
    found = {
        "wins": int((baseline < 1).sum()),
        "of": len(sets),
        "geomean_vs_baseline": geomean(baseline),
        "worst": float(baseline.max()),
        "covered": covered(sets, "coverage"),
        "covered_renewed": covered(sets, "renewed_coverage"),
        "networks": float(np.mean([one["promoted"] and one["networks"] >= 0.5 for one in sets])),
        "median_seconds": float(np.median([one["seconds"] for one in sets])),
    }
    beside = [one for one in sets if "best_rival" in one]
    if beside:
        rival = np.array([one["wql"] / one["best_rival"] for one in beside])
        found |= {
            "wins_vs_rival": int((rival < 1).sum()),
            "geomean_vs_rival": geomean(rival),
            "geomean_mae_vs_rival": geomean(np.array([one["mae"] / one["best_rival_mae"] for one in beside])),
        }
    return found


def covered(sets: Sequence[dict[str, Any]], key: str) -> float:
    """The share of sets whose 80 % intervals hold 75 to 85 % of the actuals."""
    return float(np.mean([0.75 <= one[key] <= 0.85 for one in sets]))


def geomean(ratios: np.ndarray) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(ratios).mean()))


if __name__ == "__main__":
    main()
