"""Registered bundles on this machine: each downloaded once, whole and verified, and removed when unused."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forecasting.bundle.artifact import check_files
from forecasting.errors import ArtifactError
from forecasting.registry.client import connect
from forecasting.registry.versions import Version, Versions, aliases_of
from forecasting.runtime.files import remove_folder, replace_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Cache"]

_HANDED_OUT: Final = 3600.0  # seconds
_FILES: Final = 100  # in a bundle, folders included


@dataclass(frozen=True)
class Cache:
    """Bundles of these versions under `folder`, which several processes may share."""

    versions: Versions
    folder: Path

    def path(self, job: str, version: int) -> Path:
        """The path of a version's bundle after download."""
        return self.folder / job / str(version)

    def download(self, job: str, name: str | int, *, largest: float = math.inf) -> Path:
        """The directory with the files that were registered as a version or alias; downloaded once.

        Opens none of them. Raises ArtifactError if they differ from the registered ones or exceed `largest` bytes.
        """
        version = self.versions.get(job, name)
        target = self.path(job, version.version)
        if target.is_dir() and _holds(target, version):
            with suppress(OSError):  # a cache that can only be read is as good
                os.utime(target)  # see `prune`
        else:
            replace_folder(
                target,
                lambda draft: self._fetch(version, draft, largest),
                keep=lambda there: _holds(there, version),  # by another process, which may be using it
            )
        return target

    def prune(self, job: str, keep: Collection[int]) -> None:
        """Remove the versions of `job` that have no alias.

        Versions that `download` returned within the last hour stay: another process may be about to open them.
        """
        with connect(self.versions.tracking_uri) as client:
            needed = {*keep, *aliases_of(client, job).values()}
        for place in (self.folder / job).glob("[0-9]*"):
            with suppress(FileNotFoundError):  # another process was faster
                if int(place.name) not in needed and time.time() - place.stat().st_mtime > _HANDED_OUT:
                    remove_folder(place)

    def sweep(self) -> None:
        """Remove what downloads have left that were killed more than an hour ago."""
        for place in self.folder.glob("*/.*-*"):
            with suppress(OSError):
                if time.time() - place.stat().st_mtime > _HANDED_OUT:
                    shutil.rmtree(place, ignore_errors=True)

    def _fetch(self, version: Version, draft: Path, largest: float) -> None:
        path = f"{version.source.partition('/')[2].partition('/')[2]}/artifacts/bundle"
        with tempfile.TemporaryDirectory(dir=draft.parent) as scratch:
            with connect(self.versions.tracking_uri) as client:
                _check_size(client, version.run_id, path, largest)
                fetched = Path(client.download_artifacts(version.run_id, path, scratch))
            try:
                check_files(fetched, registered=version.manifest)  # before anything in it is opened
            except ArtifactError as error:
                named = f"version {version.version} of {version.job}"
                raise ArtifactError(f"{named} is not the bundle that was registered: {error}") from error
            for file in fetched.iterdir():
                file.replace(draft / file.name)


def _check_size(client: MlflowClient, run_id: str, path: str, largest: float) -> None:
    """Raises ArtifactError where all files below a path, however deep, are too large or too many."""
    folders, size, count = [path], 0, 0
    while folders:
        for file in client.list_artifacts(run_id, folders.pop()):
            count, size = count + 1, size + (file.file_size or 0)
            folders += [file.path] if file.is_dir else []
        if count > _FILES:
            raise ArtifactError(f"the bundle has more than {_FILES} files")
    if size > largest:
        raise ArtifactError(f"the bundle has {size / 1e6:.0f} MB, {largest / 1e6:g} are allowed")


def _holds(directory: Path, version: Version) -> bool:
    """Whether this folder holds the files that were registered as the version."""
    try:
        check_files(directory, registered=version.manifest)
    except ArtifactError:
        return False
    return True
