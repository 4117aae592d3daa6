"""Real servers for the faults: PostgreSQL and Prefect, each a process of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.harness.processes import free_port
from benchmarks.harness.servers import running

__all__ = ["Postgres", "prefect"]


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
def prefect(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """A Prefect server; the address of its API."""
    port = free_port()
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    place = {**environment, "PREFECT_HOME": str(folder / "prefect")}
    with running(command, port, "/api/health", folder / "prefect.log", place) as server:
        yield f"{server.url}/api"
