"""One self-contained HTML file per run: the verdict, the forecasts, the leaderboard, and the findings on the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Template
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from forecasting.columns import CUTOFF, MODEL, UNIQUE_ID, interval_columns, quantile_columns
from forecasting.evaluation.metrics import METRICS, Metric
from forecasting.insight.reach import Reach
from forecasting.report import figures, tables
from forecasting.report.frames import Shown, animation, picture
from forecasting.report.sections import Breakdown, size_table, worst_table
from forecasting.report.texts import Text
from forecasting.runtime.files import write_text
from forecasting.runtime.templates import environment, stamp

__all__ = ["Report", "write"]

_MOST_PANELS = 12  # series, and backtest examples, to draw


@dataclass(frozen=True)
class Report:
    """The content of a report; an empty table leaves its section out.

    `forecasts` and `examples` have the columns unique_id, ds, cutoff, step, and q…: forecasts of the future, and
    backtest forecasts with their actuals. `history` (unique_id, ds, y) holds the readings for both.
    """

    job: str
    promoted: bool
    summary: str  # the outcome in one sentence
    facts: Mapping[str, str]  # run, data version, versions of packages, …
    history: pd.DataFrame
    forecasts: pd.DataFrame
    verdict: pd.DataFrame  # rule, figure, bound, passed, sentence
    leaderboard: pd.DataFrame  # model, one column per metric; in the order in which models are shown
    primary: str = "wql"
    by_step: pd.DataFrame = field(default_factory=pd.DataFrame)  # model, step, one column per metric
    examples: pd.DataFrame = field(default_factory=pd.DataFrame)
    frames: Sequence[Shown] = ()  # forecasts of whole frames, cutoff after cutoff
    texts: Sequence[Text] = ()  # continuations, in place of forecasts, for symbols
    metrics: Mapping[str, Metric] = field(default_factory=lambda: METRICS)  # descriptions of the columns of the tables
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)  # epoch, loss, val_loss
    tried: pd.DataFrame = field(default_factory=pd.DataFrame)  # model, settings, seed, wql, weight, …
    validation: pd.DataFrame = field(default_factory=pd.DataFrame)  # rule, severity, count, message, …
    decisions: pd.DataFrame = field(default_factory=pd.DataFrame)  # decision, count, series, note
    config: str = ""  # the job's YAML
    notes: Sequence[str] = ()  # sentences that stand beneath the verdict
    next_steps: Sequence[str] = ()  # after a refusal: changes of the job to try
    remarks: pd.DataFrame = field(default_factory=pd.DataFrame)  # unique_id, forecast, reason: what single series lack
    reach: Reach | None = None  # of the challenger; none for symbols
    gates: pd.DataFrame = field(default_factory=pd.DataFrame)  # layer, gate, closed, open, mean
    errors: Breakdown | None = None  # where the challenger errs


def write(path: Path, content: Report) -> None:
    """Write the report to `path`, which either holds all of it or is not touched."""
    write_text(path, _page(content))


def _page(content: Report) -> str:
    nominal = figures.nominal_coverage(content.forecasts)
    return _template().render(
        report=content,
        plotly=get_plotlyjs(),
        verdict=tables.verdict(content.verdict),
        frames=_frames(content.frames),
        forecasts=_panels(content, content.forecasts, "forecasts"),
        leaderboard=tables.leaderboard(content.leaderboard, content.metrics, content.primary, nominal),
        steps=_steps(content, nominal),
        examples=_panels(content, content.examples, "backtest-examples"),
        calibration=None if content.errors is None else _calibration(content.errors),
        worst=None if content.errors is None else tables.plain(worst_table(content.errors)),
        sizes=None if content.errors is None else _sizes(content.errors),
        reach=None if content.reach is None else _reach(content.reach),
        gates=tables.plain(content.gates),
        members=None if content.reach is None else tables.plain(_members(content.reach)),
        training=None if content.curves.empty else Card("Loss", _chart(figures.curves(content.curves), "training")),
        remarks=tables.plain(_worded(content.remarks)),
        tried=tables.plain(content.tried),
        validation=tables.plain(content.validation),
        cleaning=tables.plain(content.decisions),
    )


def _worded(remarks: pd.DataFrame) -> pd.DataFrame:
    if remarks.empty:
        return remarks
    return remarks.assign(forecast=remarks["forecast"].map({True: "yes", False: "no"}))


def _template() -> Template:
    return environment("forecasting.report").get_template("report.html")


class Card(NamedTuple):
    """A chart (HTML) under its title."""

    title: str
    chart: str
    note: str = ""


class LegendEntry(NamedTuple):
    """A color and what it stands for."""

    color: str
    text: str


class Panels(NamedTuple):
    """Some forecasts, one card each, and the number left out."""

    legend: list[LegendEntry]
    cards: list[Card]
    left_out: int


def _panels(content: Report, forecasts: pd.DataFrame, name: str) -> Panels | None:
    drawn = figures.panels(forecasts, _MOST_PANELS)
    if not drawn:
        return None
    several = forecasts[CUTOFF].nunique() > 1
    height = 220 if len(drawn) > 1 else 340
    cards = [
        Card(
            f"{series} · {stamp(group[CUTOFF].iloc[0])}" if several else series,
            _chart(figures.forecast(content.history, group, height=height), f"{name}-{position}"),
        )
        for position, (series, group) in enumerate(drawn)
    ]
    total = len(forecasts[[UNIQUE_ID, CUTOFF]].drop_duplicates())
    return Panels(_legend(forecasts), cards, total - len(cards))


def _legend(forecasts: pd.DataFrame) -> list[LegendEntry]:
    levels = " and ".join(f"{level:.4g} %" for *_, level in interval_columns(quantile_columns(forecasts)))
    keys = [LegendEntry(figures.READINGS, "readings"), LegendEntry(figures.FORECAST, "forecast")]
    return [*keys, LegendEntry(figures.INTERVAL, f"interval ({levels})")] if levels else keys


def _frames(shown: Sequence[Shown]) -> list[Card]:
    if not shown:
        return []
    still = Card(f"Frames · {shown[-1].title}", _chart(picture(shown[-1]), "frames"))
    moving = [Card("Animation over the cutoffs", _chart(animation(shown), "motion"))] if len(shown) > 1 else []
    return [still, *moving]


def _steps(content: Report, nominal: float | None) -> list[Card]:
    if content.by_step.empty:
        return []
    models = [m for m in content.leaderboard[MODEL] if m in set(content.by_step[MODEL])]
    error = figures.by_step(content.by_step, content.primary, models)
    cards = [Card("Error by step", _chart(error, "error"), content.metrics[content.primary].title)]
    if "coverage" in content.by_step and nominal is not None:
        coverage = figures.by_step(content.by_step, "coverage", models, bound=nominal)
        note = f"share of actuals inside the {nominal * 100:.4g} % interval; the dashed line marks the nominal coverage"
        cards.append(Card("Coverage by step", _chart(coverage, "coverage"), note))
    return cards


def _calibration(found: Breakdown) -> list[Card]:
    if found.quantiles.empty:
        return []
    note = f"{found.coverage_note}A line above the diagonal: the quantile is too high."
    lines = Card("Calibration", _chart(figures.calibration(found.quantiles), "calibration"), note)
    bars = _chart(figures.spread(found.quantiles), "spread")
    return [lines, Card("Where the actuals fell", bars, "A dash marks the share that should lie there.")]


class _Sizes(NamedTuple):
    """The errors by size of series as a chart and as a table."""

    card: Card
    table: tables.Table | None


def _sizes(found: Breakdown) -> _Sizes | None:
    table = size_table(found)
    if table.empty:
        return None
    figure = figures.by_size(table, str(table.columns[0]), (found.model, found.baseline))
    return _Sizes(Card("Error by size of series", _chart(figure, "sizes"), found.sizes_note), tables.plain(table))


def _reach(found: Reach) -> Card:
    said = "; ".join([found.advice, *found.notes])
    line = "the dashed line is the memory horizon, within which 95 % of the weight lies"
    note = f"{said[0].upper()}{said[1:]}. The mean of {found.windows} windows; {line}."
    return Card("Weight of each lag", _chart(figures.reach(found), "reach"), note)


def _members(found: Reach) -> pd.DataFrame:
    """How far back each member of an ensemble looks, the heaviest first."""
    rows = [(one.member.title, one.member.weight, one.memory_horizon, one.member.context) for one in found.members]
    table = pd.DataFrame(rows, columns=["member", "weight", "looks back", "context"])
    return table.sort_values("weight", ascending=False, kind="stable")


def _chart(figure: go.Figure, name: str) -> str:
    html: str = to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=name,
        auto_play=False,
        default_height=f"{figure.layout.height}px",
        config={"displayModeBar": False, "responsive": True},
    )
    return html
