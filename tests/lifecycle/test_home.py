"""A home is opened as the environment says, or as somebody says instead."""

from pathlib import Path

import pandas as pd
import pytest

from forecasting.config.settings import Settings
from forecasting.lifecycle.home import open_home


def test_store_and_registry_are_those_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One home has its tables, its cache and its own locks; the promotion locks may be shared with others."""
    monkeypatch.setenv("GATECAST_LOCKS", str(home.parent / "shared"))
    monkeypatch.setenv("GATECAST_DASK", "tcp://127.0.0.1:1")
    opened = open_home()
    assert opened.workspace.home == opened.store.workspace.home == home
    assert opened.registry.versions.tracking_uri == f"sqlite:///{home}/mlflow.db"
    assert opened.registry.versions.locks == home.parent / "shared"
    assert opened.workspace.locks == home / "locks"
    assert opened.registry.cache.path("j", 3) == home / "cache" / "j" / "3"
    assert opened.dask == "tcp://127.0.0.1:1"
    assert not home.exists()


def test_settings_win_over_the_environment(home: Path, tmp_path: Path) -> None:
    """What one home stores is not in another."""
    ds = pd.date_range("2024-01-01", periods=2, freq="h", unit="us")
    rows = pd.DataFrame({"unique_id": pd.Series(["a", "a"], dtype="str"), "ds": ds, "y": [1.0, 2.0]})
    other = open_home(Settings(home=tmp_path / "other"))
    other.store.observations.merge("j", rows)
    assert other.workspace.observations("j").is_dir()
    assert open_home().store.observations.version("j") is None
