"""Backtest: models, baselines, and rivals on the same rolling origins, and the gate's verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecasting.api.fitting import seen
from forecasting.api.model import FittedModel
from forecasting.api.notices import showing
from forecasting.api.tables import Edge, Names, read
from forecasting.bundle.artifact import Origin
from forecasting.columns import DS, MODEL, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import check_primary
from forecasting.evaluation.gate import Backtested, Verdict
from forecasting.evaluation.judging import Candidate, as_challenger, fit_baselines, judge_challenger, noted
from forecasting.evaluation.problem import Problem, problem_of
from forecasting.evaluation.rivals import RIVALS, backtest_rivals
from forecasting.series.dataset import Dataset

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["BacktestResult", "Ruling", "backtest"]


class Ruling(Verdict):
    """The verdict of the gate on a model, readable."""

    def __str__(self) -> str:
        """A line for the verdict, and one for every rule."""
        lines = [f"{'passed' if rule.passed else 'FAILED'}  {rule.rule}: {rule.sentence}" for rule in self.rules]
        return "\n".join([self._outcome, *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'passed' if rule.passed else '<b>failed</b>'}</td><td>{escape(rule.rule)}</td>"
            f"<td style='text-align:left'>{escape(rule.sentence)}</td></tr>"
            for rule in self.rules
        )
        return f"<p><b>{escape(self._outcome)}</b></p><table><tbody>{rows}</tbody></table>"

    @property
    def _outcome(self) -> str:
        return f"{self.challenger} {'passed every rule' if self.passed else 'was refused'}"


class BacktestResult:
    """How models did on the same rolling origins."""

    def __init__(self, backtests: Sequence[Backtested], verdict: Ruling | None, job: Job, edge: Edge) -> None:
        self._backtests, self.verdict, self._job, self._edge = tuple(backtests), verdict, job, edge

    @property
    def leaderboard(self) -> Any:
        """One row a model, one column a metric; a column `note` where a model cannot go live.

        Examples:
            >>> fc.backtest(df, job, models=["ridge", "naive"]).leaderboard["model"].tolist()
            ['ridge', 'naive']
        """
        return self._edge.out(noted(self._table("model"), self._backtests))

    def by(self, by: metrics.By) -> Any:
        """The metrics of every model by `series`, `step` ahead, or `window`.

        Examples:
            >>> fc.backtest(df, job, models=["naive"]).by("step")["step"].tolist()
            [1, 2, 3, 4]
        """
        return self._edge.out(self._table(by))

    def plot(self, metric: str | None = None) -> go.Figure:
        """Draw a metric of every model by the steps ahead, by default the one that decides, as a Plotly figure.

        Raises ConfigError for an unknown metric.

        Examples:
            >>> [trace.name for trace in fc.backtest(df, job, models=["ridge", "naive"]).plot("mae").data]
            ['ridge', 'naive']
        """
        from forecasting.report.figures import by_step

        table, metric = self._table("step"), metric or self._job.gate.primary
        if metric not in table:
            known = [str(name) for name in table.columns if name not in (MODEL, "step")]
            raise ConfigError(f"there is no metric {metric} here; there are {', '.join(known)}")
        figure = by_step(table, metric, [one.name for one in self._backtests])
        return figure.update_yaxes(title=metric)

    def __repr__(self) -> str:
        """The leaderboard, and the verdict if there is one."""
        return "\n".join([self._table("model").to_string(index=False), *([str(self.verdict)] if self.verdict else [])])

    def _repr_html_(self) -> str:
        board = noted(self._table("model"), self._backtests).to_html(index=False, float_format="{:.4g}".format)
        return board + (self.verdict._repr_html_() if self.verdict else "")

    def _table(self, by: metrics.By) -> Any:
        return metrics.table([one.scored for one in self._backtests], by)


def backtest(
    df: Any,
    job: Job,
    models: Sequence[FittedModel | str] | None = None,
    *,
    id_col: str = UNIQUE_ID,
    time_col: str = DS,
    target_col: str = Y,
) -> BacktestResult:
    """Let models forecast from the same rolling origins of a long table, and judge the first fitted one by the gate.

    `models` are fitted models, and names of baselines or rivals; by default all baselines. The verdict compares the
    first fitted model with the baselines of `gate.baselines`, listed or not; without a fitted model there is none.
    `df` and the names of its columns are as in `fit`. Raises ConfigError for unknown or repeated models, DataError for
    a table that cannot be judged on, GatecastError for a model that knows readings of the windows that would judge it.

    Examples:
        >>> fc.backtest(df, job, models=[model, "ridge", "naive"]).verdict.challenger
        'stacked'
    """
    problem = problem_of(job)
    chosen = list(problem.baselines if models is None else models)
    _check_models(chosen, problem)
    table, edge, notes = read(df, job, Names(id_col, time_col, target_col))
    data, _ = seen(table, job, notes)
    if not job.symbolic:
        check_primary(data.table, data.job, data.folds)
    with tempfile.TemporaryDirectory(prefix="gatecast-") as work, showing("backtesting"):
        found, verdict = _judged(data, chosen, Path(work))
    order = [one if isinstance(one, str) else one.name for one in chosen]
    return BacktestResult([found[name] for name in order], verdict, data.job, edge)


def _judged(
    data: Dataset, chosen: Sequence[FittedModel | str], work: Path
) -> tuple[dict[str, Backtested], Ruling | None]:
    """The backtests of all models by name, and the verdict on the first one that was fitted."""
    arguments = (data.table, data.job, data.folds)
    baselines = fit_baselines(*arguments, work / "baselines", origin=Origin())
    models = [model for model in chosen if isinstance(model, FittedModel)]
    fitted = [_candidate(model, data, work / f"model-{number}") for number, model in enumerate(models)]
    beside = backtest_rivals([name for name in chosen if isinstance(name, str) and name in RIVALS], *arguments)
    if fitted:
        judgment = judge_challenger(*arguments, fitted[0], [*baselines, *fitted[1:]], None, beside)
        return {one.name: one for one in judgment.backtests}, Ruling(**vars(judgment.verdict))
    backtester = problem_of(data.job).backtester(*arguments)
    wanted: list[Candidate] = [one for one in baselines if one.name in chosen]
    own = [backtester(one.bundles, one.name) for one in wanted]
    return {one.name: one for one in (*own, *beside)}, None


def _candidate(model: FittedModel, data: Dataset, work: Path) -> Candidate:
    """The model as it is judged: by its fits of the same folds, else with its own weights."""
    if model.judged is not None and model.judged.fits(data):
        return Candidate(model.name, model.judged.bundles)
    return Candidate(model.name, (as_challenger(model.bundle, data.table, data.job, data.folds[0], work),))


def _check_models(chosen: Sequence[FittedModel | str], problem: Problem) -> None:
    known = [*problem.baselines, *RIVALS]
    if unknown := [name for name in chosen if isinstance(name, str) and name not in known]:
        raise ConfigError(
            f"unknown model(s) {', '.join(unknown)}; name any of {', '.join(known)}, or pass fitted models"
        )
    names = [one if isinstance(one, str) else one.name for one in chosen]
    names += [name for name in problem.baselines if name not in names]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"several models are called {', '.join(twice)}; fit them with an alias of their own")
