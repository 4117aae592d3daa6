"""Registered versions of a job's model: a judged bundle becomes one, and any is found by its number or alias."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from forecasting.bundle.artifact import WEIGHTS, Manifest, checksum, open_bundle
from forecasting.errors import UnknownVersionError
from forecasting.registry.client import connect
from forecasting.runtime.locks import promotion_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["CHALLENGER", "CHAMPION", "COVERED", "INTERVALS", "PREVIOUS", "TWIN", "Version", "Versions", "aliases_of"]

CHAMPION: Final = "champion"  # serves
CHALLENGER: Final = "challenger"  # registered last, judged, not (yet) promoted
PREVIOUS: Final = "previous"  # was champion before; what a rollback brings back

COVERED: Final = "coverage"  # @80: of the 80 % interval, among the metrics of a version
INTERVALS: Final = "intervals_since"  # the note of a version whose intervals have residuals of the backtest alone
TWIN: Final = "twin"  # the note that names the judged version whose place this one took
_MANIFEST: Final = "gatecast.manifest"  # the tag with the checksum of its bundle
_NOTE: Final = "gatecast.note."  # begins the name of every note's tag


@dataclass(frozen=True)
class Version:
    """A registered version of a job's model."""

    job: str
    version: int
    run_id: str
    created: datetime  # UTC
    aliases: tuple[str, ...] = ()
    source: str = ""  # the pyfunc model's address
    model: str = ""  # its name in MODELS or BASELINES
    verdict: str = ""
    weights: str = ""  # sha256 of model.onnx
    manifest: str = ""  # sha256 of its bundle's manifest, and so of all files
    metrics: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # what else is to be known of it, such as until when it saw

    @property
    def coverage(self) -> dict[str, float]:
        """The share of the backtest's readings inside each interval, by its level in percent."""
        mark = f"{COVERED}@"
        return {name.removeprefix(mark): share for name, share in self.metrics.items() if name.startswith(mark)}

    @property
    def judged(self) -> int:
        """The version whose weights were judged: a last fit on all readings knows the backtest."""
        return int(self.notes.get(TWIN, self.version))


