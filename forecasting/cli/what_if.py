"""The forecasts of named alternatives: one table, and a summary of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from forecasting.cli.arguments import print_json
from forecasting.errors import ConfigError
from pipelines.calls import in_process

if TYPE_CHECKING:  # the command that needs a heavy package imports it
    import pandas as pd

    from forecasting.batch.vintages import Absent, Vintage
    from forecasting.config.job import Job

__all__ = ["forecast_what_if", "pairs"]

_FAILURES: Final = 1000  # series in a JSON result
_SHOWN: Final = 24  # steps on the terminal


def pairs(given: Sequence[str]) -> dict[str, str]:
    """The file of each alternative, from NAME=FILE; raises ConfigError for anything else."""
    parted = [text.partition("=") for text in given]
    if wrong := [text for text, (name, _, file) in zip(given, parted, strict=True) if not name or not file]:
        raise ConfigError(f"--future needs NAME=FILE, got {', '.join(wrong)}")
    names = [name for name, _, _ in parted]
    if len(set(names)) < len(names):
        raise ConfigError(f"--future names an alternative twice: {', '.join(names)}")
    return {name: file for name, _, file in parted}


def forecast_what_if(job: Job, future: dict[str, str], out: str | None, *, as_json: bool, **options: Any) -> None:
    """Forecast from the stored values and from each alternative; store, write, and print them side by side."""
    from forecasting.batch.vintages import Vintage
    from forecasting.storage.outlets import outlet
    from pipelines.what_if import what_if

    if out is not None and Path(out).suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out takes alternatives to a .csv or .parquet file, not to {out}")
    write = outlet(out, job.series) if out else None
    found: dict[str, Vintage | Absent] = in_process(what_if, job, future, **options)
    made = {name: one for name, one in found.items() if isinstance(one, Vintage)}
    if write:
        write(_tables(made))
    first = next(iter(made.values()))
    result = {"name": job.name, "model": first.model, "version": first.version}
    covered = dict(first.coverage or {})
    if as_json:
        from forecasting.columns import records

        rows = [row for table in _tables(made) for row in records(table)]
        scenarios = [_summary(name, one) | _beside(one) for name, one in found.items()]
        print_json(result | {"coverage": covered, "scenarios": scenarios, "forecasts": rows})
    else:
        _show(job, found, made)


def _tables(made: dict[str, Vintage]) -> Iterator[pd.DataFrame]:
    """All forecasts, part by part, with the column `scenario`, and without what a hindcast alone has."""
    from forecasting.columns import HINDCAST, SCENARIO

    for name, vintage in made.items():
        for table in vintage.tables():
            yield table.drop(columns=[SCENARIO, HINDCAST], errors="ignore").assign(**{SCENARIO: name})


def _summary(name: str, one: Vintage | Absent) -> dict[str, Any]:
    from forecasting.batch.vintages import Absent

    if isinstance(one, Absent):
        return {"scenario": name, "rows": 0, "written": 0, "failed": 0, "reason": one.reason}
    counts = {"rows": one.rows, "written": one.written, "failed": len(one.failures)}
    return {"scenario": name, **counts, "reason": ""}


def _beside(one: Vintage | Absent) -> dict[str, Any]:
    from forecasting.batch.vintages import Absent

    if isinstance(one, Absent):
        return {"warnings": [], "failures": []}
    failures = one.failures.head(_FAILURES).to_dict("records")
    return {"warnings": [warning.plain() for warning in one.cautions], "failures": failures}


def _show(job: Job, found: dict[str, Vintage | Absent], made: dict[str, Vintage]) -> None:
    from forecasting.cli.tables import show

    show(f"{job.name}: forecasts", [_summary(name, one) for name, one in found.items()])
    for name, vintage in made.items():
        for warning in vintage.cautions:
            typer.echo(f"warning: {name}: {warning.message}")
    typer.echo("the monitor scores the forecast base, and none of the alternatives")
    series, rows = _side_by_side(made)
    show(f"medians of {series}", rows)
    lost = [
        {"scenario": name, "unique_id": unique_id, "reason": reason}
        for name, one in made.items()
        for unique_id, reason in one.failures.head(12).itertuples(index=False)
    ]
    if lost:
        show("series without a forecast", lost)


def _side_by_side(made: dict[str, Vintage]) -> tuple[str, list[dict[str, Any]]]:
    """The medians of the first series that an alternative names: one row per stamp, one column per alternative."""
    from forecasting.columns import DS, UNIQUE_ID, median_column, quantile_columns

    series = str(next(list(made.values())[-1].tables())[UNIQUE_ID].iloc[0])
    rows: dict[Any, dict[str, Any]] = {}
    for name, vintage in made.items():
        for table in vintage.tables():
            one = table[table[UNIQUE_ID] == series].head(_SHOWN)
            for stamp, value in zip(one[DS], one[median_column(quantile_columns(table.columns))], strict=True):
                rows.setdefault(stamp, {DS: stamp, **dict.fromkeys(made)})[name] = value
    return series, list(rows.values())
