"""The content address of a run: what it depends on changes it, and nothing else does."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forecasting.config.job import Job
from forecasting.config.operation import Schedule
from forecasting.runtime import provenance

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing remembered, before and after."""
    yield
    provenance.code_version.cache_clear()
    provenance.git_commit.cache_clear()


def test_run_key_depends_on_job_and_data_alone(make_job: Callable[..., Job]) -> None:
    """Another seed, another horizon, other readings: another run. Another schedule: the same."""
    job = make_job()
    key = provenance.run_key(job, "data")
    other = [
        provenance.run_key(make_job(train={"seed": 2}), "data"),
        provenance.run_key(make_job(window={"context": 6, "horizon": 4}), "data"),
        provenance.run_key(job, "other data"),
    ]
    assert len({key, *other}) == 4
    assert provenance.run_key(make_job(), "data") == key
    planned = job.model_copy(update={"schedule": Schedule(training="0 6 * * *")})
    assert provenance.run_key(planned, "data") == key


def test_run_key_knows_no_order_of_keys(make_job: Callable[..., Job]) -> None:
    """A job that comes back from a database with its parameters in another order is the same job."""
    params = {"units": [4], "cell": "gru"}
    there = make_job(model={"name": "stacked", "params": params})
    back = make_job(model={"name": "stacked", "params": dict(sorted(params.items()))})
    assert provenance.run_key(there, "data") == provenance.run_key(back, "data")


def test_run_key_depends_on_the_code(
    make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed, renamed or added source file is another code; anything else in the folder is not."""
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)

    def key() -> str:
        provenance.code_version.cache_clear()
        return provenance.run_key(make_job(), "data")

    (tmp_path / "a.py").write_text("x = 1\n")
    keys = [key()]
    (tmp_path / "notes.txt").write_text("nothing")
    assert key() == keys[0]
    (tmp_path / "a.py").write_text("x = 2\n")
    keys.append(key())
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    keys.append(key())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.py").write_text("")
    keys.append(key())
    assert len(set(keys)) == 4


def test_commit_is_that_of_the_working_copy_or_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is no working copy, or git is not there, no commit is made up."""
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() == ""

    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    provenance.git_commit.cache_clear()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert provenance.git_commit() == head.stdout.strip()
    assert len(provenance.git_commit()) == 40

    monkeypatch.setenv("PATH", "")
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() == ""
