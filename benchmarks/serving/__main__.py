"""What the service does under load, in trouble and at rest; LSTM 2x64, context 96, horizon 24, one series a request.

    python -m benchmarks.serving --json serving.json                 everything, about 20 minutes
    python -m benchmarks.serving http batching --scale 0.1           parts, for a tenth of the time

Load comes from a second process over loopback, figures are medians of `--repeats`. The machine should do nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.served_model import make, request
from benchmarks.serving.batching import batching
from benchmarks.serving.cold_start import cold
from benchmarks.serving.online import online
from benchmarks.serving.plan import Figures, Plan
from benchmarks.serving.readings import kills, readings
from benchmarks.serving.throughput import http, mlflow
from benchmarks.serving.trouble import flips, outage, overload, sigterm, slow


def hostile(plan: Plan) -> Figures:
    """Thousands of strange requests."""
    out = plan.home.parent / "hostile.json"
    command = [sys.executable, "-m", "benchmarks.hostile", "--home", str(plan.home), "--json", str(out)]
    subprocess.run([*command, "--cases", str(int(plan.seconds(5000)))], check=True, stdout=subprocess.DEVNULL)
    found: Figures = json.loads(out.read_text(encoding="utf-8"))
    return found


PARTS: Final[dict[str, Callable[[Plan], Figures]]] = {
    "online": lambda plan: online(plan.home, plan.repeats, plan.scale),
    "http": http,
    "batching": batching,
    "mlflow": mlflow,
    "cold": cold,
    "flips": flips,
    "outage": outage,
    "overload": overload,
    "sigterm": sigterm,
    "slow": slow,
    "readings": readings,
    "kills": kills,
    "hostile": hostile,
}


def main() -> None:
    """Run the parts and print all figures as one JSON object."""
    command = parser("serving", __doc__)
    known = f"default: all of {', '.join(PARTS)}"
    command.add_argument("parts", nargs="*", type=one_of(PARTS), default=[*PARTS], metavar="PART", help=known)
    command.add_argument("--scale", type=float, default=1.0, help="of all durations")
    command.add_argument("--repeats", type=int, default=3)
    options = command.parse_args()
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        home, body = Path(scratch) / "home", Path(scratch) / "request.json"
        make(home)
        body.write_text(json.dumps(request()), encoding="utf-8")
        for part in options.parts:
            figures |= PARTS[part](Plan(home, body, options.scale, options.repeats))
            print(part, json.dumps(figures), file=sys.stderr)
    publish(figures, options.json)


if __name__ == "__main__":
    main()
