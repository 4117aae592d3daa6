"""The cells of a model on the terminal: gates next to the series that they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from forecasting.cli.pictures import sparkline
from forecasting.cli.tables import show
from forecasting.runtime.templates import stamp

if TYPE_CHECKING:
    import numpy as np

    from forecasting.insight.gates import CellRecord, Gates
    from forecasting.insight.units import Units

__all__ = ["show_gates", "show_units"]

_MOST: Final = 24  # units that are shown
_WIDTH: Final = 48  # characters for the window, and in proportion for the steps ahead


def show_gates(name: str, found: Gates) -> None:
    """Each gate as a line of bars over the window, with its mean and its shares of nearly closed and open."""
    import numpy as np

    if found.cells:
        readings = sparkline(found.y, _WIDTH) if np.issubdtype(found.y.dtype, np.number) else ""
        first, last = (stamp(found.ds[place]) for place in (0, -1))
        title = f"{name}: cells while they read {found.unique_id} from {first} to {last}"
        rows = [_row("readings", readings, None)] if readings else []
        show(title, [*rows, *(row for cell in found.cells for row in _rows(cell, found.ds))])
        typer.echo(
            "bars: the mean of all units at each step of the latest window;"
            f" closed (below 0.1), open (above 0.9), and mean: over {found.windows} windows"
        )
    for sentence in found.notes:
        typer.echo(sentence)


def show_units(name: str, found: Units) -> None:
    """The units that track a signal, the strongest first, and their share of all."""
    if found.tracked:
        several = any(one.member is not None for one in found.tracked)
        rows = [
            ({"member": one.member} if several else {})
            | {"layer": one.layer, "unit": one.unit, "tracks": one.signal, "correlation": f"{one.correlation:.2f}"}
            | ({"direction": one.direction} if one.direction != "forward" else {})
            for one in found.tracked[:_MOST]
        ]
        keys = list(dict.fromkeys(key for row in rows for key in row))
        show(f"{name}: units that track something", [{key: row.get(key, "") for key in keys} for row in rows])
    if found.total:
        typer.echo(
            f"{len(found.tracked)} of {found.total} units ({found.share:.0%}) track one of {len(found.signals)} signals"
            f" over {found.windows} windows: {', '.join(found.signals)}"
        )
    if len(found.tracked) > _MOST:
        typer.echo(f"{len(found.tracked) - _MOST} more are not shown; --json has all of them")
    for sentence in found.notes:
        typer.echo(sentence)


def _rows(cell: CellRecord, ds: np.ndarray) -> list[dict[str, Any]]:
    """The gates of one direction of a layer, and the size of its cell state."""
    import numpy as np

    rows = [
        _row(f"{cell.title}: {gate}", _bars(cell, ds, values), cell.use[gate]) for gate, values in cell.gates.items()
    ]
    state = "cell" if "cell" in cell.states else "hidden"
    return [*rows, _row(f"{cell.title}: size of the {state} state", _bars(cell, ds, np.abs(cell.states[state])), None)]


def _bars(cell: CellRecord, ds: np.ndarray, values: np.ndarray) -> str:
    """The mean of all units below the readings; where a step reads several, below all of them."""
    import numpy as np

    mean = values.mean(axis=1)
    return sparkline(mean if cell.ahead else np.append(mean, np.nan)[np.searchsorted(cell.ds, ds)], _WIDTH)


def _row(what: str, bars: str, use: Any) -> dict[str, Any]:
    shares = {"closed": f"{use.closed:.0%}", "open": f"{use.open:.0%}", "mean": f"{use.mean:.2f}"} if use else {}
    return {"what": what, "": bars} | {key: shares.get(key, "") for key in ("closed", "open", "mean")}
