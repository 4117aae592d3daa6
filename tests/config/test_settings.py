"""Settings come from the environment, with defaults under one home."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from forecasting.config.settings import Settings
from forecasting.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "TRACKING_URI", "DATASETS"):
        monkeypatch.delenv(f"GATECAST_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_lie_under_an_absolute_home(tmp_path: Path) -> None:
    """Without an environment everything lies under .gatecast of the working directory."""
    settings = Settings()

    assert settings.home == tmp_path / ".gatecast"
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/.gatecast/mlflow.db"
    assert settings.locks == tmp_path / ".gatecast" / "locks"


def test_environment_wins_and_moves_the_database_with_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """GATECAST_HOME moves all paths; GATECAST_TRACKING_URI replaces the database only."""
    monkeypatch.setenv("GATECAST_HOME", str(tmp_path / "elsewhere"))
    moved = Settings()
    monkeypatch.setenv("GATECAST_TRACKING_URI", "http://mlflow:5000")
    remote = Settings()

    assert moved.tracking_uri == f"sqlite:///{tmp_path}/elsewhere/mlflow.db"
    assert remote.tracking_uri == "http://mlflow:5000"
    assert remote.home == moved.home == tmp_path / "elsewhere"


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty GATECAST_HOME does not turn the working directory itself into home."""
    monkeypatch.setenv("GATECAST_HOME", "")

    assert Settings().home == tmp_path / ".gatecast"


def test_home_that_is_a_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file in home's place gives one sentence that names the variable and the file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("GATECAST_HOME", str(tmp_path / "file"))

    with pytest.raises(ConfigError, match=r"GATECAST_HOME must name a directory, but .*/file is a file"):
        Settings()


def test_settings_are_frozen() -> None:
    """Nobody changes home halfway through a run."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().home = Path("/elsewhere")  # type: ignore[misc]
