"""The picture of a model's cells: gates and states below the readings, step by step."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.subplots import make_subplots

from forecasting.insight.gates import CellRecord, Gates
from forecasting.report.figures import READINGS, styled
from forecasting.runtime.files import write_text

__all__ = ["picture", "save"]

_COLORS: Final = {"forget": "#3b82f6", "input": "#e8833a", "output": "#2fa58d", "update": "#3b82f6", "reset": "#c05fb0"}
_BAND: Final = (10, 90)  # percent of the units
_ROW: Final = 150  # pixels
_SIGNS: Final = {"\n": "⏎", " ": "␣"}  # of what would be invisible

Array = np.ndarray


def picture(found: Gates) -> go.Figure:
    """The readings, and below them the gates of each layer (mean, and the middle 80 % of its units) and its states.

    Symbols stand along the axis.
    """
    rows = [(cell, kind) for cell in found.cells for kind in ("gates", "states") if kind == "states" or cell.gates]
    numbers = np.issubdtype(found.y.dtype, np.number)
    titles = [f"{found.unique_id}"] * numbers + [_title(cell, kind) for cell, kind in rows]
    count = len(titles)
    figure = make_subplots(count, 1, shared_xaxes=True, vertical_spacing=0.28 / count, subplot_titles=titles)
    styled(figure, height=_ROW * count + 60)
    if numbers:
        line = {"color": READINGS, "width": 1.6}
        figure.add_scatter(x=found.ds, y=found.y, mode="lines", name="readings", line=line, row=1, col=1)
    named: set[str] = set()
    for row, (cell, kind) in enumerate(rows, start=1 + numbers):
        x = cell.ds if numbers else np.searchsorted(found.ds, cell.ds)
        if kind == "states":
            _add_states(figure, x, cell, row)
        else:
            _add_gates(figure, x, cell, row, named)
    _label(figure, found, numbers=numbers)
    return figure


def _add_gates(figure: go.Figure, x: Array, cell: CellRecord, row: int, named: set[str]) -> None:
    for name, values in cell.gates.items():
        color = _COLORS[name]
        low, high = np.percentile(values, _BAND, axis=1)
        edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        figure.add_scatter(y=high, **edge, row=row, col=1)
        figure.add_scatter(y=low, fill="tonexty", fillcolor=_faint(color), **edge, row=row, col=1)
        line = {"color": color, "width": 2}
        key = {"name": f"{name} gate", "legendgroup": name, "showlegend": name not in named}
        figure.add_scatter(
            x=x,
            y=values.mean(axis=1),
            mode="lines+markers" if len(x) == 1 else "lines",
            line=line,
            **key,
            row=row,
            col=1,
        )
        named.add(name)
    figure.update_yaxes(range=[0, 1], row=row, col=1)


def _add_states(figure: go.Figure, x: Array, cell: CellRecord, row: int) -> None:
    """One line of colors for each unit; blue is negative."""
    values = cell.states[_state(cell)].T
    bound = float(np.abs(values).max()) or 1.0
    figure.add_heatmap(x=x, z=values, zmin=-bound, zmax=bound, colorscale="RdBu_r", showscale=False, row=row, col=1)
    figure.update_yaxes(showticklabels=False, row=row, col=1)


def _label(figure: go.Figure, found: Gates, *, numbers: bool) -> None:
    """Symbols along the axis, or a line where the horizon begins."""
    if not numbers:
        signs = [_SIGNS.get(symbol, symbol) for symbol in found.y]
        figure.update_xaxes(tickvals=list(range(len(signs))), ticktext=signs, tickangle=0)
    elif any(cell.ahead for cell in found.cells):
        figure.add_vline(x=found.ds[-1], line={"color": READINGS, "width": 1, "dash": "dot"})


def _title(cell: CellRecord, kind: str) -> str:
    return cell.title if kind == "gates" else f"{cell.title}: {_state(cell)} state, one line for each unit"


def _state(cell: CellRecord) -> str:
    return "cell" if "cell" in cell.states else "hidden"


def _faint(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def save(path: Path, found: Gates, title: str) -> None:
    """Write the picture as a page that needs nothing else; `path` holds all of it or is not touched."""
    named = {"format": "png", "scale": 2, "filename": f"{title}-{found.unique_id}-gates"}
    config = {"displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": named}
    chart = to_html(picture(found), full_html=False, include_plotlyjs=True, config=config)
    heading = escape(f"{title}: what its cells do while they read {found.unique_id}")
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    style = "body{font-family:system-ui,sans-serif;margin:0 auto;padding:2rem;max-width:70rem;color-scheme:light dark}"
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{heading}</title><style>{style}</style>"
    write_text(path, f"{page}<h1>{heading}</h1>{notes}{chart}</html>")
