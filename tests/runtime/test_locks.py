"""Locks between processes: they end with their process, say what they wait for, and give up where they are told to."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forecasting.errors import LockedError
from forecasting.runtime.locks import forecast_lock, promotion_lock, run_lock

HOLDER = """
import sys
from pathlib import Path
from forecasting.runtime.locks import run_lock
with run_lock(Path(sys.argv[1]), "j", waiting=lambda text: print(text, file=sys.stderr, flush=True)):
    print("held", flush=True)
    sys.stdin.read()
"""
SILENT = pytest.fail  # who must not wait


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of job `j` until its standard input is closed."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """The next line of its output."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A killed run keeps nobody waiting, and another job never waits; the folder is made."""
    first = holder(tmp_path / "locks")
    assert said(first) == "held\n"
    with run_lock(tmp_path / "locks", "other", waiting=SILENT):
        first.kill()
        first.communicate()
    with run_lock(tmp_path / "locks", "j", waiting=SILENT):
        pass


def test_waiting_run_says_what_it_waits_for(tmp_path: Path) -> None:
    """A person sees why nothing happens, and then it happens."""
    first = holder(tmp_path)
    assert said(first) == "held\n"
    waiter = holder(tmp_path)
    assert waiter.stderr is not None
    assert waiter.stderr.readline() == "waiting for another run of j\n"
    first.communicate()
    output, _ = waiter.communicate()
    assert output == "held\n"


def test_each_purpose_has_a_lock_of_its_own(tmp_path: Path) -> None:
    """A run promotes and forecasts while it is alone; who holds a lock may take it again."""
    with (
        run_lock(tmp_path, "j", waiting=SILENT),
        promotion_lock(tmp_path, "j", 0),
        forecast_lock(tmp_path, "j"),
        promotion_lock(tmp_path, "j", 0),
    ):
        assert len(list(tmp_path.iterdir())) == 3


def test_patience_ends_with_the_reason(tmp_path: Path) -> None:
    """Another thread counts as another: it gets the lock when it is free, not before."""

    def take() -> None:
        with promotion_lock(tmp_path, "j", 0.1):
            pass

    reason = "has held the promotion lock of j for more than 0 s"
    with ThreadPoolExecutor(1) as other:
        with promotion_lock(tmp_path, "j"), pytest.raises(LockedError, match=reason):
            other.submit(take).result()
        other.submit(take).result()


def test_a_failure_gives_the_lock_back(tmp_path: Path) -> None:
    """What is raised inside comes out, and the next one need not wait."""
    with pytest.raises(KeyError), run_lock(tmp_path, "j", waiting=SILENT):
        raise KeyError
    second = holder(tmp_path)
    assert said(second) == "held\n"
    second.communicate()
