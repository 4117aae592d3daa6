"""The bundle on disk: written atomically, verified file by file before anything in it is used."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.bundle.predictor import Predictor
from forecasting.bundle.spec import Spec
from forecasting.errors import ArtifactError, GatecastError
from forecasting.runtime.files import replace_folder
from forecasting.series.windows import Batch

__all__ = [
    "WEIGHTS",
    "Bundle",
    "Manifest",
    "Origin",
    "check_files",
    "checksum",
    "is_whole",
    "open_bundle",
    "read_graphs",
    "read_manifest",
    "read_spec",
    "write",
]

FORMAT = 2
_LONGEST = 1_000_000  # bytes of a manifest
GOLDEN_TOLERANCE = 1e-5  # of the forecast's own scale
_MANIFEST = "manifest.json"
WEIGHTS = ("model.keras", "members.zip")  # of a network, of an ensemble's networks: a later fit may begin with them
_FILES = ("spec.json", "model.onnx", "conformal.npz", "golden.npz", "step.onnx", *WEIGHTS)
_NEEDED = _FILES[:4]
_PACKAGES = ("gatecast", "keras", "tensorflow", "onnx", "onnxruntime", "numpy")


class Origin(BaseModel):
    """Where a bundle comes from: enough to make it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_version: str = ""
    git_commit: str = ""
    seed: int = 0
    parity: float = 0.0  # max abs difference between the trained network and its ONNX graph
    steps: int = 0  # optimizer steps
    params: dict[str, Any] = {}  # of the network, defaults included
    precision: str = "float32"  # it was trained in
    fit_until: datetime | None = None  # the last reading that its weights were fitted to; none: unknown
    seen_until: datetime | None = None  # the last reading that chose among weights, in validation


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: int


class Manifest(BaseModel):
    """The list of files with their checksums, the versions that wrote them, and the origin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    created: datetime
    files: dict[str, _File]
    versions: dict[str, str]
    origin: Origin

    @property
    def weights(self) -> str:
        """The sha256 of the model's graphs and weights, recorded by verdicts."""
        sums = [self.files[name].sha256 for name in ("model.onnx", "step.onnx") if name in self.files]
        return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()

    @property
    def weights_file(self) -> str | None:
        """The file that a later fit may begin with, where there is one."""
        return next((name for name in WEIGHTS if name in self.files), None)

    @property
    def size_mb(self) -> float:
        """Megabytes of all files."""
        return sum(file.size for file in self.files.values()) / 1e6


class Bundle(NamedTuple):
    """A verified bundle, whose graphs are open."""

    path: Path
    manifest: Manifest
    spec: Spec
    predictor: Predictor
    calibration: Calibration
    golden: Batch  # a small batch of inputs, whose forecast it reproduced


