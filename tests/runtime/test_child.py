"""A function in a process of its own: its value, its errors, its death, and nothing of it here."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forecasting.errors import ConfigError, DataError, TrainingError
from forecasting.runtime import child
from forecasting.runtime.progress import Progress, heard_by

ROOT = Path(__file__).parents[2]
WORK = '''"""Functions that a child is asked to run."""
import os, signal, time
from pathlib import Path
from forecasting.errors import ConfigError, DataError

only_here = []

def add(a, *, b):
    only_here.append(a)
    return a + b, len(only_here), os.getpid()

def much():
    return bytes(5_000_000)

def refuse():
    raise DataError("2 rows are wrong", ["row 1", "row 7"])

def misconfigured():
    raise ConfigError("units: unknown key")

def bug():
    return [][1]

def tell():
    from forecasting.runtime.progress import Progress, listener
    if listener() is None:
        return "nobody listens"
    for done in (1, 2):
        listener()(Progress("digging", done, 2, "a stone" if done == 2 else ""))
    return "done"

def die(number):
    os.kill(os.getpid(), number)

def leave():
    os._exit(7)

def tick(path):
    while True:
        with Path(path).open("a") as file:
            print(os.getpid(), file=file)
        time.sleep(0.05)'''


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `child_work` that the child can import."""
    (tmp_path / "child_work.py").write_text(WORK, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_the_value_comes_back_and_nothing_else_does() -> None:
    """Positional and named arguments go there, the value comes here; the module is never imported here."""
    value, calls, pid = child.call("child_work:add", 2, b=3)
    again, calls_again, _ = child.call("child_work:add", 4, b=3, timeout=60)
    assert (value, calls, again, calls_again) == (5, 1, 7, 1)
    assert pid != os.getpid()
    assert "child_work" not in sys.modules


def test_a_large_value_comes_back_whole() -> None:
    """More than a pipe holds."""
    assert child.call("child_work:much") == bytes(5_000_000)


def test_an_error_of_gatecast_is_raised_here_as_it_was_there() -> None:
    """Its class, which decides the exit code, its text and its violations survive the way."""
    with pytest.raises(DataError, match="2 rows are wrong") as caught:
        child.call("child_work:refuse")
    assert caught.value.violations == ("row 1", "row 7")
    assert str(caught.value) == "2 rows are wrong\n  - row 1\n  - row 7"
    with pytest.raises(ConfigError, match="units: unknown key"):
        child.call("child_work:misconfigured")


def test_a_bug_is_not_swallowed(capfd: pytest.CaptureFixture[str]) -> None:
    """Any other exception there ends that process with its traceback, and is one clear sentence here."""
    with pytest.raises(TrainingError, match="the training process died with exit code 1; run again to resume"):
        child.call("child_work:bug")
    err = capfd.readouterr().err
    assert "return [][1]" in err
    assert "IndexError" in err


def test_a_killed_process_is_named_with_its_signal() -> None:
    """As when the system runs out of memory."""
    with pytest.raises(TrainingError, match="died of signal SIGKILL; run again"):
        child.call("child_work:die", int(signal.SIGKILL))
    with pytest.raises(TrainingError, match="died with exit code 7; run again"):
        child.call("child_work:leave")


def test_progress_of_the_child_is_heard_here() -> None:
    """Every word in order, before the result; where nobody listens here, nobody does there."""
    words: list[Progress] = []
    with heard_by(words.append):
        assert child.call("child_work:tell") == "done"
    assert words == [Progress("digging", 1, 2), Progress("digging", 2, 2, "a stone")]
    assert child.call("child_work:tell") == "nobody listens"


def test_the_script_of_the_parent_does_not_run_again(tmp_path: Path) -> None:
    """A script calls a child at its top, without a guard; its own name and module are as before afterwards."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('begin')\n"
        "from forecasting.runtime import child\n"
        "print(child.call('child_work:add', 1, b=2)[0], __file__ == __import__('sys').argv[0])\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (["begin", "3 True"], "")


def stands_still(path: Path) -> bool:
    """Whether a file has stopped growing."""
    for _ in range(100):
        size = path.stat().st_size
        time.sleep(0.3)
        if path.stat().st_size == size:
            return True
    return False


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """It says after how many seconds and which key to raise, and the process is gone when it says so."""
    with pytest.raises(TrainingError, match=r"stopped after 4 s; raise train\.timeout"):
        child.call("child_work:tick", str(tmp_path / "ticks"), timeout=4)
    assert stands_still(tmp_path / "ticks")
    pid = int((tmp_path / "ticks").read_text().split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_child_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """Where only the parent is killed, nobody goes on writing into a fit that the next run takes up."""
    ticks = tmp_path / "ticks"
    code = f"from forecasting.runtime import child; child.call('child_work:tick', {str(ticks)!r})"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    try:
        for _ in range(600):
            if ticks.exists() or parent.poll() is not None:
                break
            time.sleep(0.1)
        assert ticks.exists()
    finally:
        parent.kill()
        parent.wait()
    assert stands_still(ticks)


def test_flows_load_no_training_package() -> None:
    """TensorFlow belongs to the child alone: its memory is given back with the process."""
    code = (
        "import sys, pipelines.training, pipelines.ingest, pipelines.batch\n"
        "print(*{'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
