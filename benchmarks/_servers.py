"""Real servers for the faults: PostgreSQL, MLflow, Prefect with a worker, each a process of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg

from benchmarks._trial import kill_tree

__all__ = ["Postgres", "free_port", "mlflow", "prefect", "process", "until"]

_PATIENT = 300.0


class Postgres:
    """A cluster in `folder` with the databases mlflow and prefect, run by the user postgres."""

    def __init__(self, folder: Path) -> None:
        self._data, self.port = folder / "data", free_port()
        folder.mkdir(parents=True)
        shutil.chown(folder, "postgres")
        self._control("initdb", "--auth=trust", "--no-sync")
        self.start()
        for name in ("mlflow", "prefect"):
            with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]

    def url(self, database: str, driver: str = "postgresql") -> str:
        """The address of a database."""
        return f"{driver}://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("start", "--wait", f"--options={options}", f"--log={self._data / 'log'}")

    def stop(self) -> None:
        """Break all connections and end."""
        self._control("stop", "--wait", "--mode=immediate")

    def _control(self, *words: str) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not found:
            raise SystemExit("no PostgreSQL server under /usr/lib/postgresql (Debian: apt install postgresql)")
        verb = ["initdb", "--options=" + " ".join(words[1:])] if words[0] == "initdb" else list(words)
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", str(found[-1])]
        subprocess.run(
            [*command, *verb, f"--pgdata={self._data}"], cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=120
        )


@contextmanager
def mlflow(folder: Path, store: str) -> Iterator[str]:
    """A tracking server that keeps runs in the database `store` and files in `folder`; its address."""
    port = free_port()
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", (folder / "files").as_uri()]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with process(command, folder / "mlflow.log", environment):
        until(lambda: _answers(f"http://127.0.0.1:{port}/health"))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def prefect(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """A Prefect server; the address of its API."""
    port = free_port()
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with process(command, folder / "prefect.log", {**environment, "PREFECT_HOME": str(folder / "prefect")}):
        until(lambda: _answers(f"http://127.0.0.1:{port}/api/health"))
        yield f"http://127.0.0.1:{port}/api"


@contextmanager
def process(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A Python process with its log; it and all that it has started is killed at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        started = subprocess.Popen(
            [sys.executable, *command], env={**os.environ, **environment}, stdout=file, stderr=file, cwd=log.parent
        )
    with ExitStack() as stack:
        stack.callback(started.wait)
        stack.callback(kill_tree, started.pid)
        yield started.pid


def until(seen: Callable[[], object], seconds: float = _PATIENT) -> None:
    """Wait until `seen()` is true; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > end:
            raise TimeoutError(f"not seen within {seconds:g} s")
        time.sleep(0.1)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
