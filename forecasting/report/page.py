"""One self-contained HTML file a run: the verdict, the forecasts, the leaderboard and how the data came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from forecasting.columns import CUTOFF, MODEL, UNIQUE_ID, quantile_columns
from forecasting.evaluation.metrics import METRICS, Metric
from forecasting.report import figures
from forecasting.report.frames import Shown, animation, picture
from forecasting.report.texts import Text
from forecasting.runtime.files import write_text

__all__ = ["Report", "write"]

_MOST_PANELS = 12  # series, and backtest examples, that are drawn


@dataclass(frozen=True)
class Report:
    """What a report shows; a table that is empty leaves its section out.

    `forecasts` and `examples` have the columns unique_id, ds, cutoff, step and q…: forecasts of what is to come,
    and of what has come since, from the backtest. `history` (unique_id, ds, y) holds the readings for both.
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
    texts: Sequence[Text] = ()  # continuations, in place of forecasts, where symbols are forecast
    metrics: Mapping[str, Metric] = field(default_factory=lambda: METRICS)  # what the columns of the tables are
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)  # epoch, loss, val_loss
    validation: pd.DataFrame = field(default_factory=pd.DataFrame)  # rule, severity, count, message, …
    decisions: pd.DataFrame = field(default_factory=pd.DataFrame)  # decision, count, series, note
    config: str = ""  # the job's YAML


def write(path: Path, content: Report) -> None:
    """Write the report to `path`, which either holds all of it or is not touched."""
    write_text(path, _page(content))


def _page(content: Report) -> str:
    sections = [
        _head(content),
        _frames(content),
        _texts(content),
        _forecasts(content, content.forecasts, "Forecasts"),
        _leaderboard(content),
        _errors(content),
        _forecasts(content, content.examples, "Backtest examples"),
        _training(content),
        _data(content),
        _input(content),
    ]
    style = files("forecasting.report").joinpath("report.css").read_text(encoding="utf-8")
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(content.job)} · Gatecast</title><style>{style}</style>"
        f"<script>{get_plotlyjs()}</script></head>\n<body><main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main></body></html>\n"
    )


def _head(content: Report) -> str:
    facts = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in content.facts.items())
    kind = "good" if content.promoted else "bad"
    order = [name for name in _VERDICT if name in content.verdict]
    rules = _table(content.verdict[order], titles=_VERDICT)
    return (
        f"<h1>{escape(content.job)}</h1>"
        f'<dl class="facts">{facts}</dl>'
        f'<div class="banner {kind}" role="status">{"Promoted" if content.promoted else "Refused"}: '
        f"{escape(content.summary)}</div>" + (f'<div class="card scroll">{rules}</div>' if rules else "")
    )


def _forecasts(content: Report, forecasts: pd.DataFrame, title: str) -> str:
    panels = figures.panels(forecasts, _MOST_PANELS)
    if not panels:
        return ""
    several = forecasts[CUTOFF].nunique() > 1
    height = 220 if len(panels) > 1 else 340
    cards = [
        f'<div class="card"><h3>{escape(name)}{f" · {_stamp(group)}" if several else ""}</h3>'
        f"{_chart(figures.forecast(content.history, group, height=height), f'{title}-{position}')}</div>"
        for position, (name, group) in enumerate(panels)
    ]
    total = len(forecasts[[UNIQUE_ID, CUTOFF]].drop_duplicates())
    more = f" {total - len(panels)} more are stored but not drawn." if total > len(panels) else ""
    return (
        f'<h2>{title}</h2><p class="soft">{_legend(forecasts)} The dotted line is the cutoff: the forecast knew '
        f'nothing to its right.{more}</p><div class="{"grid" if len(panels) > 1 else ""}">{"".join(cards)}</div>'
    )


def _texts(content: Report) -> str:
    cards = "".join(
        f'<div class="card"><h3>{escape(text.title)}</h3><pre class="told">'
        f'<span class="soft">{escape(text.read)}</span>{escape(text.told)}</pre></div>'
        for text in content.texts
    )
    note = "Greyed is what was read, then what was told."
    return f'<h2>Continuations</h2><p class="soft">{note}</p>{cards}' if cards else ""


def _frames(content: Report) -> str:
    if not content.frames:
        return ""
    newest = content.frames[-1]
    about = (
        "Medians of the backtest: of a grid the last step of the horizon, of a line all steps, the first on top. Places"
        " without a series stay empty."
    )
    cards = [(f"Frames · {newest.title}", _chart(picture(newest), "frames"))]
    if len(content.frames) > 1:
        cards.append(("In motion, cutoff after cutoff", _chart(animation(content.frames), "motion")))
    body = "".join(f'<div class="card"><h3>{title}</h3>{chart}</div>' for title, chart in cards)
    return f'<h2>Frames</h2><p class="soft">{about}</p><div class="stack">{body}</div>'


def _legend(forecasts: pd.DataFrame) -> str:
    names = quantile_columns(forecasts)
    widths = [float(high[1:]) - float(low[1:]) for low, high in zip(names, reversed(names), strict=True)]
    shown = " and ".join(f"{width * 100:.4g} %" for width in widths if width > 0)
    keys = [(figures.READINGS, "readings"), (figures.FORECAST, "forecast"), (figures.INTERVAL, f"interval ({shown})")]
    return "".join(
        f'<span class="key"><i style="background:{colour}"></i>{text}</span>'
        for colour, text in keys[: 3 if shown else 2]
    )


