"""The workspace: where a run keeps things, and that it is alone there."""

import subprocess
import sys

import pytest

from pipelines.workspace import workspace

HOLDER = """
import sys
from pipelines.workspace import workspace
with workspace().alone("j"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder() -> subprocess.Popen[str]:
    """A process that holds the lock of job `j` until its standard input is closed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_lock_goes_with_its_process(capsys: pytest.CaptureFixture[str]) -> None:
    """A killed run keeps nobody waiting, and another job never waits."""
    first = holder()
    with workspace().alone("other"):
        first.kill()
        first.communicate()
    with workspace().alone("j"):
        assert capsys.readouterr().err == ""


def test_waiting_run_says_what_it_waits_for() -> None:
    """A person sees why nothing happens."""
    first = holder()
    second = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr is not None
    assert second.stderr.readline() == "waiting: another run of j is under way\n"
    first.communicate()
    output, _ = second.communicate()
    assert output == "held\n"


def test_same_content_has_the_same_folder() -> None:
    """A killed run finds what it had done; another key, another folder."""
    place = workspace()
    assert place.run("j", "a" * 64) == place.run("j", "a" * 64)
    assert place.run("j", "a" * 64) != place.run("j", "b" * 64)
    assert place.run("j", "a" * 64).is_relative_to(place.home)
