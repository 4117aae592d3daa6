"""Commands for data that nobody has described yet: look at it, and try a forecast of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from forecasting.cli.arguments import Json, print_json
from forecasting.errors import ConfigError, DataError
from pipelines.calls import in_process

if TYPE_CHECKING:
    import pandas as pd

    from forecasting.inspection.findings import Ask, Question
    from forecasting.inspection.inspect import Inspection
    from forecasting.report.outcome import Outcome

__all__ = ["asked", "init", "try_out"]

_SHOWN: Final = 8  # series
_SPARK: Final = (8, 32)  # signs of a sparkline, at least and at most
_BESIDE: Final = 74  # signs of a line that the other columns take
_OWN_HOME: Final = Path(".gatecast-try")
_HISTORY: Final = 6  # horizons of readings in the picture
_BOARD: Final = ("model", "wql", "mae", "coverage")

Target = Annotated[str, typer.Argument(metavar="FILE|URL", help="CSV, Parquet, JSON lines, or Excel; or a database.")]
Horizon = Annotated[int | None, typer.Option(min=1, max=10_000, help="Steps ahead (default: about a season).")]
Query = Annotated[str | None, typer.Option(metavar="SQL", help="For a database: the query that gives the rows.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing: take what is likeliest, and mark it as a guess.")]


def init(
    target: Target,
    horizon: Horizon = None,
    query: Query = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The job to write (default: configs/NAME.yaml).")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Look at data and write a commented job."""
    from forecasting.inspection.inspect import inspect
    from forecasting.runtime.files import write_text

    found = inspect(target, horizon=horizon, query=query, ask=_asker(yes or as_json))
    path = out or Path("configs") / f"{found.job.name}.yaml"
    if path.exists() and path.read_text(encoding="utf-8") != found.yaml():
        raise ConfigError(f"{path} exists and says something else; name another file with --out")
    write_text(path.absolute(), found.yaml())
    if as_json:
        keys = {each.key: {"value": each.value, "why": each.why, "sure": each.sure} for each in _keys(found)}
        print_json({"job": str(path), "keys": keys, "notes": found.findings.notes, "errors": list(found.errors)})
    else:
        _show_findings(found)
        typer.echo(f"job: {path}")
    if found.errors:
        raise DataError(f"{target} cannot be forecast as it is:", found.errors)
    if not as_json:
        typer.echo(f"next: gatecast run {path}")


def try_out(
    target: Target,
    horizon: Horizon = None,
    query: Query = None,
    home: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it works (default: GATECAST_HOME, else .gatecast-try).")
    ] = None,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open the report, on a terminal.")] = True,
    yes: Yes = False,
) -> None:
    """Forecast a file in a few minutes.

    It inspects, asks, and judges like init and run, with a small budget for the search.
    """
    from forecasting.inspection.inspect import inspect
    from forecasting.runtime.files import write_text

    found = inspect(target, horizon=horizon, query=query, ask=_asker(yes))
    if found.errors:
        raise DataError(f"{target} cannot be forecast as it is:", found.errors)
    found.findings.add("selection.budget", "fast", "a try; good and best search longer")
    place = home or Path(os.environ.get("GATECAST_HOME") or _OWN_HOME)
    os.environ["GATECAST_HOME"] = str(place)
    config = place / f"{found.job.name}.yaml"
    write_text(config.absolute(), found.yaml())
    guesses = [f"{each.key}: {each.value}" for each in _keys(found) if not each.sure]
    if guesses:
        typer.echo(f"guessed: {'; '.join(guesses)}  (see {config})", err=True)
    outcome = _run(config)
    _show_result(found, outcome)
    typer.echo(f"report: {outcome.report}")
    typer.echo(f"next: GATECAST_HOME={place} gatecast serve")
    if browse and sys.stdout.isatty():
        typer.launch(outcome.report)


def _run(config: Path) -> Outcome:
    from forecasting.cli.arguments import read_job
    from forecasting.cli.jobs import check_outcome
    from pipelines.ingest import ingest
    from pipelines.training import training

    job = read_job(config)
    in_process(ingest, job)
    outcome: Outcome = in_process(training, job)
    check_outcome(outcome)
    return outcome


def _keys(found: Inspection) -> list[Any]:
    return [each for each in found.findings.found.values() if each.why]


