"""The whole registry through a tracking server."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from forecasting.errors import RegistryError
from forecasting.registry.registry import Registry
from tests.registry.buoy import JOB, aliases, write_bundle


def test_tracking_server_serves_as_well_as_a_database(tmp_path: Path) -> None:
    """Over HTTP, with the server keeping the files: the same calls, the same answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/kept"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=tmp_path, start_new_session=True
        )
    try:
        wait_until_ready(port, server, tmp_path / "log")
        registry = Registry(f"http://127.0.0.1:{port}", tmp_path)
        bundle = write_bundle(tmp_path / "bundle", seed=1)
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "verdict.txt").write_text("yes")
        for key in ("aa", "bb", "bb"):
            run = registry.runs.start(JOB, key, {"units": 64})
            registry.runs.log_metrics(run.run_id, {"loss": [2.0, 1.0]})
            registry.runs.log_artifacts(run.run_id, tmp_path / "results")
            version = registry.versions.register(JOB, run.run_id, bundle, verdict="passed", metrics={"wql": 0.25})
            registry.aliases.promote(JOB, version)
            registry.runs.finish(run.run_id)
        found = registry.cache.download(JOB, "champion")

        assert registry.runs.start(JOB, "bb", {}) == (run.run_id, True)
        assert registry.runs.read_text(run.run_id, "verdict.txt") == "yes"
        assert aliases(registry) == {"champion": 2, "previous": 1}
        assert (found / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
        assert registry.aliases.rollback(JOB) == 1
        assert not (tmp_path / "artifacts").exists()
        with pytest.raises(RegistryError, match="no model named other"):
            registry.versions.get("other", 1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def wait_until_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server says that it is well."""
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the server did not start:\n{log.read_text()}")
