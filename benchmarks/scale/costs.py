"""What every flow costs for few and for many series: processor seconds, memory, and what it leaves on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.harness.processes import GATECAST
from benchmarks.harness.readings import long_table
from forecasting.runtime.workspace import Workspace

__all__ = ["Line", "measured"]

_HISTORY, _DAY = 720, 24  # rows of a series
_JOB: Final = """
name: many
source: {kind: file, path: "${GATECAST_SCALE_READINGS}"}
series: {freq: h, calendar: [hour]}
window: {context: 96, horizon: 24}
model: {name: stacked, params: {cell: lstm, units: [64, 64]}}
train: {epochs: 1, windows_per_epoch: 16384}
backtest: {windows: 7, step: 24}
"""
FLOWS: Final = ("first ingest", "training", "ingest", "batch", "monitor")


class Line(NamedTuple):
    """A cost that grows with the number of series: what a run takes in any case, and what each series adds."""

    fixed: float
    each: float

    def at(self, series: float) -> float:
        """The cost for so many series."""
        return self.fixed + self.each * series


def measured(few: int, many: int) -> dict[str, Any]:
    """Of every flow: seconds of one core and megabytes; of the disk: bytes a reading and a forecast, and a training."""
    ends = {series: _night(series) for series in (few, many)}
    lines: dict[str, Any] = {"series": [few, many], "history": _HISTORY}
    for flow in FLOWS:
        low, high = ends[few][flow], ends[many][flow]
        lines[flow] = {kind: _line(few, many, low[kind], high[kind])._asdict() for kind in ("seconds", "peak_mb")}
    return lines | {"bytes": ends[many]["bytes"], "ends": {str(series): end for series, end in ends.items()}}


def _line(few: int, many: int, low: float, high: float) -> Line:
    each = max((high - low) / (many - few), 0.0)
    return Line(max(low - each * few, 0.0), each)


def _night(series: int) -> dict[str, Any]:
    """A job of so many series from its first readings to the monitor's first look."""
    with tempfile.TemporaryDirectory(prefix="gatecast-scale-") as folder:
        home, readings = Path(folder, "home"), Path(folder, "readings.parquet")
        Path(folder, "job.yaml").write_text(_JOB, encoding="utf-8")
        os.environ |= {"GATECAST_HOME": str(home), "GATECAST_SCALE_READINGS": str(readings)}
        table = _readings(series)
        day = table["ds"] > table["ds"].max() - pd.Timedelta(hours=_DAY)
        table[~day].to_parquet(readings)
        costs = {"first ingest": _run(folder, "ingest")}
        place = Workspace(home)
        first = _size(place.observations("many"))
        costs["training"] = _run(folder, "train")  # it ends with a forecast
        trained = _size(place.artifacts) + _size(place.database)
        vintage = _size(place.forecasts("many"))
        table[day].to_parquet(readings)
        costs |= {"ingest": _run(folder, "ingest"), "batch": _run(folder, "forecast")}
        costs["monitor"] = _run(folder, "monitor")
        return costs | {
            "bytes": {
                "reading": first / (series * (_HISTORY - _DAY)),
                "forecast": vintage / (series * _DAY),
                "training": trained,
                "score": _size(place.scores("many")),
            }
        }


def _readings(series: int) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    wave = 5 * np.sin(np.arange(_HISTORY) * 2 * np.pi / 24)
    values = (draw.normal(size=(series, _HISTORY)).cumsum(axis=1) / 10 + wave).round(3)
    return long_table([f"series-{number:07d}" for number in range(series)], values)


def _run(folder: str, command: str) -> dict[str, float]:
    """A command, its processes included; raises SystemExit where it fails."""
    call = [sys.executable, *GATECAST, command, str(Path(folder, "job.yaml"))]
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {said.decode()[-500:]}")
    return {"seconds": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss * 1024 / 1e6}


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
