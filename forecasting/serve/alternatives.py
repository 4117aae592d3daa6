"""Forecasts of named alternatives of what is known ahead: one history, one query and one answer for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from forecasting.bundle.spec import Spec
from forecasting.columns import DS, SCENARIO, UNIQUE_ID, Y
from forecasting.config.settings import ServeSettings
from forecasting.serve.answering import Answering
from forecasting.serve.answers import Answer
from forecasting.serve.errors import SHOWN, ServiceError
from forecasting.serve.requests import SCENARIOS, ForecastQuery, ForecastRequest, query_of
from forecasting.serve.responses import columns_of

__all__ = ["answers_of", "queries_of", "scenario_columns"]

Table: TypeAlias = list[dict[str, Any]] | dict[str, list[Any]]

_KEYS: Final = (UNIQUE_ID, DS)
_NAME: Final = 64  # characters


def queries_of(request: ForecastRequest, spec: Spec, limits: ServeSettings) -> dict[str, ForecastQuery]:
    """What a request asks of a model under each alternative; rows and series count once for each.

    A row of an alternative takes the place of one without a reading in the history. Raises ServiceError 422 that lists
    every violation; alternatives are counted from 1, and never named.
    """
    scenarios = request.scenarios or {}
    _check(request, spec, limits)
    queries: dict[str, ForecastQuery] = {}
    wrong: list[str] = []
    for number, (name, future) in enumerate(scenarios.items(), 1):
        replaced = {"records": _without(request.records, future), "columns": _without(request.columns, future)}
        one = request.model_copy(update={**replaced, "future": future, "scenarios": None})
        try:
            queries[name] = query_of(one, spec, limits)
        except ServiceError as error:
            wrong += [f"scenario {number}: {detail}" for detail in error.details or [error.message]]
    series = sum(len(set(query.readings.unique_id)) for query in queries.values())
    if series > limits.max_series:
        wrong.append(f"{series} series in all scenarios together, allowed are {limits.max_series}")
    if wrong:
        raise ServiceError(422, "invalid_request", "the request cannot be answered", wrong[:SHOWN])
    return queries


def _check(request: ForecastRequest, spec: Spec, limits: ServeSettings) -> None:
    """Raises ServiceError 422 before anything is built from the tables of the alternatives."""
    scenarios = request.scenarios or {}
    wrong = []
    if not scenarios or len(scenarios) > SCENARIOS:
        wrong.append(f"scenarios holds 1 to {SCENARIOS} tables by their names")
    if not all(0 < len(name) <= _NAME for name in scenarios):
        wrong.append(f"the name of a scenario has 1 to {_NAME} characters")
    if request.future is not None:
        wrong.append("give future or scenarios, not both")
    if not spec.series.future:
        wrong.append("this model reads no covariates known ahead, so scenarios of them change nothing")
    rows = len(scenarios) * _length(request.records or request.columns) + sum(map(_length, scenarios.values()))
    if rows > limits.max_rows:
        wrong.append(f"{rows} rows, with the history once for each scenario; allowed are {limits.max_rows}")
    if wrong:
        raise ServiceError(422, "invalid_request", "the request cannot be answered", wrong)


def _without(table: Table | None, future: Table) -> Any:
    """A history without those of its rows that have no reading and stand in `future`, too."""
    keys = set(_keys(future))
    if isinstance(table, list):
        return [row for row, key in zip(table, _keys(table), strict=True) if row.get(Y) is not None or key not in keys]
    if table is None or len({len(values) for values in table.values()}) != 1 or not {*_KEYS, Y} <= table.keys():
        return table  # what is wrong with it is said where it is read
    kept = [row for row, key in enumerate(_keys(table)) if table[Y][row] is not None or key not in keys]
    return {name: [values[row] for row in kept] for name, values in table.items()}


def _keys(table: Table) -> list[tuple[str, str]]:
    """The series and the stamp of every row, as they are written."""
    if isinstance(table, list):
        return [(str(row.get(UNIQUE_ID)), str(row.get(DS))) for row in table]
    return [(str(name), str(ds)) for name, ds in zip(table.get(UNIQUE_ID, []), table.get(DS, []), strict=False)]


def _length(table: Table | None) -> int:
    return len(table) if isinstance(table, list) else max(map(len, (table or {}).values()), default=0)


async def answers_of(answering: Answering, queries: Mapping[str, ForecastQuery]) -> dict[str, Answer]:
    """The forecasts under every alternative; raises ServiceError that says which one cannot be forecast."""
    answers: dict[str, Answer] = {}
    for number, (name, query) in enumerate(queries.items(), 1):
        try:
            answers[name] = await answering.forecast(query)
        except ServiceError as error:
            details = [f"scenario {number}: {detail}" for detail in error.details or [error.message]]
            raise ServiceError(error.status, error.code, error.message, details, headers=error.headers) from error
    return answers


def scenario_columns(answers: Mapping[str, Answer]) -> dict[str, list[Any]]:
    """All forecasts, one below the other, with the name of their alternative in the last column."""
    tables = {name: columns_of(answer.found) for name, answer in answers.items()}
    names = next(iter(tables.values()))
    joined: dict[str, list[Any]] = {column: [] for column in (*names, SCENARIO)}
    for name, table in tables.items():
        for column, values in table.items():
            joined[column] += values
        joined[SCENARIO] += [name] * len(next(iter(table.values())))
    return joined
