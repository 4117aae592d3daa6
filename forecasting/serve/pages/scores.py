"""How forecasts fared: live, against the readings that came, and in the backtests that decided what went live."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from forecasting.bundle.spec import Spec
from forecasting.columns import CUTOFF, STEP, UNIQUE_ID
from forecasting.errors import DataError, RegistryError
from forecasting.insight.arrivals import events
from forecasting.insight.news import rows_of
from forecasting.monitor.live import By, scored, scores
from forecasting.registry.registry import Registry
from forecasting.runtime.templates import number, percent, stamp
from forecasting.serve.pages.charts import line_chart
from forecasting.serve.pages.views import Choice, Fact
from forecasting.serve.recent import since_when
from forecasting.storage.store import Store

__all__ = ["TITLES", "Accuracy", "Results", "accuracy", "listed", "report_of", "results", "runs", "unusual"]

_RUNS: Final = 10
_EVENTS: Final = 50  # unusual ones, the latest

# What the metrics of a backtest are called, where they have a name for people.
TITLES: Final = {
    "wql": "weighted quantile loss",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "rmse": "root mean squared error",
    "mase": "mean absolute error, seasonal naive = 1",
    "rmsse": "root mean squared error, seasonal naive = 1",
    "smape": "symmetric mean absolute percentage error",
    "crps": "continuous ranked probability score",
    "coverage": "share of readings inside the interval",
    "width": "mean width of the interval",
    "bias": "mean of forecast minus reading",
}
_LOWER: Final = ("wql", "mae", "mse", "rmse", "mase", "rmsse", "smape", "crps")  # is better


@dataclass(frozen=True)
class Accuracy:
    """Stored forecasts against what came: figures, charts, and the tables behind them."""

    facts: list[Fact]
    error: dict[str, Any]
    coverage: dict[str, Any] | None
    steps: dict[str, Any]
    versions: list[dict[str, Any]]
    days: list[dict[str, Any]]
    by_step: list[dict[str, Any]]


@dataclass(frozen=True)
class Results:
    """What a run found: the outcome in a word and a sentence, the rules of the gate, and the leaderboard."""

    outcome: str
    text: str
    good: bool
    rules: list[dict[str, Any]]
    metrics: list[str]
    leaderboard: list[dict[str, Any]]
    best: dict[str, float]
    next_steps: list[str]


def unusual(store: Store, job: str, series: str | None) -> pd.DataFrame:
    """The unusual events of a job, or of one of its series, the latest first; it blocks."""
    found = events(store, job)
    return found if series is None else found[found[UNIQUE_ID] == series].reset_index(drop=True)


def listed(found: pd.DataFrame) -> list[dict[str, Any]]:
    """The latest events in words."""
    return rows_of(found.head(_EVENTS))


def accuracy(store: Store, job: str, spec: Spec, series: str | None, found: pd.DataFrame) -> Accuracy | None:
    """How the latest forecasts of a job, or of one of its series, fared; None where nothing has come yet; it blocks.

    The days whose forecasts met unusual events are marked.
    """
    try:
        parts = scored(store, job, since=since_when(store, job, spec), unique_id=series)
    except DataError:
        return None
    groups: tuple[By | None, ...] = (None, "day", "step", "version")
    total, days, steps, versions = (scores(parts, by) for by in groups)
    if total.empty or not total["count"].iloc[0]:
        return None
    promised = round(spec.wanted[-1] - spec.wanted[0], 6) if len(spec.wanted) > 1 else None
    covered = line_chart(days["day"], days["coverage"], "inside the interval", share=True, promised=promised)
    return Accuracy(
        _facts(total.iloc[0].to_dict(), promised),
        line_chart(days["day"], days["mae"], "mean absolute error", marks=_marks(days["day"], found)),
        covered if days["coverage"].notna().any() else None,
        line_chart(steps[STEP], steps["mae"], "mean absolute error", title="steps ahead"),
        *(_records(table) for table in (versions, days, steps)),
    )


def _marks(days: pd.Series, found: pd.DataFrame) -> list[str]:
    """Beside each day how many events its forecasts met; empty where none."""
    counts = found[CUTOFF].dt.normalize().value_counts() if len(found) else pd.Series(dtype="int64")
    met = [int(counts.get(day, 0)) for day in days]
    return [f"{count} unusual event{'s' * (count > 1)}" if count else "" for count in met]


def _facts(row: dict[Any, Any], promised: float | None) -> list[Fact]:
    return [
        Fact("Mean absolute error", number(row["mae"]), "in the unit of the readings"),
        Fact("Inside the interval", percent(row["coverage"]), f"{percent(promised)} are promised" if promised else ""),
        Fact("Weighted quantile loss", number(row["wql"]), "share of the mean reading; less is better"),
        Fact("Bias", number(row["bias"]), "forecast minus reading, on average"),
        Fact("Compared", f"{int(row['count']):,}", "forecasts with the readings that came"),
    ]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def runs(versions: pd.DataFrame) -> list[Choice]:
    """The latest runs among the registered versions, newest first."""
    latest = versions.drop_duplicates("run_id").head(_RUNS)
    return [
        Choice(row["run_id"], f"{stamp(row['created'])} · {row['model']} · {row['verdict'] or 'not judged'}")
        for row in latest.to_dict("records")
    ]


def results(registry: Registry, run_id: str) -> Results | None:
    """What a run found; None where it left nothing; raises RegistryError, and it blocks."""
    text = _read(registry, run_id, "outcome.json")
    if text is None:
        return None
    outcome = json.loads(text)
    board = outcome["leaderboard"]
    metrics = [name for name in board[0] if name not in ("model", "note")] if board else []
    known = {name: [row[name] for row in board if row.get(name) is not None] for name in metrics if name in _LOWER}
    best = {name: min(values) for name, values in known.items() if values}
    return Results(
        *_told(outcome), outcome["promoted"], outcome["verdict"], metrics, board, best, outcome.get("next_steps", [])
    )


def report_of(registry: Registry, run_id: str) -> str | None:
    """The report of a run as HTML; None where it left none; raises RegistryError, and it blocks."""
    return _read(registry, run_id, "report.html")


def _read(registry: Registry, run_id: str, name: str) -> str | None:
    """A file of a run; None where there is none."""
    try:
        return registry.runs.read_text(run_id, name)
    except RegistryError:
        registry.versions.jobs()  # where the registry is down, this says so
        return None


def _told(outcome: dict[str, Any]) -> tuple[str, str]:
    """The outcome in a word and a sentence; the table of rules says why."""
    board, rules = outcome["leaderboard"], outcome["verdict"]
    challenger = board[0]["model"] if board else "the network"
    if outcome["promoted"]:
        return "Promoted", f"{challenger} passed all {len(rules)} rules and went live as version {outcome['version']}."
    failed = [rule["rule"].replace("_", " ") for rule in rules if not rule["passed"]]
    refused = f"{challenger} failed {len(failed)} of {len(rules)} rules: {', '.join(failed)}."
    if outcome["fallback"]:
        return "Refused", f"{refused} The best baseline, {outcome['model']}, went live in its place."
    kept = "Nothing went live" if outcome["champion"] is None else f"Version {outcome['champion']} stayed live"
    return "Refused", f"{refused} {kept}."
