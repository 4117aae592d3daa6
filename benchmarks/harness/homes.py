"""Homes of benchmarks: their settings and their registry, and the folder of public data."""

from __future__ import annotations

import sys
from pathlib import Path

from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry

__all__ = ["data_folder", "registry_of", "settings_of"]


def data_folder() -> Path:
    """The folder of the larger public data sets; without one the process ends with a sentence."""
    folder = Settings().datasets
    if not folder.is_dir():
        sys.exit(f"there is no folder {folder}: set GATECAST_DATASETS to the folder of the larger data sets")
    return folder


def settings_of(home: Path) -> Settings:
    """The settings of that home, with its own database as tracking server."""
    return Settings(home=home, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


def registry_of(home: Path, tracking: str | None = None) -> Registry:
    """The registry of a home; `tracking` names an MLflow other than its own database."""
    place = settings_of(home)
    return Registry(tracking or place.tracking_uri, home, place.locks)
