"""The service and MLflow's servers as processes of their own, and what they take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.harness import memory
from benchmarks.harness.processes import GATECAST, free_port, kill_tree, until

__all__ = ["Server", "gatecast", "mlflow", "mlflow_models", "running"]

_MLFLOW: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}


class Server:
    """A process that listens on a port."""

    def __init__(self, command: list[str], port: int, log: Path, environment: dict[str, str]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.began = time.perf_counter()
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, **environment}, start_new_session=True
            )

    def wait(self, path: str, status: int = 200) -> float:
        """Seconds from the start until that path answers so; raises RuntimeError where the server ends before."""

        def answers() -> bool:
            if self.process.poll() is not None:
                end = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{end}")
            return self.status(path) == status

        until(answers, pause=0.01)
        return time.perf_counter() - self.began

    def status(self, path: str) -> int:
        """What it answers there; 0 where it does not."""
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.TransportError:
            return 0

    def text(self, path: str) -> str:
        """The text there."""
        return httpx.get(self.url + path, timeout=30).text

    def json(self, path: str) -> Any:
        """The JSON there."""
        return json.loads(self.text(path))

    @property
    def resident_mb(self) -> float:
        """Memory of the process in MB (10^6 bytes)."""
        return memory.resident_mb(self.process.pid)

    @property
    def cpu_seconds(self) -> float:
        """What the process has taken of all cores; unlike throughput it hardly depends on what else runs."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def descriptors(self) -> int:
        """Open files and connections."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def end(self) -> int:
        """Ask it and all that it started to end, wait, give the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it and all that it started at once."""
        kill_tree(self.process.pid)
        self.process.wait(60)


@contextmanager
def gatecast(home: Path, *, python: str = sys.executable, **settings: str) -> Iterator[Server]:
    """The service on a home, ready; settings are those of GATECAST_SERVE_…, or whole names of variables."""
    given = {name if name.isupper() else f"GATECAST_SERVE_{name.upper()}": value for name, value in settings.items()}
    port = free_port()
    command = [python, "-P", *GATECAST, "serve", "--port", str(port)]
    server = Server(command, port, home / "serve.log", {"GATECAST_HOME": str(home), **given})
    try:
        server.wait("/readyz")
        yield server
    finally:
        server.end()


@contextmanager
def mlflow(folder: Path, store: str, files: str) -> Iterator[Server]:
    """MLflow's tracking server on the database `store`; `files` is its option that says where files lie."""
    port = free_port()
    command = ["server", "--host=127.0.0.1", f"--port={port}", "--workers=1", f"--backend-store-uri={store}", files]
    with running(["mlflow", *command], port, "/health", folder / "mlflow.log", _MLFLOW) as server:
        yield server


@contextmanager
def mlflow_models(model: Path, folder: Path) -> Iterator[Server]:
    """MLflow's scoring server on a logged model, in this environment."""
    port = free_port()
    command = ["models", "serve", "-m", str(model), f"--port={port}", "--env-manager=local"]
    with running(["mlflow", *command], port, "/health", folder / "models.log", _MLFLOW) as server:
        yield server


@contextmanager
def running(module: list[str], port: int, ready: str, log: Path, environment: dict[str, str]) -> Iterator[Server]:
    """A server that is a Python module with its arguments, once it answers at `ready`; killed at the end."""
    server = Server([sys.executable, "-P", "-m", *module], port, log, environment)
    try:
        server.wait(ready)
        yield server
    finally:
        server.kill()
