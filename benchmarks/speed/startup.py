"""Start-up: seconds from a command to its first result, and the packages imported by then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.processes import GATECAST, process, until
from benchmarks.harness.servers import gatecast

__all__ = ["startup"]

_HEAVY: Final = ("tensorflow", "keras", "mlflow", "prefect", "pandas", "onnxruntime", "plotly")
_JOB: Final = """
name: startup
source: {kind: synthetic, series: 4, length: 1000, season: 24, noise: 0.2}
series: {freq: h}
window: {context: 48, horizon: 24}
model: {name: stacked, params: {units: [32]}}
train: {steps: 30}
backtest: {windows: 5, step: 24}
"""


def startup(runs: int) -> dict[str, Any]:
    """Medians of `runs` starts, each in a process of its own, on a home whose job has a live model."""
    with tempfile.TemporaryDirectory() as scratch:
        home, config = Path(scratch, "home"), Path(scratch, "startup.yaml")
        config.write_text(_JOB, encoding="utf-8")
        first = _until_step(home, config, "run")
        subprocess.run([*_command("run"), str(config)], env=_environment(home), check=True, capture_output=True)
        measures = {
            "import_s": lambda: _seconds([sys.executable, "-P", "-c", "import forecasting"], home),
            "help_s": lambda: _seconds([*_command("--help")], home),
            "check_s": lambda: _seconds([*_command("check"), str(config)], home),
            "forecast_s": lambda: _seconds([*_command("forecast"), str(config)], home),
            "ready_s": lambda: _until_ready(home),
            "first_step_s": lambda: _until_step(home, config, "train"),
        }
        found = {name: _median(measure, runs) for name, measure in measures.items()}
        imported = {
            name: _imported([name, *more], home) for name, more in {"--help": [], "check": [str(config)]}.items()
        }
    return {**found, "first_step_of_a_new_home_s": round(first, 2), "imported": imported}


def _median(measure: Any, runs: int) -> float:
    return round(float(np.median([measure() for _ in range(runs)])), 3)


def _command(name: str) -> list[str]:
    return [sys.executable, "-P", *GATECAST, name]


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "GATECAST_HOME": str(home)}


def _seconds(command: list[str], home: Path) -> float:
    """Until the process has ended."""
    begin = time.perf_counter()
    subprocess.run(command, env=_environment(home), check=True, capture_output=True)
    return time.perf_counter() - begin


def _until_ready(home: Path) -> float:
    """Until the service says that it is."""
    with gatecast(home) as server:
        return server.wait("/readyz")


def _until_step(home: Path, config: Path, command: str) -> float:
    """Until the first optimizer step is done, and its network checked; each time with another seed."""
    seed = time.time_ns() % 1_000_000_000
    config.write_text(_JOB.replace("steps: 30", f"steps: 30, seed: {seed}"), encoding="utf-8")
    log, begin = home.with_name("log"), time.perf_counter()
    with process([*_command(command)[1:], str(config)], log, _environment(home)):
        until(lambda: "\nstep 1/" in log.read_text("utf-8", errors="replace"), pause=0.02)
        seconds = time.perf_counter() - begin
    log.unlink()
    return seconds


def _imported(arguments: list[str], home: Path) -> list[str]:
    """Which of the large packages a command has imported when it ends."""
    code = (
        "import sys, json, atexit\n"
        f"atexit.register(lambda: print(json.dumps([n for n in {_HEAVY!r} if n in sys.modules]), file=sys.stderr))\n"
        "from forecasting.cli.main import main; main()"
    )
    command = [sys.executable, "-P", "-c", code, *arguments]
    done = subprocess.run(command, env=_environment(home), check=True, capture_output=True, text=True)
    names: list[str] = json.loads(done.stderr.splitlines()[-1])
    return names
