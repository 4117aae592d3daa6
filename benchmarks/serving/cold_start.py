"""How soon the service is ready, and how much memory and disk it takes, in an environment that holds nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.harness.servers import gatecast
from benchmarks.serving.load import load
from benchmarks.serving.plan import CLIENTS, Figures, Plan

__all__ = ["cold"]

_ROOT: Final = Path(__file__).parents[2]


def cold(plan: Plan) -> Figures:
    """From the start of the process to ready, memory, and size, in an environment that holds only the service."""
    python, sizes = _environment(plan.home.parent / "environment")

    def start() -> float:
        with gatecast(plan.home, python=python) as server:
            return server.wait("/readyz")

    def first() -> float:
        for folder in ("cache", "serve"):
            subprocess.run(["rm", "-rf", str(plan.home / folder)], check=True)
        return start()

    found = {"cold_start_s": plan.median(first), "cold_start_from_cache_s": plan.median(start)}
    with gatecast(plan.home, python=python) as server:
        load(server, plan.body, seconds=plan.seconds(10), clients=CLIENTS)
        time.sleep(6)  # until the registry has been asked
        return {**found, **sizes, "resident_mb": round(server.resident_mb)}


def _environment(place: Path) -> tuple[str, Figures]:
    """The interpreter of a new environment made from requirements/serve.txt as the image has it, and its sizes."""
    uv, python = str(Path(sys.executable).with_name("uv")), str(place / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
    subprocess.run([*install, "--require-hashes", "-r", str(_ROOT / "requirements/serve.txt")], check=True)
    subprocess.run([*install, "--no-deps", str(_ROOT)], check=True)
    found = {"installed_mb": _megabytes(place)}
    subprocess.run([python, "-m", "compileall", "-q", str(place / "lib")], check=False)
    found["installed_with_bytecode_mb"] = _megabytes(place)
    subprocess.run(["sh", str(_ROOT / "requirements/slim.sh"), str(place)], check=True)
    return python, {**found, "environment_mb": _megabytes(place), "environment_on_disk_mb": _megabytes(place, "--")}


def _megabytes(place: Path, measure: str = "--apparent-size") -> int:
    """The bytes of its files, as the layer of an image has them; or the blocks that they take of this disk."""
    command = ["du", "-s", "--block-size=1000000", measure, str(place)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])
