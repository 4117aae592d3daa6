"""What ten million hourly series would take: measured costs of every flow, and a simulated night of all jobs.

    python -m benchmarks.scale --measure --json costs.json       # the costs, on this machine
    python -m benchmarks.scale --costs costs.json --json scale.json

A cost is a line through the costs of a small and a larger job: what a run takes in any case, and what a series adds.
Training is stretched to the length of the history that a real job would have. docs/scale.md states what is assumed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks.harness.command_line import parser, publish
from benchmarks.scale.costs import measured
from benchmarks.scale.plan import Plan, told

COSTS: Final = Path(__file__).with_name("costs.json")


def main() -> None:
    """Measure the costs, or tell from them what the night takes."""
    command = parser("scale", __doc__)
    command.add_argument("--measure", action="store_true")
    command.add_argument("--few", type=int, default=250, help="series of the small job that is measured")
    command.add_argument("--many", type=int, default=2000, help="and of the larger one")
    command.add_argument("--costs", type=Path, default=COSTS)
    command.add_argument("--jobs", type=int, default=Plan().jobs)
    command.add_argument("--history", type=int, default=Plan().history)
    options = command.parse_args()
    if options.measure:
        result = measured(options.few, options.many)
    else:
        plan = Plan(jobs=options.jobs, history=options.history)
        result = told(plan, json.loads(options.costs.read_text(encoding="utf-8")))
    publish(result, options.json)


if __name__ == "__main__":
    main()
