"""Servers as processes of their own, what they take, and load from a further process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Server", "gatecast", "load", "mlflow_models", "mlflow_server", "start_load"]

_WAIT = 120.0  # seconds for a server to be ready


class Server:
    """A process that listens on a port."""

    def __init__(self, command: list[str], port: int, log: Path, environment: dict[str, str]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.began = time.perf_counter()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, **environment}, start_new_session=True
            )

    def wait(self, path: str, status: int = 200) -> float:
        """Seconds from the start until that path answers so."""
        while time.perf_counter() - self.began < _WAIT:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}")
            if self.status(path) == status:
                return time.perf_counter() - self.began
            time.sleep(0.01)
        raise RuntimeError("the server did not become ready")

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
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def cpu_seconds(self) -> float:
        """What the process has taken of all cores; unlike throughput it hardly depends on what else runs."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def descriptors(self) -> int:
        """Open files and connections."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def end(self, sig: int = signal.SIGTERM) -> int:
        """Signal it and all that it started, wait, give the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, sig)
        return self.process.wait(60)


@contextmanager
def gatecast(home: Path, *, python: str = sys.executable, **settings: str) -> Iterator[Server]:
    """The service on a home, ready; settings are those of GATECAST_SERVE_…, or whole names of variables."""
    given = {name if name.isupper() else f"GATECAST_SERVE_{name.upper()}": value for name, value in settings.items()}
    port = _free()
    command = [python, "-P", "-c", "from forecasting.cli.main import main; main()", "serve", "--port", str(port)]
    server = Server(command, port, home / "serve.log", {"GATECAST_HOME": str(home), **given})
    try:
        server.wait("/readyz")
        yield server
    finally:
        server.end()


@contextmanager
def mlflow_server(home: Path, port: int | None = None) -> Iterator[Server]:
    """MLflow's tracking server on the database of a home."""
    port = port or _free()
    place = [f"--backend-store-uri=sqlite:///{home / 'mlflow.db'}", f"--default-artifact-root={home / 'artifacts'}"]
    command = [_beside("mlflow"), "server", f"--port={port}", "--workers=1", *place]
    yield from _mlflow(command, port, home)


@contextmanager
def mlflow_models(model: Path, home: Path) -> Iterator[Server]:
    """MLflow's scoring server on a logged model, in this environment."""
    port = _free()
    command = [_beside("mlflow"), "models", "serve", "-m", str(model), f"--port={port}", "--env-manager=local"]
    yield from _mlflow(command, port, home)


def _mlflow(command: list[str], port: int, home: Path) -> Iterator[Server]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    server = Server(command, port, home / "mlflow.log", quiet)
    try:
        server.wait("/health")
        yield server
    finally:
        server.end(signal.SIGKILL)


def _beside(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _free() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def start_load(server: Server, body: Path, *, seconds: float, **options: float | str) -> subprocess.Popen[str]:
    """Begin to load a server; the options are those of `benchmarks._load`."""
    more = [f"--{name}={value}" if value != "" else f"--{name}" for name, value in options.items()]
    command = [sys.executable, "-m", "benchmarks._load", f"--port={server.port}", f"--body={body}"]
    return subprocess.Popen([*command, f"--seconds={seconds}", *more], stdout=subprocess.PIPE, text=True)


def load(server: Server, body: Path, *, seconds: float, **options: float | str) -> dict[str, Any]:
    """What a load measured."""
    output, _ = start_load(server, body, seconds=seconds, **options).communicate()
    found: dict[str, Any] = json.loads(output)
    return found
