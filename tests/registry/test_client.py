"""MLflow is reached quietly and with one clear error; its own database is there whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from forecasting.errors import PermissionDeniedError, RegistryError
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry

_OPEN = """
import sys
from forecasting.registry.client import connect
with connect(sys.argv[1]) as client:
    print(len(client.search_experiments()))
"""


@contextmanager
def opening(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that opens the database."""
    with subprocess.Popen([sys.executable, "-c", _OPEN, url], stdout=subprocess.PIPE, text=True) as process:
        yield process


def test_database_whose_making_was_killed_is_made_again(tmp_path: Path) -> None:
    """Tables that were half made are in nobody's way: MLflow could neither read nor finish them."""
    path = tmp_path / "new" / "mlflow.db"
    with opening(f"sqlite:///{path}") as process:
        deadline = time.monotonic() + 120
        while not any(found.stat().st_size for found in path.parent.glob(".*/mlflow.db")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    assert not path.exists()
    with connect(f"sqlite:///{path}") as client:
        assert [experiment.name for experiment in client.search_experiments()] == ["Default"]


def test_database_is_made_once_by_two_at_the_same_moment(tmp_path: Path) -> None:
    """Whoever is later finds the one of the other; nothing else is left."""
    path = tmp_path / "mlflow.db"
    with opening(f"sqlite:///{path}") as one, opening(f"sqlite:///{path}") as other:
        assert [process.communicate(timeout=200)[0].split() for process in (one, other)] == [["1"], ["1"]]
    assert [found.name for found in tmp_path.iterdir()] == ["mlflow.db"]


def test_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    """Not a traceback, and the file stays as it is."""
    path = tmp_path / "mlflow.db"
    path.write_text("these are notes")
    with pytest.raises(RegistryError, match="file is not a database"), connect(f"sqlite:///{path}"):
        pass
    assert path.read_text() == "these are notes"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("./mlruns", r"must start with sqlite:///, postgresql\+psycopg:// or http"),
        ("file:///tmp/mlruns", r"must start with sqlite:///, postgresql\+psycopg:// or http"),
        ("sqlite:////proc/none/mlflow.db", "cannot be opened"),
        ("http://user:secret@127.0.0.1:9", r"MLflow at http://user:\*\*\*@127.0.0.1:9 failed"),
        (
            "postgresql+psycopg://user:secret@127.0.0.1:9/mlflow",
            r"postgresql\+psycopg://user:\*\*\*@127.0.0.1:9/mlflow cannot be opened",
        ),
    ],
)
def test_mlflow_out_of_reach_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, message: str
) -> None:
    """No stack of retries, no password, one line."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=message) as caught:
        Registry(uri, tmp_path).versions.champion("buoy")

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


class Forbidding(BaseHTTPRequestHandler):
    """MLflow's answers to an account without rights: one model is in its list; all else is forbidden, and no JSON."""

    def do_GET(self) -> None:
        """200 to the list, 403 to anything else."""
        listed = "registered-models/search" in self.path
        self.send_response(200 if listed else 403)
        self.end_headers()
        models = {"registered_models": [{"name": "buoy", "creation_timestamp": 1, "last_updated_timestamp": 1}]}
        self.wfile.write(json.dumps(models).encode() if listed else b"Permission denied")

    def log_message(self, *_: object) -> None:
        """Not a word."""


@pytest.fixture
def forbidding(tmp_path: Path) -> Iterator[Registry]:
    """The registry as such an account sees it."""
    with HTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Registry(f"http://127.0.0.1:{server.server_port}", tmp_path)
        server.shutdown()


def test_a_right_that_is_missing_is_told_from_a_server_that_is_down(forbidding: Registry) -> None:
    """It has a class of its own, because waiting does not help."""
    with pytest.raises(PermissionDeniedError, match="does not allow that to this account"):
        forbidding.versions.champion("buoy")


def test_a_model_that_does_not_exist_has_no_champion(forbidding: Registry) -> None:
    """MLflow says so to its administrator alone, and forbids all others to look at it."""
    assert forbidding.versions.champion("glider") is None


def test_fresh_database_is_made_without_a_word(tmp_path: Path) -> None:
    """MLflow's own log lines and warnings never reach the terminal, and no training package is loaded."""
    code = (
        "import sys, pathlib; from forecasting.registry.registry import Registry; home = pathlib.Path(sys.argv[1])\n"
        "registry = Registry(f'sqlite:///{home}/mlflow.db', home)\n"
        "registry.runs.finish(registry.runs.start('buoy', 'aa', {}).run_id); registry.versions.jobs()\n"
        "sys.exit(bool({'tensorflow', 'keras', 'prefect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "new"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "new" / "mlflow.db").is_file()
