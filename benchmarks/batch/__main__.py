"""Batch forecasts end to end: reading, scoring, writing, one commit; a store of synthetic series, LSTM 2x64, 96 → 24.

    python -m benchmarks.batch --series 1000000 --json batch.json
    python -m benchmarks.batch --series 10000 --peer DIRECTORY     # where neuralforecast is installed

The store is made first; its time is not counted, nor is that of importing MLflow's client. The forecast runs in a
process of its own, which starts the runner's processes; `peak_mb` is the most resident memory of all of them
together, looked at twenty times a second. `processor_seconds` are those of the shards, by what was done. The peer
forecasts 10,000 series of the same length with its own LSTM of the same size, from a table in memory and with its
model loaded, so its time is that of `predict` alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.harness.command_line import parser, publish
from benchmarks.harness.homes import registry_of
from benchmarks.harness.memory import Peak
from benchmarks.harness.readings import stamps, walks
from benchmarks.harness.served_model import CONTEXT, HORIZON, NAME, UNITS, job, make
from forecasting.batch.plan import Request
from forecasting.batch.runners import runner
from forecasting.batch.vintages import forecast
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.runtime.workspace import Workspace
from forecasting.storage.appending import add, write_part
from forecasting.storage.store import Store

_FILE = 40_000  # series of a data file
_PEER, _PEER_SERIES = Path(__file__).with_name("peer.py"), 10_000


def main() -> None:
    """Make the store, forecast it in another process, print what that took."""
    options = _options()
    if options.inside:
        print(json.dumps(_forecast(options.inside, options)))
        return
    with tempfile.TemporaryDirectory(prefix="gatecast-batch-") as folder:
        home = make(Path(folder, "home"), 1)
        seconds = _fill(home, options.series, options.rows)
        result = {"series": options.series, "rows_each": options.rows, "making_the_store_seconds": round(seconds, 1)}
        result |= _measured(home, options)
        result["vs_neuralforecast"] = None
        if options.peer:
            few = Path(folder, "few")
            result |= _against_peer(home if options.series == _PEER_SERIES else _small(few), options, result)
    publish(result, options.json)


def _fill(home: Path, series: int, rows: int) -> float:
    """Store hourly random walks with a daily wave; the seconds that took."""
    begin, draw = time.perf_counter(), np.random.default_rng(1)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        parts = []
        for first in range(0, series, _FILE):
            count = min(_FILE, series - first)
            names = pa.array([f"series-{number:07d}" for number in range(first, first + count)])
            codes = pa.array(np.repeat(np.arange(count, dtype=np.int32), rows))
            table = {
                UNIQUE_ID: pa.DictionaryArray.from_arrays(codes, names),
                DS: np.tile(stamps(rows).to_numpy(), count),
                Y: walks(draw, count, rows).ravel(),
            }
            parts.append(Path(scratch, f"{first}.parquet"))
            write_part(parts[-1], pa.table(table))
        add(str(Workspace(home).observations(NAME)), parts, seen=None)
    return time.perf_counter() - begin


def _small(home: Path) -> Path:
    make(home, 1)
    _fill(home, _PEER_SERIES, CONTEXT)
    return home


def _measured(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One run of all shards, watched from outside."""
    arguments = ["--inside", str(home), "--runner", options.runner]
    if options.shards:
        arguments += ["--shards", str(options.shards)]
    command = [sys.executable, "-m", "benchmarks.batch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, Peak(process.pid) as peak:
        said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the forecast ended with {process.returncode}")
    inside: dict[str, Any] = json.loads(said.splitlines()[-1])
    return inside | {"peak_mb": round(peak.most_mb)}


def _forecast(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """In the process that is watched."""
    registry = registry_of(home)
    registry.versions.get(NAME, "champion")  # the client of MLflow takes seconds to import: not counted
    begin, used = time.perf_counter(), time.process_time()
    vintage = forecast(
        Store(home),
        registry,
        job(),
        request=Request(shards=options.shards),
        runner=runner(options.runner),
    )
    seconds = time.perf_counter() - begin
    series = sum(part.series for part in vintage.parts)
    laps = {name: round(sum(part.seconds[name] for part in vintage.parts), 2) for name in vintage.parts[0].seconds}
    return {
        "runner": options.runner,
        "shards": len(vintage.parts),
        "rows": vintage.rows,
        "written": vintage.written,
        "failed": len(vintage.failures),
        "seconds": round(seconds, 2),
        "series_per_second": round(series / seconds, 1),
        "processor_seconds": laps | {"this_process": round(time.process_time() - used, 2), "all": round(_used(), 2)},
    }


def _used() -> float:
    """Processor time of this process and of those that it has started, from their beginning."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _against_peer(home: Path, options: argparse.Namespace, mine: dict[str, Any]) -> dict[str, Any]:
    """neuralforecast's `predict` of 10,000 series against the same number here, one after the other."""
    found = options.peer / "neuralforecast"
    if not found.is_dir():
        print(f"not compared: there is no neuralforecast in {options.peer}", file=sys.stderr)
        return {}
    here = mine if mine["series"] == _PEER_SERIES else _measured(home, options)
    done = subprocess.run(
        [sys.executable, str(_PEER), *map(str, (_PEER_SERIES, CONTEXT, HORIZON, UNITS[0]))],
        env={**os.environ, "PYTHONPATH": str(options.peer)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"not compared: neuralforecast failed: {done.stderr[-500:]}", file=sys.stderr)
        return {}
    seconds = float(done.stdout.splitlines()[-1])
    return {
        "neuralforecast_seconds": round(seconds, 2),
        "here_seconds_for_as_many": here["seconds"],
        "vs_neuralforecast": round(seconds / here["seconds"], 2),
    }


def _options() -> argparse.Namespace:
    command = parser("batch", __doc__)
    command.add_argument("--series", type=int, default=10_000)
    command.add_argument("--rows", type=int, default=CONTEXT, help="readings of each series")
    command.add_argument("--runner", default="local")
    command.add_argument("--shards", type=int)
    command.add_argument("--peer", type=Path, help="the folder where neuralforecast is installed")
    command.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return command.parse_args()


if __name__ == "__main__":
    main()
