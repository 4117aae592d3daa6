"""A simulated year: real readings come day by day, and the loop runs by itself beside models that nobody touches.

    python -m benchmarks.loop --json loop.json
    python -m benchmarks.loop --scenario shift --json shift.json
    python -m benchmarks.loop --weeks 4 --begin 2016-08-04

Every day: ingest, forecast, monitor, and what the monitor asks for; every week before the forecast: training. These
are the bodies of the flows, in one process, on a home of its own with Delta tables and an MLflow registry. The same
readings are forecast by the first champion (train once), and by seasonal naive and ridge as they were on the first day.
In the scenario `shift` the level rises from week 30 on, by a fifth of the mean. GATECAST_DATASETS names the folder of
the data sets.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.harness.command_line import parser, publish
from benchmarks.loop.year import BEGIN, Plan, simulate


def main() -> None:
    """Simulate and print the figures."""
    command = parser("loop", __doc__)
    command.add_argument("--weeks", type=int, default=52)
    command.add_argument("--scenario", choices=("plain", "shift"), default="plain")
    command.add_argument("--begin", type=pd.Timestamp, default=BEGIN)
    command.add_argument("--unwatched", action="store_true", help="without the monitor")
    command.add_argument("--home", type=Path, help="a new folder that is kept; default: one that is not")
    options = command.parse_args()
    plan = Plan(options.begin, options.weeks, options.scenario == "shift", not options.unwatched)
    with tempfile.TemporaryDirectory() as scratch:
        home = options.home or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        publish(simulate(plan, home), options.json)


if __name__ == "__main__":
    main()
