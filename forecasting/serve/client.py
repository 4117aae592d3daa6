"""A typed client of the service: tables in, tables out, and the service's own sentence where it says no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal

import httpx
import numpy as np
import pandas as pd

from forecasting.columns import CREATED, CUTOFF, DS, SCENARIO, UNIQUE_ID
from forecasting.errors import GatecastError

__all__ = ["Client", "RefusedError", "UnavailableError"]

_STAMPS: Final = (DS, CUTOFF, CREATED, "day")
_AGAIN: Final = (429, 502, 503, 504)


class RefusedError(GatecastError):
    """The service will not do that, however often it is asked; `code` is for programs, the text for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class UnavailableError(RefusedError):
    """The service cannot do that now: it is busy, not ready, failing or out of reach; `status` 0 without an answer."""


class Client:
    """The service at `url`, with an API key where it asks for one. Close it, or use it in a `with` statement.

    Every method raises RefusedError, or its subclass UnavailableError where another try may help.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._web = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._web.close()

    def forecast(
        self,
        history: pd.DataFrame,
        future: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None,
        *,
        name: str | None = None,
        h: int | None = None,
        level: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
    ) -> pd.DataFrame:
        """Forecast every series of a long table: unique_id, ds, cutoff, step and one column per quantile.

        What is to be said of the inputs stands in `table.attrs["warnings"]`.
        Of a model of symbols, which reads labels as y: symbol, probability and unknown in place of the quantiles.
        `future` says what is known ahead; of named alternatives, `{"base": table, "sale": other}`, each has its
        forecast, and the column `scenario` names it. `name` is needed where several models are served. Stamps are UTC;
        those of the table may have a time zone.
        """
        wanted = {"name": name, "h": h, "level": _listed(level), "quantiles": _listed(quantiles)}
        content: dict[str, Any] = {
            "columns": _columns(history),
            **{key: value for key, value in wanted.items() if value is not None},
        }
        if isinstance(future, Mapping):
            content["scenarios"] = {name: _columns(table) for name, table in future.items()}
        elif future is not None:
            content["future"] = _columns(future)
        answer = self._ask("POST", "/v1/forecast", content)
        table = _table(answer["columns"])
        table.attrs["warnings"] = [_said(one) for one in answer.get("warnings", [])]
        return table

    def send(self, readings: pd.DataFrame, *, name: str | None = None) -> dict[str, Any]:
        """Send readings (scope write), a long table with every covariate of the job; returns the counts and `notes`.

        They are on the service's disk when this returns, all of them or, where it raises, none. To send them again
        changes nothing. `name` is needed where the readings of several jobs are taken.
        """
        content = {"columns": _columns(readings), **({"name": name} if name is not None else {})}
        return self._ask("POST", "/v1/readings", content)

    def continue_text(
        self,
        prompt: str,
        *,
        name: str | None = None,
        length: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> str:
        """What follows a text under a model of symbols; what is not given is as in its job."""
        wanted = {"name": name, "prompt": prompt, "length": length, "temperature": temperature, "seed": seed}
        content = {key: value for key, value in wanted.items() if value is not None}
        return str(self._ask("POST", "/v1/forecast", content)["continuation"]["text"])

    def models(self) -> list[dict[str, Any]]:
        """The served models: version, kind, horizon, context, freq, quantiles, and why a newer version was refused."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/models")["models"]
        return found

    def versions(self, name: str) -> list[dict[str, Any]]:
        """The registered versions of a model, newest first."""
        found: list[dict[str, Any]] = self._ask("GET", f"/v1/models/{name}/versions")["versions"]
        return found

    def vintages(
        self,
        name: str,
        *,
        unique_id: str | None = None,
        cutoff: pd.Timestamp | None = None,
        version: int | None = None,
        since: pd.Timestamp | None = None,
        scenario: str | None = None,
        limit: int = 50,
    ) -> pd.DataFrame:
        """The newest stored forecasts: `limit` vintages (a series at a cutoff by a version) with all their steps.

        Without `cutoff` and `since` none of more than 30 days, and 1,000 steps, before the newest cutoff. `scenario`
        is the name of a stored alternative; without it, the forecasts are those that are scored.
        """
        stamps = {"cutoff": _stamp(cutoff), "since": _stamp(since)}
        wanted = {"name": name, "unique_id": unique_id, **stamps, "version": version, "limit": limit}
        wanted["scenario"] = scenario
        return _table(self._ask("GET", "/v1/vintages", wanted)["vintages"])

    def scores(
        self,
        name: str,
        *,
        by: Literal["step", "day", "version"] | None = None,
        unique_id: str | None = None,
        since: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Live accuracy of stored forecasts whose actuals have come: mae, wql, coverage, bias, count.

        `since` is the first cutoff that counts, by default as for `vintages`.
        """
        wanted = {"name": name, "by": by, "unique_id": unique_id, "since": _stamp(since)}
        return _table(self._ask("GET", "/v1/scores", wanted)["scores"])

    def promote(self, name: str, version: int) -> dict[str, Any]:
        """Make a version the champion (scope admin); the model as it is served now."""
        return self._ask("POST", f"/v1/models/{name}/promote", {"version": version})

    def rollback(self, name: str) -> dict[str, Any]:
        """Put the previous champion back (scope admin); the model as it is served now."""
        return self._ask("POST", f"/v1/models/{name}/rollback")

    def _ask(self, method: Literal["GET", "POST"], path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        query = {key: value for key, value in (content or {}).items() if value is not None} if method == "GET" else None
        try:
            answer = self._web.request(method, path, params=query, json=content if method == "POST" else None)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError(
                0, "no_answer", f"the service at {self._web.base_url} gave no answer: {reason}"
            ) from error
        if answer.is_success:
            found: dict[str, Any] = answer.json()
            return found
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> RefusedError:
    try:
        error = answer.json()["error"]
        code, text = str(error["code"]), "\n".join([error["message"], *(f"  - {item}" for item in error["details"])])
    except (ValueError, KeyError, TypeError):  # something between here and the service has answered
        code, text = "no_service", f"the answer ({answer.status_code}) is not one of Gatecast's"
    kind = UnavailableError if answer.status_code in _AGAIN or answer.status_code >= 500 else RefusedError
    return kind(answer.status_code, code, text)


def _said(warning: dict[str, Any]) -> str:
    """A warning as a sentence, with the alternative that it is about."""
    return ": ".join(str(warning[key]) for key in (SCENARIO, "message") if key in warning)


def _stamp(stamp: pd.Timestamp | None) -> str | None:
    return None if stamp is None else stamp.isoformat()


def _listed(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """A table as the service reads it: stamps in ISO 8601 in UTC, null for what is missing."""
    return {str(name): _values(column) for name, column in table.items()}


def _values(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(column):
        stamps = np.datetime_as_string(column.to_numpy().astype("datetime64[us]")).tolist()
        return [None if stamp == "NaT" else stamp for stamp in stamps]
    return [None if missing else value for missing, value in zip(column.isna(), column.tolist(), strict=True)]


def _table(rows: dict[str, list[Any]] | list[dict[str, Any]]) -> pd.DataFrame:
    """Columns or records as a table, with stamps as stamps."""
    table = pd.DataFrame(rows)
    stamps = {name: table[name].astype("datetime64[us]") for name in _STAMPS if name in table}
    return table.assign(**stamps).astype({UNIQUE_ID: "str"} if UNIQUE_ID in table else {})
