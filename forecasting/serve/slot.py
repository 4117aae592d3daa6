"""The place of one served model: what answers now, and how something better takes its place without a gap."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.forecaster import Forecaster, forecaster_of
from forecasting.errors import ArtifactError, GatecastError, RegistryError, StorageError, UnknownVersionError
from forecasting.registry.registry import Registry
from forecasting.registry.versions import CHAMPION, Version
from forecasting.runtime.files import writable, write_text
from forecasting.serve.answering import Answering, Machinery, answering_of
from forecasting.serve.trial import Trials

__all__ = ["Loaded", "Place", "Slot"]

log = logging.getLogger("gatecast.serve")

_PROBLEMS: Final[dict[type[Exception], str]] = {
    ArtifactError: "the version that should answer was refused",
    RegistryError: "the registry did not answer",
    StorageError: "the bundle cannot be kept: its folder cannot be written",
    UnknownVersionError: "no version is registered under the wanted name",
}


_READ_ONLY: Final = "its folder cannot be written: it answers from what it has, and takes no new version"


@dataclass(frozen=True)
class Loaded:
    """A verified model that answers."""

    name: str
    version: int
    manifest: str  # the checksum of the bundle
    forecaster: Forecaster
    answering: Answering
    since: datetime  # UTC
    coverage: Mapping[str, float]  # of its intervals in the backtest, by level in percent; empty: not known


@dataclass(frozen=True)
class Place:
    """What all slots share: the registry, the folder of notes, and what answers are made with."""

    registry: Registry
    notes: Path  # which version answered last, for a start without the registry
    machinery: Machinery
    tried: set[str] = field(default_factory=set)  # manifests of bundles that are whole: they are not tried again


class Slot:
    """One registered name at an alias or a fixed version.

    `refresh` and `restore` block and belong in a thread; `current` may be read anywhere, and what was read goes on
    answering after it was replaced.
    """

    def __init__(self, name: str, wanted: str, place: Place) -> None:
        self.name = name
        self.wanted = wanted or CHAMPION
        self.current: Loaded | None = None
        self.refusal: str | None = None  # why the version that should answer does not
        self.problem: str | None = None  # what went wrong in the last look, in a word that may be shown to anybody
        self._place = place
        self._trials = Trials(place.notes / f"{name}@{self.wanted}.trial", name)
        self._refused: str | None = None  # its manifest: it is not tried again and again
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        last = self._trials.last()
        if last is not None and last.reason is not None:
            self._refused, self.refusal = last.manifest, f"version {last.version}: {last.reason}"

    @property
    def look_age(self) -> float:
        """Seconds since the last look that found what the registry names, or since there is this slot."""
        return time.monotonic() - self._looked

    def restore(self) -> bool:
        """Open what answered last, from the cache alone; False where there is nothing that is whole."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            version, manifest = int(note["version"]), str(note["manifest"])
            covered = {str(level): float(share) for level, share in note.get("coverage", {}).items()}
            directory = self._place.registry.cache.path(self.name, version)
            found = self._open(directory, version, manifest, covered)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, GatecastError):
            return False
        self.current = found
        return True

    def refresh(self, *, again: bool = False) -> bool:
        """Look at the registry and swap where it names another version; True where one was swapped in.

        A version that cannot be used is refused with an ArtifactError, the old one stays, and `refusal` says why; it is
        not looked at again until the registry names another, or with `again`. Raises RegistryError where the registry
        does not answer, or does not give the bundle: that is tried again the next time.
        """
        with self._lock:
            try:
                swapped = self._follow(self._wanted(), again=again)
                self.problem = self._trouble()
            except Exception as error:
                self.problem = _PROBLEMS.get(type(error), f"the look failed: {type(error).__name__}")
                if isinstance(error, ArtifactError | UnknownVersionError):  # the registry answered
                    self._looked = time.monotonic()
                raise
            self._looked = time.monotonic()
            return swapped

    def _trouble(self) -> str | None:
        """What is wrong although the registry answered."""
        if self.refusal is not None:
            return _PROBLEMS[ArtifactError]
        return None if writable(self._place.notes) else _READ_ONLY

    def _follow(self, version: Version, *, again: bool) -> bool:
        if self.current is not None and self.current.manifest == version.manifest:
            if self._refused is not None:
                self._trials.clear()
            self.refusal = self._refused = None
            if self.current.version == version.version:
                return False
        if version.manifest == self._refused and not again:
            return False
        return self._swap(version)

    def _wanted(self) -> Version:
        try:
            return self._place.registry.versions.get(self.name, self.wanted)
        except UnknownVersionError as error:
            self.refusal = str(error)
            raise

    def _swap(self, version: Version) -> bool:
        place = self._place
        try:
            largest = place.machinery.settings.max_bundle_mb * 1e6
            directory = place.registry.cache.download(self.name, version.version, largest=largest)
            if version.manifest not in place.tried:
                self._trials.run(directory, version.version, version.manifest)
            place.tried.add(version.manifest)
            found = self._open(directory, version.version, version.manifest, version.coverage)
        except (RegistryError, OSError) as error:
            if isinstance(error, OSError) and not writable(place.registry.cache.folder):
                self.refusal = f"version {version.version}: {_PROBLEMS[StorageError]}"
                raise StorageError(f"version {version.version}: {error}") from error
            self.refusal = f"version {version.version}: the registry does not give its bundle"  # no address is told
            raise RegistryError(f"version {version.version}: {error}") from error
        except Exception as error:  # whatever is in a bundle, it must not end what answers now
            reason = str(error).replace(str(place.registry.cache.folder), "cache")
            self.refusal, self._refused = f"version {version.version}: {reason}", version.manifest
            self._trials.refuse(version.version, version.manifest, reason)
            raise ArtifactError(self.refusal) from error
        self.current, self.refusal, self._refused = found, None, None
        self._trials.clear()
        self._remember(found)
        self._tidy()
        return True

    def _open(self, directory: Path, version: int, manifest: str, coverage: Mapping[str, float]) -> Loaded:
        """Compare with the registered files, replay the golden forecast, warm up; raises ArtifactError if any fails."""
        machinery = self._place.machinery
        bundle = open_bundle(directory, threads=machinery.settings.threads, registered=manifest)
        forecaster = forecaster_of(bundle)
        forecaster.check()
        answering = answering_of(forecaster, machinery)
        return Loaded(self.name, version, manifest, forecaster, answering, datetime.now(UTC), coverage)

    @property
    def _note(self) -> Path:
        return self._place.notes / f"{self.name}@{self.wanted}.json"

    def _remember(self, loaded: Loaded) -> None:
        """Write the note; where that fails the next start asks the registry, and this one goes on."""
        try:
            note = {"version": loaded.version, "manifest": loaded.manifest, "coverage": dict(loaded.coverage)}
            write_text(self._note, json.dumps(note))
        except OSError as error:
            log.warning("note not written", extra={"model": loaded.name, "reason": error.strerror})

    def _tidy(self) -> None:
        """Drop old downloads, but for those that answered last here or in a process beside this one."""
        try:
            notes = self._place.notes.glob(f"{self.name}@*.json")
            keep = {int(json.loads(note.read_text(encoding="utf-8"))["version"]) for note in notes}
            self._place.registry.cache.prune(self.name, keep)
        except (OSError, ValueError, KeyError, TypeError, RegistryError) as error:
            log.warning("old versions not removed", extra={"model": self.name, "reason": type(error).__name__})
