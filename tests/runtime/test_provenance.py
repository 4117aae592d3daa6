"""The content address of a run: what it depends on changes it, and nothing else does."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forecasting.config.job import Job
from forecasting.config.operation import Schedule
from forecasting.runtime import provenance

ROOT = Path(__file__).parents[2]


def run_key(job: Job, data: str) -> str:
    """The address of a run of this job."""
    return provenance.run_key(job.result_content, data)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing remembered, before and after."""
    yield
    provenance.numbers_version.cache_clear()
    provenance.git_commit.cache_clear()


def test_run_key_depends_on_job_and_data_alone(make_job: Callable[..., Job]) -> None:
    """Another seed, another horizon, other readings: another run. Another schedule: the same."""
    job = make_job()
    key = run_key(job, "data")
    other = [
        run_key(make_job(train={"seed": 2}), "data"),
        run_key(make_job(window={"context": 6, "horizon": 4}), "data"),
        run_key(job, "other data"),
    ]
    assert len({key, *other}) == 4
    assert run_key(make_job(), "data") == key
    planned = job.model_copy(update={"schedule": Schedule(training="0 6 * * *")})
    assert run_key(planned, "data") == key


def test_run_key_knows_no_order_of_keys(make_job: Callable[..., Job]) -> None:
    """A job that comes back from a database with its parameters in another order is the same job."""
    params = {"units": [4], "cell": "gru"}
    there = make_job(model={"name": "stacked", "params": params})
    back = make_job(model={"name": "stacked", "params": dict(sorted(params.items()))})
    assert run_key(there, "data") == run_key(back, "data")


@pytest.fixture
def address(make_job: Callable[..., Job]) -> Callable[[], str]:
    """The address of one job on the same data, by what is installed now."""

    def key() -> str:
        provenance.numbers_version.cache_clear()
        return run_key(make_job(), "data")

    return key


def test_run_key_depends_on_the_code(
    address: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed, renamed or added module that makes numbers is another code; anything else in the folder is not."""
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    series = tmp_path / "series"
    series.mkdir()
    (series / "a.py").write_text("x = 1\n")
    keys = [address()]
    (series / "notes.txt").write_text("nothing")
    assert address() == keys[0]
    (series / "a.py").write_text("x = 2\n")
    keys.append(address())
    (series / "a.py").rename(series / "b.py")
    keys.append(address())
    (series / "sub").mkdir()
    (series / "sub" / "c.py").write_text("")
    keys.append(address())
    assert len(set(keys)) == 4


def test_run_key_does_not_depend_on_what_shows_results(
    address: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another style sheet, page or command is no reason to train again."""
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    before = address()
    for name in ("report/report.css", "report/page.py", "cli/main.py", "serve/app.py", "registry/client.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("changed")
    assert address() == before


@pytest.mark.parametrize("package", ["numpy", "pandas", "keras", "tensorflow", "scikit-learn", "onnx", "onnxruntime"])
def test_an_upgrade_of_what_makes_numbers_is_another_run(
    package: str, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of each package counts; that of one that draws pictures does not."""
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    before, installed = address(), provenance._installed
    upgraded = {package: "99.0"}
    monkeypatch.setattr(provenance, "_installed", lambda name: upgraded.get(name) or installed(name))
    assert address() != before
    upgraded = {"plotly": "99.0"}
    assert address() == before


def test_another_backend_is_another_run(
    address: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend is found as Keras finds it: in the environment, else in its own file."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    default = address()
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    configured = address()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert address() == default
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert address() == configured != default


def test_every_module_either_makes_numbers_or_shows_them() -> None:
    """A new package cannot be forgotten: it stands in one of the two lists, and in one only."""
    top = {path.name for path in (ROOT / "forecasting").iterdir() if path.name != "__pycache__"}
    assert sorted([*provenance.NUMBERS, *provenance.VIEWS]) == sorted(top)


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
