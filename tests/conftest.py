"""What all tests share: a quiet, private environment and the folder of larger data sets."""

import os
from pathlib import Path

import pytest

# Read by the packages when they are imported, so they are set before any test is.
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # tests run on the CPU everywhere
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home for every test, so that none sees what another wrote."""
    path = tmp_path / "home"
    monkeypatch.setenv("GATECAST_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of larger public data sets, which does not ship with the project."""
    path = Path(os.environ.get("GATECAST_DATASETS", ROOT / ".." / "shared" / "datasets")).resolve()
    if not path.is_dir():
        pytest.skip("set GATECAST_DATASETS to the folder of the larger data sets")
    return path
