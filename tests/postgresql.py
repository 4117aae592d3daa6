"""A PostgreSQL server of the tests' own, from the system's packages."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["PASSWORD", "server"]

PASSWORD = "only-for-this-test"


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty database, on a free port of the loopback interface; skips where there is no server."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + found
    if not binaries:
        pytest.skip("PostgreSQL's initdb is not installed")
    root = os.geteuid() == 0
    if root and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    user = {"user": "postgres"} if root else {}
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder, "password").write_text(PASSWORD)
        if root:
            subprocess.run(["chown", "-R", "postgres", folder], check=True)
        quiet = {"capture_output": True, "cwd": folder, **user}
        data, log = f"{folder}/data", f"{folder}/log"
        initdb = [binaries[-1] / "initdb", "-D", data, "-U", "owner", "-A", "scram-sha-256", "--pwfile", "password"]
        subprocess.run([*initdb, "--no-sync"], check=True, **quiet)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        start = [binaries[-1] / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"]
        subprocess.run(start, check=True, **quiet)
        try:
            yield f"postgresql+psycopg://owner:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([binaries[-1] / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, **quiet)