def _leaderboard(content: Report) -> str:
    if content.leaderboard.empty:
        return ""
    table = content.leaderboard
    first = [MODEL, content.primary]
    table = table[[*first, *(name for name in table.columns if name not in first)]]
    titles = {name: f"{name}|{metric.title}" for name, metric in content.metrics.items()}
    best = {name: position for name in table.columns if (position := _best(table, str(name), content)) is not None}
    return (
        '<h2>Leaderboard</h2><p class="soft">All models on the same rolling origins; the best of each column is '
        f'marked.</p><div class="card scroll">{_table(table, titles=titles, best=best)}</div>'
    )


def _errors(content: Report) -> str:
    if content.by_step.empty:
        return ""
    models = [m for m in content.leaderboard[MODEL] if m in set(content.by_step[MODEL])]
    error = figures.by_step(content.by_step, content.primary, models)
    cards = [("Error by step", content.metrics[content.primary].title, _chart(error, "error"))]
    nominal = figures.nominal_coverage(content.forecasts)
    if "coverage" in content.by_step and nominal is not None:
        coverage = figures.by_step(content.by_step, "coverage", models, bound=nominal)
        note = f"share of actuals inside the {nominal * 100:.4g} % interval; the dashed line is what it promises"
        cards.append(("Coverage by step", note, _chart(coverage, "coverage")))
    body = "".join(f'<div class="card"><h3>{t}</h3><p class="soft">{n}</p>{c}</div>' for t, n, c in cards)
    return f'<h2>Step by step</h2><div class="pair">{body}</div>'


def _training(content: Report) -> str:
    if content.curves.empty:
        return ""
    return f'<h2>Training</h2><div class="card"><h3>Loss</h3>{_chart(figures.curves(content.curves), "training")}</div>'


def _data(content: Report) -> str:
    parts = [("Validation", content.validation), ("Cleaning", content.decisions)]
    cards = [f'<div class="card scroll"><h3>{title}</h3>{_table(t)}</div>' for title, t in parts if not t.empty]
    return f'<h2>How the data came in</h2><div class="stack">{"".join(cards)}</div>' if cards else ""


def _input(content: Report) -> str:
    if not content.config:
        return ""
    return (
        '<h2>Input</h2><div class="card"><details open><summary>Configuration</summary>'
        f"<pre>{escape(content.config)}</pre></details></div>"
    )


_VERDICT = {"rule": "rule", "passed": "passed", "sentence": "why", "figure": "figure", "bound": "bound"}


def _table(
    table: pd.DataFrame, *, titles: Mapping[str, str] | None = None, best: Mapping[Any, int] | None = None
) -> str:
    """A table whose cells are all escaped; `titles` are `heading|explanation`, `best` the row to mark per column."""
    if table.empty:
        return ""
    numeric = {name for name in table.columns if pd.api.types.is_numeric_dtype(table[name])}
    numeric -= {name for name in numeric if pd.api.types.is_bool_dtype(table[name])}
    heads = []
    for name in table.columns:
        heading, _, explanation = (titles or {}).get(name, str(name)).partition("|")
        kind = ' class="number"' if name in numeric else ""
        hint = f' title="{escape(explanation)}"' if explanation else ""
        heads.append(f"<th{kind}{hint}>{escape(heading)}</th>")
    rows = [
        "<tr>"
        + "".join(
            _cell(value, number=name in numeric, best=(best or {}).get(name) == position)
            for name, value in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for position, row in enumerate(table.itertuples(index=False, name=None))
    ]
    return f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(value: Any, *, number: bool, best: bool) -> str:
    if isinstance(value, bool):
        return '<td class="good">✓ passed</td>' if value else '<td class="bad">✗ failed</td>'
    kinds = [kind for kind, holds in (("number", number), ("best", best), ("sentence", len(str(value)) > 40)) if holds]
    return f'<td class="{" ".join(kinds)}">{escape(_text(value))}</td>'


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, float):
        return "–" if isnan(value) else f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return "–" if value is None else str(value)


def _best(table: pd.DataFrame, name: str, content: Report) -> int | None:
    """The row that is best in a column: the smallest error, the coverage nearest to nominal, the bias nearest to 0."""
    if name not in content.metrics or table[name].isna().all():
        return None
    nominal = figures.nominal_coverage(content.forecasts)
    if content.metrics[name].lower_is_better is not None:
        return int(table[name].argmin() if content.metrics[name].lower_is_better else table[name].argmax())
    if name == "bias":
        return int(table[name].abs().argmin())
    if name == "coverage" and nominal is not None:
        return int((table[name] - nominal).abs().argmin())
    return None


def _stamp(group: pd.DataFrame) -> str:
    return f"{group[CUTOFF].iloc[0]:%Y-%m-%d %H:%M}"


def _chart(figure: go.Figure, name: str) -> str:
    html: str = to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=name.lower().replace(" ", "-"),
        auto_play=False,
        default_height=f"{figure.layout.height}px",
        config={"displayModeBar": False, "responsive": True},
    )
    return html
