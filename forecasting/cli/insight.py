"""The command that looks inside a live model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from forecasting.cli.arguments import Json, Name, print_json
from forecasting.errors import ConfigError

if TYPE_CHECKING:  # the command that needs a heavy package imports it
    from forecasting.insight.attribution import Explanation
    from forecasting.insight.reach import Reach
    from forecasting.insight.sample import Live
    from forecasting.lifecycle.home import Home

__all__ = ["inspect"]

_BARS: Final = 24  # rows of the picture, at most
_WIDTH: Final = 40  # characters of the longest bar
_CAUSES: Final = 12
_EVENTS: Final = 100


def inspect(  # noqa: PLR0913  (one for each option)
    name: Name,
    reach: Annotated[bool, typer.Option("--reach", help="Show how far back the model looks.")] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="UNIQUE_ID", help="Show what moved the latest forecast of a series."),
    ] = None,
    gates: Annotated[
        str | None,
        typer.Option("--gates", metavar="UNIQUE_ID", help="Show what the cells do while they read a series."),
    ] = None,
    units: Annotated[bool, typer.Option("--units", help="Show which hidden units track something nameable.")] = False,
    importance: Annotated[
        bool, typer.Option("--importance", help="Show how much worse forecasts are without each covariate.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also draw the --gates, next to the readings.")
    ] = None,
    anomalies: Annotated[bool, typer.Option("--anomalies", help="List the unusual readings that came.")] = False,
    model: Annotated[str, typer.Option(help="An alias or a version.")] = "champion",
    as_json: Json = False,
) -> None:
    """Look inside a live model, and at unusual readings."""
    if [reach, units, importance, explain is not None, gates is not None, anomalies].count(True) != 1:
        raise ConfigError(
            "say what to look at: one of --reach, --explain UNIQUE_ID, --importance, --gates UNIQUE_ID, --units, and"
            " --anomalies"
        )
    if html is not None and gates is None:
        raise ConfigError("--html draws what --gates shows; name a series with --gates UNIQUE_ID")
    from forecasting.insight.sample import open_live
    from forecasting.lifecycle.home import open_home

    home = open_home()
    if anomalies:
        _anomalies(home, name, as_json)
        return
    live = open_live(home, name, model)
    about = {"name": name, "version": live.version}
    if reach:
        _reach(home, live, about, as_json)
    elif explain is not None:
        _explain(home, live, explain, about, as_json)
    elif importance:
        _importance(home, live, about, as_json)
    elif gates is not None:
        _gates(home, live, gates, about, html, as_json)
    else:
        _units(home, live, about, as_json)


def _anomalies(home: Home, name: str, as_json: bool) -> None:
    from forecasting.cli.tables import show
    from forecasting.columns import records
    from forecasting.insight.arrivals import events
    from forecasting.insight.news import rows_of

    found = events(home.store, name)
    if as_json:
        print_json({"name": name, "anomalies": records(found)})
    else:
        show(f"{name}: unusual readings, the latest first", rows_of(found.head(_EVENTS)))


def _reach(home: Home, live: Live, about: dict[str, Any], as_json: bool) -> None:
    from forecasting.insight.reach import reach
    from forecasting.insight.sample import differentiable, some_readings, windows_of

    model = differentiable(live.forecaster, about["name"])
    found = reach(model, windows_of(model, some_readings(home, about["name"], model.spec)))
    if as_json:
        print_json(about | found.plain())
    else:
        _show_reach(about["name"], found)


def _explain(home: Home, live: Live, unique_id: str, about: dict[str, Any], as_json: bool) -> None:
    from forecasting.insight.attribution import explain
    from forecasting.insight.sample import differentiable, readings_of
    from forecasting.insight.wording import sentence

    model = differentiable(live.forecaster, about["name"])
    found = explain(model, readings_of(home, about["name"], model.spec, unique_id), unique_id)
    sentences = [sentence(found, step) for step in range(1, len(found.ds) + 1)]
    if as_json:
        print_json(about | found.plain() | {"sentence": sentence(found), "sentences": sentences})
    else:
        _show_explanation(about["name"], found, sentences)


def _importance(home: Home, live: Live, about: dict[str, Any], as_json: bool) -> None:
    from forecasting.cli.tables import show
    from forecasting.insight.importance import importance
    from forecasting.insight.sample import differentiable, some_readings, windows_of

    model = differentiable(live.forecaster, about["name"])
    found = importance(model, windows_of(model, some_readings(home, about["name"], model.spec)))
    if as_json:
        print_json(about | found.plain())
        return
    rows = [
        {"covariate": name, "worse by": f"{rise:.1%}", "±": f"{spread:.1%}"}
        for name, (rise, spread) in found.rises.items()
    ]
    seen = "after the fit" if found.unseen else "of the fit, too"
    show(f"{about['name']}: {found.windows} windows {seen}, with each covariate from another window", rows)


def _gates(home: Home, live: Live, unique_id: str, about: dict[str, Any], html: Path | None, as_json: bool) -> None:
    from forecasting.cli.cells import show_gates
    from forecasting.insight.gates import gates
    from forecasting.insight.sample import readings_of

    found = gates(live.forecaster, readings_of(home, about["name"], live.forecaster.spec, unique_id), unique_id)
    if html is not None:
        from forecasting.report.gates import save

        save(html, found, f"{about['name']}, version {about['version']}")
    if as_json:
        print_json(about | found.plain())
    else:
        show_gates(about["name"], found)


def _units(home: Home, live: Live, about: dict[str, Any], as_json: bool) -> None:
    from forecasting.cli.cells import show_units
    from forecasting.insight.sample import some_readings
    from forecasting.insight.units import units

    found = units(live.forecaster, some_readings(home, about["name"], live.forecaster.spec))
    if as_json:
        print_json(about | found.plain())
    else:
        show_units(about["name"], found)


def _show_reach(name: str, found: Reach) -> None:
    from forecasting.cli.tables import show

    show(f"{name}: weight of the lags, over {found.windows} windows", _bars(found))
    members = [
        {"model": one.member.title, "weight": one.member.weight, "looks back": one.memory_horizon}
        for one in found.members
    ]
    if members:
        show("members", members)
    for sentence in (found.advice, *found.notes):
        typer.echo(sentence)


def _bars(found: Reach) -> list[dict[str, Any]]:
    """The share of each group of lags, for all inputs together as a bar."""
    import numpy as np

    size = -(-found.spec.context // _BARS)
    firsts = np.arange(0, found.spec.context, size)
    shares = {input: np.add.reduceat(weights, firsts) for input, weights in found.by_lag.items()}
    total = np.sum(list(shares.values()), axis=0)
    whole, longest = float(np.sum(total)) or 1.0, float(np.max(total)) or 1.0
    return [
        {
            "lags": f"{first + 1}" if size == 1 else f"{first + 1}–{min(first + size, found.spec.context)}",
            **{input: f"{share[row] / whole:.1%}" for input, share in shares.items()},
            "": "█" * round(_WIDTH * float(total[row]) / longest),
        }
        for row, first in enumerate(firsts.tolist())
    ]


def _show_explanation(name: str, found: Explanation, sentences: list[str]) -> None:
    from forecasting.cli.tables import show
    from forecasting.insight.wording import causes, sentence

    every = causes(found)
    longest = abs(every[0].amount) if every else 1.0
    rows = [
        {
            "what": cause.name,
            "contribution": f"{cause.amount:+.3g}",
            "": "█" * round(_WIDTH * abs(cause.amount) / longest),
        }
        for cause in every[:_CAUSES]
    ]
    title = f"{name}: contributions to the forecast of {found.unique_id} from {found.cutoff}, the mean of its steps"
    show(title, rows)
    for text in (*sentences, sentence(found)):
        typer.echo(text)
    if len(every) > _CAUSES:
        typer.echo(f"{len(every) - _CAUSES} smaller contributions are not shown; --json has all of them")
