"""How fast training, loading, forecasts, and backtests are; other libraries run beside, in the same minutes.

    python -m benchmarks.speed train --network lstm --peer FOLDER --json train.json
    python -m benchmarks.speed data online inference backtest scaling startup --peer FOLDER
    KERAS_BACKEND=jax python -m benchmarks.speed gpu

FOLDER is where others are installed: `pip install --target FOLDER torch neuralforecast darts openvino`. Every figure is
the median of `--runs`, in which all take turns, after one that warms up. So a busy machine changes the figures, and the
ratios less. With one part, the figures are its own; with several, they stand under their names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.served_model import make
from benchmarks.serving.online import online as one_forecast
from benchmarks.speed.backtest import backtest
from benchmarks.speed.data import data
from benchmarks.speed.inference import inference
from benchmarks.speed.jobs import NETWORKS
from benchmarks.speed.scaling import draw_growth, scaling
from benchmarks.speed.startup import startup
from benchmarks.speed.train import train
from benchmarks.speed.turns import installed

Figures = dict[str, Any]


def online(options: argparse.Namespace) -> Figures:
    """One forecast in this process, from readings to quantiles."""
    installed(options.peer)
    with tempfile.TemporaryDirectory() as scratch:
        found = one_forecast(make(Path(scratch, "home"), 1), options.runs, 0.5)
    named = {"p50_ms": found["online_p50_ms"], "p99_ms": found["online_p99_ms"]}
    return named | {name: figure for name, figure in found.items() if name.startswith(("vs_", "engine_"))}


def growth(options: argparse.Namespace) -> Figures:
    """How time and memory grow, and a picture of it where one is wanted."""
    found = scaling()
    if options.picture:
        draw_growth(found, options.picture)
    return found


def gpu(options: argparse.Namespace) -> Figures:
    """What the script that stands alone measures on the accelerator of this machine."""
    command = [sys.executable, str(Path(__file__).with_name("gpu.py")), "--runs", str(options.runs)]
    found: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


PARTS: Final[dict[str, Callable[[argparse.Namespace], Figures]]] = {
    "train": lambda options: train(options.network, options.peer, options.runs),
    "data": lambda options: data(options.network, options.runs),
    "online": online,
    "inference": lambda options: inference(options.peer, options.runs),
    "backtest": lambda options: backtest(options.peer, options.runs),
    "scaling": growth,
    "startup": lambda options: startup(options.runs),
    "gpu": gpu,
}


def main() -> None:
    """Measure the parts and write the figures."""
    command = parser("speed", __doc__)
    known = f"default: all of {', '.join(PARTS)}"
    command.add_argument("parts", nargs="*", type=one_of(PARTS), default=[*PARTS], metavar="PART", help=known)
    command.add_argument("--network", choices=NETWORKS, default="lstm", help="that is trained")
    command.add_argument("--peer", type=Path, help="the folder where other libraries are installed")
    command.add_argument("--picture", type=Path, help="a PNG file for the picture of scaling")
    command.add_argument("--runs", type=int, default=5, help="turns of each")
    options = command.parse_args()
    figures = {part: PARTS[part](options) for part in options.parts}
    publish(figures if len(figures) > 1 else figures[options.parts[0]], options.json)


if __name__ == "__main__":
    main()
