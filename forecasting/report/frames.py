"""Frames and lines in a report: last frame, forecast, actual, and error side by side, and all cutoffs in motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from forecasting.bundle.forecaster import Forecaster
from forecasting.columns import CUTOFF, DS, STEP, UNIQUE_ID, Y
from forecasting.series.layout import Layout
from forecasting.storage.grid_files import cube

__all__ = ["Shown", "animation", "picture", "shown"]

_MOST = 24  # frames of an animation
_VALUES = "Viridis"
# the middle is a gray that stands out from white and from black
_ERRORS = ((0.0, "#2166ac"), (0.25, "#67a9cf"), (0.5, "#8a8f98"), (0.75, "#ef8a62"), (1.0, "#b2182b"))
_TITLES = ("last frame", "forecast", "actual", "error")


class Shown(NamedTuple):
    """One forecast of a frame (Y, X), or of a line over its horizon (H, X), with the actual; NaN where unknown."""

    cutoff: pd.Timestamp
    step: int  # of the frame
    last: np.ndarray
    forecast: np.ndarray
    actual: np.ndarray

    @property
    def title(self) -> str:
        """The cutoff, and the steps ahead."""
        return f"{self.cutoff:%Y-%m-%d %H:%M}, {self.step} ahead"


def shown(table: pd.DataFrame, forecaster: Forecaster, layout: Layout, cutoffs: pd.DatetimeIndex) -> list[Shown]:
    """The medians at evenly spread cutoffs, for the last step of the horizon; on a line for all steps."""
    chosen = cutoffs[np.unique(np.linspace(0, len(cutoffs) - 1, min(len(cutoffs), _MOST)).astype(int))]
    forecasts = forecaster.at(table, chosen, (0.5,)).table()
    actual = table[[UNIQUE_ID, DS, Y]].rename(columns={Y: "actual"})
    forecasts = forecasts.merge(actual, on=[UNIQUE_ID, DS], how="left")
    last = table[table[DS].isin(chosen)]
    on_line, found = len(layout.shape) == 1, []
    for cutoff, made in forecasts.groupby(CUTOFF, sort=True):
        horizon = int(made[STEP].max())
        values = cube(made if on_line else made[made[STEP] == horizon], layout, ["q0.5", "actual"]).values
        before = cube(last[last[DS] == cutoff], layout, [Y]).values
        ahead, known = (values[..., 0], values[..., 1]) if on_line else (values[0, ..., 0], values[0, ..., 1])
        seen = np.broadcast_to(before[0, ..., 0], ahead.shape) if len(before) else np.full(ahead.shape, np.nan)
        found.append(Shown(pd.Timestamp(str(cutoff)), horizon, seen, ahead, known))
    return found


def picture(one: Shown) -> go.Figure:
    """Last frame, forecast, actual, and error side by side, or stacked if the maps are much wider than high."""
    return _figure(one, [one])


def animation(several: Sequence[Shown]) -> go.Figure:
    """The same in motion, cutoff by cutoff, with a play button and a slider."""
    figure = _figure(several[0], several)
    figure.frames = [go.Frame(data=_maps(one), traces=[0, 1, 2, 3], name=one.title) for one in several]
    moves = {"frame": {"duration": 500, "redraw": True}, "transition": {"duration": 0}, "mode": "immediate"}
    steps = [{"label": one.title, "method": "animate", "args": [[one.title], moves]} for one in several]
    figure.update_layout(
        sliders=[{"steps": steps, "currentvalue": {"prefix": ""}, "pad": {"t": 28}, "x": 0.12, "len": 0.86}],
        updatemenus=[
            {
                "type": "buttons",
                "buttons": [{"label": "▶ play", "method": "animate", "args": [None, {**moves, "fromcurrent": True}]}],
                "x": 0.0,
                "y": 0.0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 34},
                "bgcolor": "rgba(128,128,128,0.22)",
            }
        ],
    )
    figure.update_layout(height=figure.layout.height + 90)
    return figure


def _figure(first: Shown, several: Sequence[Shown]) -> go.Figure:
    """Four maps of the first, on the color scale of all."""
    rows, columns = first.forecast.shape
    below = columns > 2 * rows
    figure = make_subplots(
        rows=4 if below else 1,
        cols=1 if below else 4,
        subplot_titles=_TITLES,
        vertical_spacing=0.09,
        horizontal_spacing=0.03,
    )
    for index, heat in enumerate(_maps(first)):
        figure.add_trace(heat, row=index + 1 if below else 1, col=1 if below else index + 1)
    values = np.concatenate([np.stack([one.last, one.forecast, one.actual]).ravel() for one in several])
    errors = np.concatenate([(one.forecast - one.actual).ravel() for one in several])
    low, high = np.nanquantile(values, [0.005, 0.995]) if np.isfinite(values).any() else (0.0, 1.0)
    most = float(np.nanquantile(np.abs(errors), 0.995)) if np.isfinite(errors).any() else 1.0
    bar = {"thickness": 10, "outlinewidth": 0, "len": 0.46}
    figure.update_layout(
        height=560 if below else 300,
        coloraxis={"colorscale": _VALUES, "cmin": low, "cmax": high, "colorbar": {**bar, "y": 0.76}},
        coloraxis2={"colorscale": _ERRORS, "cmin": -most, "cmax": most, "colorbar": {**bar, "y": 0.24}},
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#7d8896"},
        template="none",
    )
    figure.update_xaxes(showgrid=False, zeroline=False, showticklabels=False, ticks="")
    figure.update_yaxes(
        showgrid=False, zeroline=False, showticklabels=False, ticks="", autorange="reversed"
    )  # row 0 is on top
    return figure


def _maps(one: Shown) -> list[go.Heatmap]:
    """Rounded to float32, which halves the page."""
    values = (one.last, one.forecast, one.actual, one.forecast - one.actual)
    axes = ("coloraxis", "coloraxis", "coloraxis", "coloraxis2")
    return [
        go.Heatmap(
            z=value.astype(np.float32), coloraxis=axis, hovertemplate="row %{y}, column %{x}: %{z:.4g}<extra></extra>"
        )
        for value, axis in zip(values, axes, strict=True)
    ]
