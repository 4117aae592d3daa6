"""Files of strangers, tried as a newcomer would: `gatecast try FILE --horizon H`, and nothing else said.

    python -m benchmarks.newcomer                    all files
    python -m benchmarks.newcomer regions sensor --json newcomer.json
    python -m benchmarks.newcomer --look             only what is found in them, in seconds
    python -m benchmarks.newcomer --python           five lines of Python on 5,000 readings, and the import alone

Each file is public data under a name, and with columns, that say nothing. A key of the job is *right* if it is found
as the owner of the data would write it, *asked* if the command asks for it (without a terminal it marks a guess), and
*wrong* if it says something else and is sure. GATECAST_DATASETS names the folder of the data.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.homes import data_folder
from benchmarks.harness.processes import GATECAST
from benchmarks.newcomer.files import FILES, Stranger
from forecasting.errors import GatecastError
from forecasting.inspection.findings import Finding
from forecasting.inspection.inspect import inspect

FIVE_LINES: Final = """
import resource, time
started = time.monotonic()
import forecasting as fc
imported = time.monotonic()
import numpy as np, pandas as pd
hours = np.arange(5000)
y = 10 + np.sin(hours * np.pi / 12) + np.random.default_rng(1).normal(0, 0.2, 5000).cumsum() / 20
df = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2025-01-01", periods=5000, freq="h"), "y": y})
job = fc.job("h", horizon=24, selection={"budget": "fast"})
model = fc.fit(df, job)
figure = model.plot(level=[80, 95])
assert len(figure.data) > 4
spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(imported - started, time.monotonic() - started, sum(each.ru_utime + each.ru_stime for each in spent))
"""


def main() -> None:
    """Try the files that were asked for."""
    command = parser("newcomer", __doc__)
    command.add_argument("files", nargs="*", type=one_of(FILES), metavar="FILE", help=f"any of {', '.join(FILES)}")
    command.add_argument("--look", action="store_true", help="do not train")
    command.add_argument("--python", action="store_true", help="measure the Python API in place of the files")
    options = command.parse_args()
    if options.python:
        publish({"python": in_python()}, options.json)
        return
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.files or FILES:
            folder = Path(scratch) / name
            folder.mkdir()
            path = FILES[name].write(data_folder(), folder)
            figures[name] = look(path, FILES[name]) | ({} if options.look else tried(path, FILES[name].horizon))
            print(name, figures[name], file=sys.stderr)
    publish({"files": figures}, options.json)


def look(path: Path, file: Stranger) -> dict[str, Any]:
    """The findings in a file, key by key, beside the answers of its owner."""
    try:
        found = inspect(str(path), horizon=file.horizon)
    except GatecastError as error:
        return {"kind": file.kind, "error": str(error)}
    return {"kind": file.kind, **judged(found.findings.found, file.expected), "errors": list(found.errors)}


def judged(found: Mapping[str, Finding], expected: Mapping[str, Any]) -> dict[str, list[str]]:
    """The expected keys by how they were found; one that is missing counts as wrong."""
    keys: dict[str, list[str]] = {"right": [], "asked": [], "wrong": []}
    for key, value in expected.items():
        finding = found.get(key)
        if finding is not None and not finding.sure:
            keys["asked"].append(key if finding.value == value else f"{key}: {finding.value}")
        elif finding is not None and finding.value == value:
            keys["right"].append(key)
        else:
            keys["wrong"].append(f"{key}: {finding.value if finding else None}")
    return keys


def tried(path: Path, horizon: int) -> dict[str, Any]:
    """The command of a newcomer: seconds, exit code, and its verdict on the model or its error."""
    home = path.parent / "home"
    command = [sys.executable, *GATECAST, "try", path.name, "--horizon", str(horizon), "--no-open", "--yes"]
    started, before = time.monotonic(), _processor_seconds()
    done = subprocess.run(
        [*command, "--home", str(home)],
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = {
        "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(_processor_seconds() - before, 1),
    }
    return {**figures, "code": done.returncode, "verdict": verdict(done.stdout, done.stderr)}


def in_python() -> dict[str, float]:
    """Seconds from the import to the figure, in a process of its own; `processor` counts the fit's process, too."""
    done = subprocess.run([sys.executable, "-c", FIVE_LINES], capture_output=True, text=True, check=True)
    importing, drawing, processor = map(float, done.stdout.split()[-3:])
    return {"import_seconds": importing, "seconds": drawing, "processor_seconds": processor}


def _processor_seconds() -> float:
    """Of all processes that have ended, whatever else the machine does."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def verdict(out: str, err: str) -> str:
    """The sentence on what went live; of a command that failed, its error."""
    said = [line for line in out.splitlines() if "is the champion" in line or "was refused" in line]
    failed = err[err.rfind("error:") :].strip() if "error:" in err else err[-300:]
    return said[-1] if said else failed


if __name__ == "__main__":
    main()