def write(
    directory: Path,
    spec: Spec,
    graphs: Graphs,
    *,
    calibration: Calibration,
    golden: Batch,
    origin: Origin,
    weights_file: Path | None = None,
) -> Path:
    """Write a bundle so that `directory` holds either all of it or nothing new; an old one is replaced.

    `golden` is a small batch of inputs; the forecast that it must always reproduce is computed here. `weights_file`
    keeps its name, one of WEIGHTS.
    """

    def fill(draft: Path) -> None:
        (draft / "spec.json").write_text(spec.model_dump_json(indent=1), encoding="utf-8")
        (draft / "model.onnx").write_bytes(graphs.model)
        if graphs.step is not None:
            (draft / "step.onnx").write_bytes(graphs.step)
        np.savez(draft / "conformal.npz", allow_pickle=False, **calibration.to_arrays())
        expected = _forecast(Predictor(spec, graphs, threads=1), calibration, golden)
        np.savez(draft / "golden.npz", allow_pickle=False, expected=expected, **golden)
        if weights_file is not None:
            shutil.copyfile(weights_file, draft / weights_file.name)
        manifest = Manifest(
            format=FORMAT,
            created=datetime.now(UTC),
            files={name: _measure((draft / name).read_bytes()) for name in _FILES if (draft / name).exists()},
            versions=_versions(),
            origin=origin,
        )
        (draft / _MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")

    replace_folder(directory, fill)
    return directory


def open_bundle(directory: Path, *, threads: int = 0, registered: str | None = None) -> Bundle:
    """Check the files, open the graphs, and replay the golden forecast; raises ArtifactError if any of it fails.

    Everything is read from the bytes that were checked. `registered` is as for `check_files`.
    """
    manifest, files = _checked(directory, registered)
    spec, graphs = _spec(directory, files["spec.json"]), Graphs(files["model.onnx"], files.get("step.onnx"))
    calibration = Calibration.from_arrays(_arrays(directory / "conformal.npz", files["conformal.npz"]))
    golden = _arrays(directory / "golden.npz", files["golden.npz"])
    if "expected" not in golden:
        raise ArtifactError(f"the bundle {directory} holds no golden forecast")
    expected = golden.pop("expected")
    bundle = Bundle(directory, manifest, spec, Predictor(spec, graphs, threads=threads), calibration, golden)
    _replay(bundle, expected)
    return bundle


def is_whole(directory: Path) -> bool:
    """Whether the directory holds a complete bundle that reproduces its golden forecast."""
    try:
        open_bundle(directory)
    except ArtifactError:
        return False
    return True


def check_files(directory: Path, *, registered: str | None = None) -> Manifest:
    """The manifest of a bundle that holds exactly the files it lists; raises ArtifactError with every fault.

    `registered` is the `checksum` that its manifest must have. No file is parsed as a graph or an archive.
    """
    return _checked(directory, registered)[0]


def checksum(directory: Path) -> str:
    """The sha256 of a bundle's manifest, which lists the checksums of all files: it identifies the bundle."""
    return hashlib.sha256((directory / _MANIFEST).read_bytes()).hexdigest()


def read_spec(directory: Path) -> Spec:
    """The inputs and outputs of a bundle's model; raises ArtifactError if they cannot be read."""
    try:
        return _spec(directory, (directory / "spec.json").read_bytes())
    except OSError as error:
        raise ArtifactError(f"the bundle {directory} cannot be read: {error}") from error


def read_graphs(directory: Path) -> Graphs:
    """The graphs of a bundle, as they are."""
    step = directory / "step.onnx"
    return Graphs((directory / "model.onnx").read_bytes(), step.read_bytes() if step.exists() else None)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a bundle, without a check of its files; raises ArtifactError if it cannot be read."""
    return _manifest(directory, None)


def _checked(directory: Path, registered: str | None) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the content of every listed file except the weights that are kept for training."""
    manifest = _manifest(directory, registered)
    there = {path.name for path in directory.iterdir()} - {_MANIFEST}
    faults = [f"{name}: not a file of a bundle" for name in manifest.files if name not in _FILES]
    faults += [f"{name}: missing from the manifest" for name in _NEEDED if name not in manifest.files]
    faults += [f"{name}: not listed in the manifest" for name in sorted(there - {*manifest.files, *_NEEDED})]
    files: dict[str, bytes] = {}
    for name, expected in manifest.files.items():
        path = directory / name
        if name in _FILES and (not path.is_file() or path.stat().st_size != expected.size):
            faults.append(f"{name}: missing or not {expected.size} bytes long")
        elif name in _FILES and _measure(files.setdefault(name, path.read_bytes())) != expected:
            faults.append(f"{name}: its checksum differs from the manifest's")
    if faults:
        raise ArtifactError("\n".join([f"the bundle {directory} is damaged:", *(f"  - {fault}" for fault in faults)]))
    return manifest, {name: content for name, content in files.items() if name not in WEIGHTS}


def _manifest(directory: Path, registered: str | None) -> Manifest:
    path = directory / _MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{directory} is not a bundle: it has no {_MANIFEST}")
    if path.stat().st_size > _LONGEST:
        raise ArtifactError(f"the manifest of {directory} is longer than {_LONGEST} bytes")
    text = path.read_bytes()
    if registered is not None and hashlib.sha256(text).hexdigest() != registered:
        raise ArtifactError(f"the manifest of {directory} is not the registered one")
    try:
        content = json.loads(text)
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:  # before anything else: its other keys are those of its format
            raise ArtifactError(
                f"the bundle {directory} has format {found}, this release reads format {FORMAT}: train the model again,"
                " or serve it with the release that wrote it"
            )
        return Manifest.model_validate(content)
    except ValueError as error:
        raise ArtifactError(f"the manifest of {directory} cannot be read: {error}") from error


def _spec(directory: Path, content: bytes) -> Spec:
    try:
        return Spec.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(f"the bundle {directory} cannot be read: {error}") from error


def _replay(bundle: Bundle, expected: np.ndarray) -> None:
    try:
        given = _forecast(bundle.predictor, bundle.calibration, bundle.golden)
    except GatecastError as misfit:
        raise ArtifactError(f"the files of the bundle {bundle.path} do not fit together: {misfit}") from misfit
    error = np.max(np.abs(given - expected), initial=0.0) if given.shape == expected.shape else np.inf
    bound = GOLDEN_TOLERANCE * max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    if not error <= bound:
        raise ArtifactError(
            f"the bundle {bundle.path} does not reproduce its golden forecast: off by {error:.3g}, allowed {bound:.3g}"
        )


def _forecast(predictor: Predictor, calibration: Calibration, golden: Batch) -> np.ndarray:
    given = predictor.replay(golden)
    return calibration.apply(given, predictor.spec.wanted) if calibration.quantiles else given


def _arrays(path: Path, content: bytes) -> Batch:
    """All arrays of an npz file; never a pickled object."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if sum(part.file_size for part in arrays.zip.infolist()) > len(content):  # `write` packs nothing
                raise ArtifactError(f"{path} unpacks to more than its {len(content)} bytes")
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error


def _measure(content: bytes) -> _File:
    return _File(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def _versions() -> dict[str, str]:
    installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in _PACKAGES if name in installed}
