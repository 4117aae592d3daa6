"""Settings from the environment, such as the home and MLflow's address; only entry points import this module."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from forecasting.errors import ConfigError
from forecasting.runtime.workspace import Workspace

__all__ = ["ServeSettings", "Settings"]


def _directory(path: Path) -> Path:
    absolute = path.expanduser().absolute()  # a later change of the working directory must not move home
    if absolute.exists() and not absolute.is_dir():
        raise ConfigError(f"GATECAST_HOME must name a directory, but {absolute} is a file")
    return absolute


class Settings(BaseSettings):
    """Frozen settings, read from `GATECAST_…` environment variables; raises ConfigError if home is a file."""

    model_config = SettingsConfigDict(
        env_prefix="GATECAST_", env_ignore_empty=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    home: Annotated[Path, AfterValidator(_directory)] = Field(Path(".gatecast"), validate_default=True)
    """The folder of all of Gatecast's data."""

    tracking_uri: str = Field(default_factory=lambda data: f"sqlite:///{Workspace(data['home']).database}")
    """The MLflow tracking server; by default a SQLite file in the home."""

    locks: Path = Field(default_factory=lambda data: Workspace(data["home"]).locks)
    """The folder of the locks that serialize promotions, by default in the home; homes of one registry share it."""

    cache: Path = Field(default_factory=lambda data: data["home"])
    """The folder of the service's downloads and notes, by default the home; another one where the service may only read
    its home."""

    jobs: Path = Path("configs")
    """The folder of the jobs that [`gatecast deploy`](cli.md#gatecast-deploy) deploys."""

    datasets: Path = Path("../shared/datasets")
    """Larger public data of some jobs, tests, and benchmarks."""

    notify: Path | None = None
    """A YAML file with the keys of [`notify`](configuration.md#notify), for all jobs that do not say whom to tell."""

    dask: str | None = None
    """The Dask scheduler of [`--runner dask`](batch.md), such as `tls://scheduler:8786`; by default a cluster on this
    machine."""


class ServeSettings(BaseSettings):
    """Settings of the service, read from `GATECAST_SERVE_…` environment variables; raises ValidationError."""

    model_config = SettingsConfigDict(env_prefix="GATECAST_SERVE_", env_ignore_empty=True, frozen=True, extra="ignore")

    names: tuple[str, ...] = ()
    """Registered models, `name` or `name@version`; empty: all with a champion."""

    keys: SecretStr | None = None
    """JSON list of API keys, see docs/serve.md; none: anyone may read and forecast."""

    keys_file: Path | None = None
    """The same in a file."""

    open: bool = False
    """Without keys, listen on other addresses than loopback and answer under every name."""

    hosts: tuple[str, ...] = ()
    """Names under which it answers, `*` for every one; empty: loopback names without keys, every name with keys."""

    origins: tuple[str, ...] = ()
    """Origins of web pages that may call the service."""

    ingest: tuple[Path, ...] = ()
    """YAML files of jobs whose readings `POST /v1/readings` takes."""

    merge_seconds: float = Field(10.0, gt=0)
    """Seconds between two merges of the readings that were taken into the store."""

    event_seconds: float = Field(300.0, gt=0)
    """Seconds between two events of merged readings, which start the flows that follow new readings."""

    max_spool_mb: float = Field(64.0, gt=0)
    """Readings of one job that may wait to be merged; further ones are answered 429."""

    poll_seconds: float = Field(5.0, gt=0)
    """Seconds between two checks of the registry."""

    batch_windows: int = Field(64, ge=1)
    """Largest number of windows in one batch."""

    batch_wait_ms: float = Field(0.0, ge=0, le=1000)
    """Longest wait of a request for others to share its batch."""

    queue: int = Field(256, ge=1)
    """Requests that may wait for a model; further ones are answered 429."""

    timeout_seconds: float = Field(10.0, gt=0)
    """Limit for one request."""

    body_seconds: float = Field(20.0, gt=0)
    """Limit for a client to send a request."""

    notice_seconds: float = Field(1.0, ge=0)
    """After SIGTERM, time of being no longer ready, but still answering."""

    drain_seconds: float = Field(20.0, gt=0)
    """After SIGTERM, time until the service ends, even with requests in progress."""

    threads: int = Field(1, ge=0)
    """Threads that forecast one batch; 0: all cores."""

    max_body_mb: float = Field(16.0, gt=0)
    """Size of one request."""

    max_bodies_mb: float = Field(256.0, gt=0)
    """Size of all requests in progress; further ones are answered 503."""

    max_peer_mb: float = Field(128.0, gt=0)
    """Of the requests under way from one address; behind a proxy all come from one."""

    max_rows: int = Field(200_000, ge=1)
    """Rows of one request."""

    max_series: int = Field(1_000, ge=1)
    """Series of one request."""

    max_symbols: int = Field(10_000, ge=1)
    """Symbols that one request may generate, or send as a prompt."""

    max_bundle_mb: float = Field(200.0, gt=0)
    """Larger bundles are refused."""
