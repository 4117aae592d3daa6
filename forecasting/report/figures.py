"""The charts of a report: tables in, plotly figures out, in colors that read on white and on black."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from forecasting.columns import (
    CUTOFF,
    DS,
    MODEL,
    STEP,
    UNIQUE_ID,
    Y,
    interval_columns,
    median_column,
    quantile_columns,
)
from forecasting.insight.reach import Reach
from forecasting.series.excerpt import around, broken_at_gaps

__all__ = [
    "FORECAST",
    "INTERVAL",
    "READINGS",
    "by_size",
    "by_step",
    "calibration",
    "curves",
    "forecast",
    "nominal_coverage",
    "panels",
    "reach",
    "spread",
    "styled",
]

READINGS = "#7d8896"
FORECAST = "#3b82f6"
INTERVAL = "rgba(59,130,246,0.22)"
_MODELS = ("#3b82f6", "#e8833a", "#2fa58d", "#c05fb0", "#b59f2e", "#d9534f", "#7d8896")
_GRID = "rgba(128,128,128,0.22)"


def nominal_coverage(forecasts: pd.DataFrame) -> float | None:
    """The nominal coverage of the outermost interval; None for a point forecast."""
    pairs = interval_columns(quantile_columns(forecasts))
    return pairs[0][2] / 100 if pairs else None


def panels(forecasts: pd.DataFrame, limit: int) -> list[tuple[str, pd.DataFrame]]:
    """The first `limit` forecasts with their series' names, one per series and cutoff."""
    if not quantile_columns(forecasts):
        return []
    groups = forecasts.groupby([UNIQUE_ID, CUTOFF], sort=True)
    return [(str(key[0]), group) for (key, group), _ in zip(groups, range(limit), strict=False)]


def forecast(history: pd.DataFrame, forecasts: pd.DataFrame, *, height: int = 220) -> go.Figure:
    """One series: readings before the cutoff (and after it, if known), median, and intervals."""
    figure = _figure(height=height)
    figure.update_layout(showlegend=False)
    own = history[history[UNIQUE_ID] == forecasts[UNIQUE_ID].iloc[0]].sort_values(DS)
    shown = broken_at_gaps(around(own, forecasts))
    _line(figure, shown[DS], shown[Y], "readings", READINGS, 1.6)
    quantiles = quantile_columns(forecasts)
    for low, high, _ in interval_columns(quantiles):
        _line(figure, forecasts[DS], forecasts[high], high, FORECAST, 0)
        _line(figure, forecasts[DS], forecasts[low], low, FORECAST, 0)
        figure.data[-1].update(fill="tonexty", fillcolor=INTERVAL)
    _line(figure, forecasts[DS], forecasts[median_column(quantiles)], "forecast", FORECAST, 2.4)
    figure.add_vline(x=forecasts[CUTOFF].iloc[0], line={"color": READINGS, "width": 1, "dash": "dot"})
    return figure


def by_step(table: pd.DataFrame, metric: str, models: Sequence[str], *, bound: float | None = None) -> go.Figure:
    """One line per model: `metric` at every step of the horizon, with a line at `bound`."""
    figure = _figure(height=300)
    for model, color in zip(models, _cycle(len(models)), strict=True):
        rows = table[table[MODEL] == model].sort_values(STEP)
        _line(figure, rows[STEP], rows[metric], model, color, 2)
    if bound is not None:
        figure.add_hline(y=bound, line={"color": READINGS, "width": 1.5, "dash": "dash"})
        figure.update_yaxes(tickformat=".0%")
    figure.update_xaxes(title="steps ahead")
    return figure


def calibration(table: pd.DataFrame) -> go.Figure:
    """One line per model: the share of actuals below each quantile, which should lie on the dashed diagonal.

    Where actuals equal a quantile, a bar reaches from the share below it to the share at or below it.
    """
    figure = _figure(height=300)
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": READINGS, "width": 1.5, "dash": "dash"})
    for (model, rows), color in _models(table):
        middle, half = (rows["at_most"] + rows["below"]) / 2, (rows["at_most"] - rows["below"]) / 2
        _line(figure, rows["quantile"], middle, model, color, 2)
        figure.data[-1].update(mode="lines+markers", marker={"size": 7})
        if half.gt(0).any():
            figure.data[-1].update(error_y={"array": half, "thickness": 1.2, "width": 4})
    figure.update_xaxes(title="quantile", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title="actuals below it", range=[0, 1], tickformat=".0%")
    return figure