@dataclass(frozen=True)
class Versions:
    """All registered versions at `tracking_uri`; `locks` is the folder of the promotion locks."""

    tracking_uri: str
    locks: Path

    def register(
        self,
        job: str,
        run_id: str,
        bundle: Path,
        *,
        verdict: str,
        metrics: Mapping[str, float],
        notes: Mapping[str, str] | None = None,
    ) -> int:
        """Log a judged bundle as a pyfunc model of the run, register it as @challenger, return its version.

        `notes` are kept with the version. The same bundle of the same run is registered once, however often this is
        called.
        """
        checked = open_bundle(bundle)
        tags = {
            **{f"{_NOTE}{name}": text for name, text in (notes or {}).items()},
            _MANIFEST: checksum(bundle),
            "gatecast.weights": checked.manifest.weights,
            "gatecast.model": checked.spec.model,
            "gatecast.verdict": verdict,
            "gatecast.metrics": json.dumps(dict(metrics)),
        }
        with promotion_lock(self.locks, job), connect(self.tracking_uri) as client:
            # Other weights of the same run would be another model: they get their own place and their own version.
            source = f"model-{_content(checked.manifest)[:12]}"
            version = self._only(client, job, f"runs:/{run_id}/{source}")
            if version is None:
                _log_model(client, run_id, bundle, source)
                if job not in self.jobs():
                    client.create_registered_model(job)
                created = client.create_model_version(job, f"runs:/{run_id}/{source}", run_id=run_id, tags=tags)
                version = self._only(client, job, f"runs:/{run_id}/{source}") or int(created.version)
            aliases = aliases_of(client, job)
            if version > max(aliases.values(), default=0):  # an old run that is repeated takes nobody's place
                client.set_registered_model_alias(job, CHALLENGER, str(version))
        return version

    def jobs(self) -> list[str]:
        """The names of all registered models."""
        with connect(self.tracking_uri) as client:
            return sorted(model.name for model in client.search_registered_models(max_results=1000))

    def champion(self, job: str) -> Version | None:
        """The version that serves; None where nothing was promoted yet."""
        return self._named(job, CHAMPION)

    def get(self, job: str, name: str | int) -> Version:
        """The version with this number or alias; raises UnknownVersionError that says which ones there are."""
        found = self._named(job, name)
        if found is not None:
            return found
        known = ", ".join(" @".join([str(v.version), *v.aliases]) for v in self._registered(job))
        raise UnknownVersionError(f"{job} has no version or alias {name}; it has: {known}")

    def every(self, job: str) -> list[Version]:
        """All versions, newest first; raises UnknownVersionError without any."""
        return self._registered(job)

    def table(self, job: str) -> pd.DataFrame:
        """All versions, newest first: version, aliases, model, verdict, created, run_id and one column per metric."""
        rows = [
            {
                "version": version.version,
                "aliases": ", ".join(version.aliases),
                "model": version.model,
                "verdict": version.verdict,
                "created": version.created.replace(tzinfo=None),
                "run_id": version.run_id,
                **{name: value for name, value in version.metrics.items() if "@" not in name},
            }
            for version in self._registered(job)
        ]
        return pd.DataFrame(rows)

    def _only(self, client: MlflowClient, job: str, source: str) -> int | None:
        """The version of this bundle; a second one, made because an answer of MLflow was lost, goes."""
        found = sorted((v for v in self._all(job) if v.source == source), key=lambda v: (not v.aliases, v.version))
        for twin in found[1:]:
            if not twin.aliases:
                client.delete_model_version(job, str(twin.version))
        return found[0].version if found else None

    def _named(self, job: str, name: str | int) -> Version | None:
        """The version with this number or alias, by one request."""
        from mlflow.exceptions import MlflowException

        with connect(self.tracking_uri) as client:
            try:
                if str(name).isdecimal():
                    item = client.get_model_version(job, str(name))
                else:
                    item = client.get_model_version_by_alias(job, str(name))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                # only its administrator is told by MLflow that a model does not exist; others may not see it
                if error.error_code == "PERMISSION_DENIED" and job not in self.jobs():
                    return None
                raise
        return _version_of(item, dict.fromkeys(item.aliases, int(item.version)))

    def _all(self, job: str) -> list[Version]:
        with connect(self.tracking_uri) as client:
            found = client.search_model_versions(f"name = '{job}'", max_results=10_000)
            # The search gives versions without their aliases.
            aliases = aliases_of(client, job) if found else {}
        return sorted((_version_of(item, aliases) for item in found), key=lambda version: -version.version)

    def _registered(self, job: str) -> list[Version]:
        versions = self._all(job)
        if not versions:
            known = ", ".join(self.jobs()) or "none"
            raise UnknownVersionError(f"no model named {job} is registered; known models: {known}")
        return versions


def aliases_of(client: MlflowClient, job: str) -> dict[str, int]:
    """The version that each alias of a job's model names."""
    return {alias: int(version) for alias, version in client.get_registered_model(job).aliases.items()}


def _content(manifest: Manifest) -> str:
    """One checksum of all that forecasts; when it was written and the weights for later fits do not count."""
    files = {name: file.sha256 for name, file in sorted(manifest.files.items()) if name not in WEIGHTS}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _version_of(item: ModelVersion, aliases: Mapping[str, int]) -> Version:
    """What MLflow's item says, with those of the model's aliases that are its own."""
    number = int(item.version)
    return Version(
        job=item.name,
        version=number,
        run_id=item.run_id or "",
        created=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC),
        aliases=tuple(sorted(alias for alias, version in aliases.items() if version == number)),
        source=item.source or "",
        model=item.tags.get("gatecast.model", ""),
        verdict=item.tags.get("gatecast.verdict", ""),
        weights=item.tags.get("gatecast.weights", ""),
        manifest=item.tags.get(_MANIFEST, ""),
        metrics=_metrics_of(item.tags.get("gatecast.metrics", "{}")),
        notes={name.removeprefix(_NOTE): text for name, text in item.tags.items() if name.startswith(_NOTE)},
    )


def _metrics_of(text: str) -> dict[str, float]:
    """The metrics that a tag holds; none where somebody wrote something else into it: they are shown, no more."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    found = content.items() if isinstance(content, dict) else ()
    return {str(name): float(value) for name, value in found if isinstance(value, int | float)}


def _log_model(client: MlflowClient, run_id: str, bundle: Path, artifact_path: str) -> None:
    from forecasting.registry import pyfunc  # it imports MLflow, which takes seconds

    with tempfile.TemporaryDirectory() as scratch:
        pyfunc.save(bundle, Path(scratch) / "model")
        client.log_artifacts(run_id, str(Path(scratch) / "model"), artifact_path)
