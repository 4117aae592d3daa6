"""Homes of benchmarks: their settings and their registry."""

from __future__ import annotations

from pathlib import Path

from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry

__all__ = ["registry_of", "settings_of"]


def settings_of(home: Path) -> Settings:
    """The settings of that home, with its own database as tracking server."""
    return Settings(home=home, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


def registry_of(home: Path, tracking: str | None = None) -> Registry:
    """The registry of a home; `tracking` names an MLflow other than its own database."""
    place = settings_of(home)
    return Registry(tracking or place.tracking_uri, home, place.locks)
