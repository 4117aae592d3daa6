"""A registered version of a job's model: what MLflow says of it, and whether a folder holds its bundle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forecasting.bundle.artifact import Manifest, open_bundle
from forecasting.errors import ArtifactError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["CONTENT", "NOTE", "TWIN", "Version", "content_of", "holds", "put", "version_of"]

CONTENT: Final = "gatecast.content"  # the tag with the checksum of its bundle
NOTE: Final = "gatecast.note."  # begins the name of every note's tag
TWIN: Final = "twin"  # the note that names the judged version whose place this one took


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
    content: str = ""  # checksum of the whole bundle
    metrics: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # what else is to be known of it, such as until when it saw

    @property
    def judged(self) -> int:
        """The version whose weights were judged: a last fit on all readings knows the backtest."""
        return int(self.notes.get(TWIN, self.version))


def version_of(item: ModelVersion, aliases: Mapping[str, int]) -> Version:
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
        content=item.tags.get(CONTENT, ""),
        metrics=json.loads(item.tags.get("gatecast.metrics", "{}")),
        notes={name.removeprefix(NOTE): text for name, text in item.tags.items() if name.startswith(NOTE)},
    )


def content_of(manifest: Manifest) -> str:
    """One checksum of all that forecasts; when it was written and the Keras file do not count."""
    files = {name: file.sha256 for name, file in sorted(manifest.files.items()) if name != "model.keras"}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def holds(directory: Path, version: Version) -> bool:
    """Whether the bundle in this folder is whole, and that of the version."""
    try:
        return content_of(open_bundle(directory).manifest) == version.content
    except ArtifactError:
        return False


def put(fetched: Path, target: Path, version: Version) -> None:
    """Rename into place; what lies there already another process has put there, or it is damaged."""
    try:
        os.replace(fetched, target)
    except OSError:
        if holds(target, version):  # it may be in use: it stays
            return
        damaged = fetched.with_name("damaged")
        os.replace(target, damaged)
        os.replace(fetched, target)