def _asker(silent: bool) -> Ask | None:
    """Who answers questions: the person at the terminal, if there is one and wants to."""
    return None if silent or not (sys.stdin.isatty() and sys.stderr.isatty()) else asked


def asked(question: Question) -> Any:
    """The answer of a person; Enter takes what is likeliest."""
    options = [question.value, *(one for one in question.options if one != question.value)]
    typer.echo(f"{question.key}: {question.why}", err=True)
    for number, option in enumerate(options, 1):
        typer.echo(f"  {number}  {'none' if option is None else option}", err=True)
    answer = typer.prompt("Which one, or another value", default="1", err=True)
    if answer.isdigit() and 1 <= int(answer) <= len(options):
        return options[int(answer) - 1]
    if isinstance(question.value, list):
        return [part.strip() for part in answer.split(",")]
    return type(question.value)(answer) if isinstance(question.value, int | float) else answer


def _show_findings(found: Inspection) -> None:
    from forecasting.cli.tables import show

    rows = [
        {"key": each.key, "value": str(each.value)[:60], "": "" if each.sure else "guess", "why": each.why}
        for each in _keys(found)
    ]
    show(f"{found.job.name}: what was found", rows)
    show("series", _series(found.table))
    for note in found.findings.notes:
        typer.echo(f"note: {note}")


def _series(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The first series, each with its span and its shape."""
    from forecasting.cli.pictures import sparkline
    from forecasting.columns import DS, UNIQUE_ID, Y

    width = max(_SPARK[0], min(_SPARK[1], get_terminal_size((200, 24)).columns - _BESIDE))
    layout = "%Y-%m-%d" if (table[DS] == table[DS].dt.normalize()).all() else "%Y-%m-%d %H:%M"
    groups = table.sort_values([UNIQUE_ID, DS]).groupby(UNIQUE_ID)
    rows = [
        {
            "series": name,
            "readings": int(rows[Y].notna().sum()),
            "missing": int(rows[Y].isna().sum()),
            "from": rows[DS].iloc[0].strftime(layout),
            "to": rows[DS].iloc[-1].strftime(layout),
            "shape": sparkline(rows[Y].to_numpy(), width),
        }
        for (name, rows), _ in zip(groups, range(_SHOWN), strict=False)
    ]
    more = groups.ngroups - len(rows)
    return [*rows, {**dict.fromkeys(rows[0], None), "series": f"… and {more:,} more"}] if more else rows


def _show_result(found: Inspection, outcome: Outcome) -> None:
    """One table, one picture, one sentence."""
    from forecasting.cli.tables import show
    from forecasting.report.outcome import summary

    board = sorted(outcome.leaderboard, key=lambda row: row["wql"] if row["wql"] is not None else float("inf"))
    show(
        f"{outcome.name}: {found.job.window.horizon} steps ahead, on rolling origins",
        [{key: row[key] for key in _BOARD} for row in board],
    )
    for line in _picture(found, outcome):
        typer.echo(line)
    typer.echo(summary(outcome))


def _picture(found: Inspection, outcome: Outcome) -> list[str]:
    """The latest forecast of the first series, behind its last readings."""
    from forecasting.cli.pictures import picture
    from forecasting.columns import CUTOFF, DS, UNIQUE_ID, VERSION, Y, interval_columns, median_column, quantile_columns
    from forecasting.lifecycle.home import open_home

    stored = open_home().store.forecasts.read(found.job.name)
    stored = stored[(stored[VERSION] == outcome.champion) & (stored[CUTOFF] == stored[CUTOFF].max())]
    name = stored[UNIQUE_ID].iloc[0]
    ahead = stored[stored[UNIQUE_ID] == name].sort_values(DS)
    past = found.table[(found.table[UNIQUE_ID] == name) & found.table[Y].notna()].sort_values(DS)
    columns = quantile_columns(ahead)
    low, high, level = interval_columns(columns)[0]
    history = past[Y].to_numpy()[-_HISTORY * len(ahead) :]
    rows = picture(history, *(ahead[each].to_numpy() for each in (median_column(columns), low, high)))
    title = f"{name}: {len(ahead)} steps from {ahead[DS].iloc[0]}, {level:g} % interval"
    return [title, *(row.rstrip() for row in rows)]
