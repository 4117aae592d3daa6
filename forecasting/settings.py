"""What the environment says: where home is and where MLflow answers; only entry points import this module."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from forecasting.errors import ConfigError

__all__ = ["Settings"]


def _directory(path: Path) -> Path:
    absolute = path.expanduser().absolute()  # a later change of the working directory must not move home
    if absolute.exists() and not absolute.is_dir():
        raise ConfigError(f"GATECAST_HOME must name a directory, but {absolute} is a file")
    return absolute


class Settings(BaseSettings):
    """Frozen settings, read from `GATECAST_…` environment variables; raise ConfigError where home is a file."""

    model_config = SettingsConfigDict(env_prefix="GATECAST_", env_ignore_empty=True, frozen=True, extra="ignore")

    home: Annotated[Path, AfterValidator(_directory)] = Field(Path(".gatecast"), validate_default=True)
    tracking_uri: str = Field(default_factory=lambda data: f"sqlite:///{data['home'] / 'mlflow.db'}")
    datasets: Path = Path("../shared/datasets")  # public data of tests and benchmarks

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps the files of runs and models, unless a tracking server keeps them."""
        return self.home / "artifacts"

    @property
    def tables(self) -> Path:
        """Delta tables: observations, forecasts, scores."""
        return self.home / "tables"

    @property
    def work(self) -> Path:
        """Intermediate results of runs; may be deleted at any time when nothing runs."""
        return self.home / "work"

    @property
    def locks(self) -> Path:
        """File locks that serialise promotions and writes of this home."""
        return self.home / "locks"
