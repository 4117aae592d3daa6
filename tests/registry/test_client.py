"""MLflow's own database: it is there whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forecasting.errors import RegistryError
from forecasting.registry.client import connect

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
