"""Gates: what the recurrent cells of a model do while it reads a series, next to what it reads."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.protocol import Forecaster
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import MemberSpec, Spec
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.errors import DataError
from forecasting.insight.activity import Activity, Silent, activities
from forecasting.insight.sample import windows_of
from forecasting.series.clean import clean, regular_grid
from forecasting.series.windows import Batch, Windows, evenly

__all__ = ["CellRecord", "GateUse", "Gates", "gates", "usage"]

_CLOSED, _OPEN = 0.1, 0.9
_WINDOWS: Final = 32  # beside the latest one, over which the use of gates is counted

Array = np.ndarray


class GateUse(NamedTuple):
    """How a gate is used over some windows: the shares of its activations below 0.1 and above 0.9, and their mean."""

    closed: float
    open: float
    mean: float


class CellRecord(NamedTuple):
    """One direction of a recurrent layer over the latest window: gates and states (steps, U) by name.

    A step that reads has the stamp of its reading, the last one where it reads several; a step ahead has that of its
    forecast. Of a ConvLSTM, the units of all places stand side by side.
    """

    member: MemberSpec | None  # of an ensemble
    layer: int
    cell: str
    direction: str
    ahead: bool
    ds: Array  # (steps,)
    gates: dict[str, Array]
    states: dict[str, Array]
    use: dict[str, GateUse]

    @property
    def units(self) -> int:
        """The number of units."""
        return int(self.states["hidden"].shape[1])

    @property
    def title(self) -> str:
        """The layer in words."""
        return _title(self)

    def plain(self) -> dict[str, Any]:
        """The same for JSON; `steps` are lists of units."""
        gates = {
            name: {key: _short(value) for key, value in self.use[name]._asdict().items()} | {"steps": _rows(values)}
            for name, values in self.gates.items()
        }
        return {
            "member": None if self.member is None else self.member.title,
            "layer": self.layer,
            "cell": self.cell,
            "direction": self.direction,
            "units": self.units,
            "ahead": self.ahead,
            "ds": _stamps(self.ds),
            "gates": gates,
            "states": {name: _rows(values) for name, values in self.states.items()},
        }


class Gates(NamedTuple):
    """The cells of a model over the latest window of a series, and the readings (T,) of that window."""

    spec: Spec
    unique_id: str
    ds: Array  # (T,)
    y: Array  # (T,): numbers, NaN where nothing was read; or symbols
    cells: tuple[CellRecord, ...]
    windows: int  # over which the use of the gates is counted
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "model": self.spec.model,
            "unique_id": self.unique_id,
            "ds": _stamps(self.ds),
            "y": [value if isinstance(value, str) else _short(value) for value in self.y.tolist()],
            "windows": self.windows,
            "cells": [cell.plain() for cell in self.cells],
            "notes": list(self.notes),
        }


class _Read(NamedTuple):
    """Some windows of a series, the latest one first, and the stamps and readings of that one."""

    batch: Batch
    ds: Array  # (T,)
    ahead: Array  # (H,)
    y: Array  # (T,)


def gates(forecaster: Forecaster, history: pd.DataFrame, unique_id: str) -> Gates:
    """Look at the cells of a model, of numbers or of symbols, while it reads a series up to its last reading.

    `history` is that of `Forecaster.forecast`. Raises DataError for a series that it does not hold, ConfigError where
    the package onnx is not installed.
    """
    if isinstance(forecaster, SymbolForecaster):
        read = _symbols(forecaster, history, unique_id)
    else:
        read = _numbers(QuantileForecaster(forecaster.bundle), history, unique_id)
    found = list(activities(forecaster.bundle, read.batch))
    cells = tuple(_record(one, read) for one in found if isinstance(one, Activity))
    return Gates(
        forecaster.spec, unique_id, read.ds, read.y, cells, len(next(iter(read.batch.values()))), _notes(found)
    )


def usage(forecaster: QuantileForecaster, windows: Windows) -> list[tuple[str, str, GateUse]]:
    """How the gates of each layer are used over up to 32 windows, evenly spread: layer, gate, use; none without gates.

    Raises ConfigError where the package onnx is not installed.
    """
    batch = forecaster.bundle.predictor.batch(windows, evenly(len(windows), _WINDOWS))
    found = activities(forecaster.bundle, batch)
    return [
        (_title(one), name, _use(values))
        for one in found
        if isinstance(one, Activity)
        for name, values in one.trace.gates.items()
    ]


def _title(found: Activity | CellRecord) -> str:
    whose = [] if found.member is None else [found.member.title]
    where = [f"layer {found.layer}", *(["ahead"] if found.ahead else [])]
    both = ["backward"] if found.direction == "backward" else []
    return ", ".join([*whose, *where, *both, f"{found.cell} of {found.units} units"])


def _notes(found: list[Activity | Silent]) -> tuple[str, ...]:
    """What is not there to be shown."""
    silent = [f"{one.name} has no recurrent cells" for one in found if isinstance(one, Silent)]
    plain = [
        f"{'the network' if one.member is None else one.member.title}: a {one.cell} has no gates, only a hidden state"
        for one in found
        if isinstance(one, Activity) and not one.trace.gates
    ]
    return tuple(dict.fromkeys([*silent, *plain]))


def _record(found: Activity, read: _Read) -> CellRecord:
    gates, states = ({name: values[0] for name, values in part.items()} for part in found.trace)
    return CellRecord(
        found.member,
        found.layer,
        found.cell,
        found.direction,
        found.ahead,
        (read.ahead if found.ahead else read.ds)[found.steps],
        gates,
        states,
        {name: _use(values) for name, values in found.trace.gates.items()},
    )


def _use(values: Array) -> GateUse:
    return GateUse(float((values < _CLOSED).mean()), float((values > _OPEN).mean()), float(values.mean()))


def _numbers(forecaster: QuantileForecaster, history: pd.DataFrame, unique_id: str) -> _Read:
    spec, predictor = forecaster.spec, forecaster.bundle.predictor
    latest = forecaster.latest(history).windows
    panel, rows = latest.panel, latest.rows(np.arange(len(latest)))
    found = np.flatnonzero(panel.unique_id[panel.series_of(rows)] == unique_id)
    if not len(found):
        raise DataError(f"{unique_id} has no reading to look at")
    table = clean(history, spec.series.model_copy(update={"min_length": 1})).table
    if spec.layout is None:
        table = table[table[UNIQUE_ID] == unique_id].reset_index(drop=True)
    windows = windows_of(forecaster, table)
    parts = [predictor.batch(latest, found), predictor.batch(windows, evenly(len(windows), _WINDOWS))]
    row, series = int(rows[found[0]]), panel.series_of(rows[found])
    scaled = latest.context_targets(found).astype(np.float64)
    return _Read(
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        panel.stamps[row - spec.context + 1 : row + 1],
        panel.stamps[row + 1 : row + 1 + spec.horizon],
        spec.scaler.invert(scaled, panel.location[series], panel.scale[series])[0],
    )


def _symbols(forecaster: SymbolForecaster, history: pd.DataFrame, unique_id: str) -> _Read:
    spec = forecaster.spec
    series = spec.series.model_copy(update={"min_length": 1})
    grid = regular_grid(clean(history[history[UNIQUE_ID] == unique_id], series).table, series)
    if grid.empty:
        raise DataError(f"{unique_id} has no symbol to look at")
    context = min(spec.context, len(grid))
    codes = np.concatenate([[0], forecaster.symbols.vocabulary.encode(grid[Y])]).astype(np.int32)
    begins = np.unique([len(grid) - context, *evenly(len(grid) - context + 1, _WINDOWS)])[::-1]
    batch = codes[begins[:, None] + np.arange(context + 1)]
    batch[:, 0] = 0  # every window is read as if nothing stood before it
    last = grid.tail(context)
    return _Read({"symbols": batch}, last[DS].to_numpy(), last[DS].to_numpy()[:0], last[Y].to_numpy(dtype=object))


def _stamps(ds: Array) -> list[str]:
    return [pd.Timestamp(stamp).isoformat() for stamp in ds]


def _rows(values: Array) -> list[list[float | None]]:
    return [[_short(value) for value in step] for step in values.tolist()]


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
