"""The origin of results: the code and packages that make numbers, the commit, the content address of a run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["NUMBERS", "VIEWS", "git_commit", "numbers_version", "run_key"]

_PACKAGE = Path(__file__).parents[1]

# Every module of the library is in one of the two: a new version of the first may compute other numbers,
# the second show or store them, or decide when they are made.
NUMBERS: Final = (
    "batch",
    "bundle",
    "columns.py",
    "evaluation",
    "lifecycle",
    "nn",
    "selection",
    "series",
    "sources",
    "storage",
    "training",
)
VIEWS: Final = (
    "api",
    "cli",
    "config",
    "errors.py",
    "insight",
    "inspection",
    "monitor",
    "notify",
    "py.typed",
    "registry",
    "report",
    "runtime",
    "serve",
    "__init__.py",
)

# distributions whose arithmetic reaches a forecast; the backend of Keras is added
_PACKAGES: Final = ("keras", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn")


@cache
def numbers_version() -> str:
    """SHA-256 of everything that makes numbers: the library's own modules, and the versions of its packages."""
    digest = hashlib.sha256()
    for path in sorted(path for name in NUMBERS for path in _sources(_PACKAGE / name)):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(json.dumps(_package_versions(), sort_keys=True).encode())
    return digest.hexdigest()


@cache
def git_commit() -> str:
    """The commit of the working copy that the library runs from; empty if it was installed from a wheel."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=_PACKAGE, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def run_key(content: Mapping[str, Any], data: str) -> str:
    """The content address of a run: the same job, data, code, and packages give the same results.

    `content` is the part of the job that its results depend on, `data` the fingerprint of the observations.
    """
    parts = (json.dumps(content, sort_keys=True), data, numbers_version())  # databases change the order of keys
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _sources(place: Path) -> list[Path]:
    return list(place.rglob("*.py")) if place.is_dir() else [place] if place.exists() else []


def _package_versions() -> dict[str, str]:
    """The version of each package; empty if it is not installed, as in a service without training."""
    return {name: _installed(name) for name in sorted({*_PACKAGES, _backend()})}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _backend() -> str:
    """The backend that Keras will use, looked up as Keras does, since importing it takes seconds."""
    chosen = os.environ.get("KERAS_BACKEND", "")
    settings = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    if not chosen and settings.exists():
        try:
            chosen = str(json.loads(settings.read_text(encoding="utf-8")).get("backend", ""))
        except (OSError, ValueError):
            chosen = ""
    return chosen or "tensorflow"