def spread(table: pd.DataFrame) -> go.Figure:
    """Where the actuals fell: a bar per model between neighboring quantiles; a dash marks the nominal share."""
    figure = _figure(height=300)
    quantiles = sorted(table["quantile"].unique())
    edges = [f"{quantile:.3g}" for quantile in quantiles]
    names = [f"below {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges)), f"above {edges[-1]}"]
    for (model, rows), color in _models(table):
        shares = np.diff((rows["below"] + rows["at_most"]) / 2, prepend=0.0, append=1.0)
        figure.add_bar(x=names, y=shares, name=model, marker={"color": color, "line": {"width": 0}})
    nominal = np.diff(quantiles, prepend=0.0, append=1.0)
    mark = {"symbol": "line-ew", "size": 34, "line": {"width": 2.5, "color": READINGS}}
    figure.add_scatter(x=names, y=nominal, name="nominal", mode="markers", marker=mark)
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_xaxes(title="between the quantiles")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def by_size(table: pd.DataFrame, groups: str, models: Sequence[str]) -> go.Figure:
    """A bar per model for each group of series, which the column `groups` names."""
    figure = _figure(height=300)
    for model, color in zip(models, _cycle(len(models)), strict=True):
        figure.add_bar(x=table[groups], y=table[model], name=model, marker={"color": color, "line": {"width": 0}})
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_xaxes(title=groups, type="category")
    figure.update_yaxes(rangemode="tozero")
    return figure


def curves(table: pd.DataFrame) -> go.Figure:
    """Losses over the epochs of training; a line ends with each fit."""
    figure = _figure(height=300)
    losses = [str(name) for name in table.columns if "loss" in str(name)]
    if "fold" in table:
        end = dict.fromkeys(losses, np.nan)
        table = pd.concat([part for _, fit in table.groupby("fold") for part in (fit, fit.tail(1).assign(**end))])
    for name, color in zip(losses, _cycle(len(losses)), strict=True):
        label = "validation" if name.startswith("val") else "training"
        _line(figure, table["epoch"], table[name], label, color, 2)
    figure.update_xaxes(title="epoch", tick0=1, dtick=-(-int(table["epoch"].max()) // 10))
    return figure


def reach(found: Reach) -> go.Figure:
    """The weight of every lag, input upon input, as shares of all; a line marks the memory horizon."""
    figure = _figure(height=300)
    total = sum(float(weights.sum()) for weights in found.by_lag.values()) or 1.0
    for (name, weights), color in zip(found.by_lag.items(), _cycle(len(found.by_lag)), strict=True):
        lags = list(range(1, len(weights) + 1))
        figure.add_bar(x=lags, y=(weights / total).tolist(), name=name, marker={"color": color, "line": {"width": 0}})
    figure.add_vline(x=found.memory_horizon + 0.5, line={"color": READINGS, "width": 1.5, "dash": "dash"})
    figure.update_layout(barmode="stack", bargap=0.1)
    figure.update_xaxes(title="lag, in steps before the first that is forecast")
    figure.update_yaxes(tickformat=".0%")
    return figure


def _line(figure: go.Figure, x: pd.Series, y: pd.Series, name: str, color: str, width: float) -> None:
    figure.add_scatter(x=x, y=y, name=name, mode="lines", line={"color": color, "width": width})


def _models(table: pd.DataFrame) -> list[tuple[tuple[str, pd.DataFrame], str]]:
    """The rows of each model, in order of appearance, and its color."""
    groups = [(str(model), rows) for model, rows in table.groupby(MODEL, sort=False)]
    return list(zip(groups, _cycle(len(groups)), strict=True))


def _cycle(count: int) -> list[str]:
    return [_MODELS[position % len(_MODELS)] for position in range(count)]


def _figure(*, height: int) -> go.Figure:
    return styled(go.Figure(), height=height)


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """The figure with the fonts, colors, and margins of all."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": READINGS},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#1a2028", "font": {"color": "#ffffff"}},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        template="none",
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, automargin=True)
    return figure
