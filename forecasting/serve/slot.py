"""The place of one served model: what answers now, and how something better takes its place without a gap."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from forecasting.bundle.artifact import verify
from forecasting.bundle.forecaster import Forecaster
from forecasting.bundle.spec import Spec
from forecasting.bundle.symbols import SymbolForecaster
from forecasting.config.settings import ServeSettings
from forecasting.errors import ArtifactError, GatecastError, RegistryError, UnknownVersionError
from forecasting.registry.registry import CHAMPION, Registry, Version, content_of
from forecasting.runtime.files import write_text
from forecasting.runtime.processes import cores
from forecasting.series.windows import Batch
from forecasting.serve.batching import Batcher
from forecasting.serve.offload import Aside

__all__ = ["Loaded", "Place", "Slot"]

_CORES: Final = cores()

log = logging.getLogger("gatecast.serve")


@dataclass(frozen=True)
class Loaded:
    """A verified model that answers."""

    name: str
    version: int
    content: str  # checksum of the bundle
    forecaster: Forecaster
    batcher: Batcher
    aside: Aside
    symbols: SymbolForecaster | None  # of a model of symbols, which answers in place of the forecaster
    since: datetime  # UTC


@dataclass(frozen=True)
class Place:
    """What all slots share: the registry, the folders of downloads and of notes, and the threads."""

    registry: Registry
    cache: Path
    notes: Path  # which version answered last, for a start without the registry
    executor: Executor
    aside: Aside
    settings: ServeSettings


class Slot:
    """One registered name at an alias or a fixed version.

    `refresh` and `restore` block and belong in a thread; `current` may be read anywhere, and what was read goes on
    answering after it was replaced.
    """

    def __init__(self, name: str, wanted: str, place: Place, seen: Callable[[int, int], None]) -> None:
        self.name = name
        self.wanted = wanted or CHAMPION
        self.current: Loaded | None = None
        self.refusal: str | None = None  # why the version that should answer does not
        self._place = place
        self._seen = seen
        self._refused: str | None = None  # its content: it is not tried again and again
        self._lock = threading.Lock()

    def restore(self) -> bool:
        """Open what answered last, from the cache alone; False where there is nothing that is whole."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            version, content = int(note["version"]), str(note["content"])
            found = self._open(self._place.cache / self.name / str(version), version, content)
        except (OSError, ValueError, KeyError, TypeError, GatecastError):
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
            version = self._wanted()
            if self.current is not None and self.current.content == version.content:
                self.refusal = self._refused = None
                if self.current.version == version.version:
                    return False
            if version.content == self._refused and not again:
                return False
            return self._swap(version)

    def _wanted(self) -> Version:
        try:
            return self._place.registry.version(self.name, self.wanted)
        except UnknownVersionError as error:
            self.refusal = str(error)
            raise

    def _swap(self, version: Version) -> bool:
        place = self._place
        try:
            largest = place.settings.max_bundle_mb * 1e6
            directory = place.registry.download(self.name, version.version, place.cache, largest=largest)
            found = self._open(directory, version.version, version.content)
        except (RegistryError, OSError) as error:
            self.refusal = f"version {version.version}: the registry does not give its bundle"  # no address is told
            raise RegistryError(f"version {version.version}: {error}") from error
        except Exception as error:  # whatever is in a bundle, it must not end what answers now
            reason = str(error).replace(str(place.cache), "cache")
            self.refusal, self._refused = f"version {version.version}: {reason}", version.content
            raise ArtifactError(self.refusal) from error
        self.current, self.refusal, self._refused = found, None, None
        self._remember(found)
        self._tidy()
        return True

    def _open(self, directory: Path, version: int, content: str) -> Loaded:
        """Verify, replay the golden forecast, warm up; raises ArtifactError for anything that must not answer."""
        settings = self._place.settings
        bundle = verify(directory, threads=settings.threads)
        if content_of(bundle.manifest) != content:
            raise ArtifactError(f"{directory} does not hold the bundle of version {version}")
        with np.load(directory / "golden.npz", allow_pickle=False) as golden:
            batch = {name: golden[name] for name in golden.files if name != "expected"}
        found = bundle.predictor.quantiles(batch)
        if not np.isfinite(found).all():
            raise ArtifactError("its forecasts are not finite")
        if not _fits(batch, found, bundle.spec):
            raise ArtifactError("its graph reads or gives other shapes than its specification says")
        batcher = Batcher(
            bundle.predictor.quantiles,
            self._place.executor,
            most=settings.batch_windows,
            wait=settings.batch_wait_ms / 1000,
            capacity=settings.queue,
            calls=_CORES if settings.batch_windows == 1 else 1,  # where none are shared, they run side by side
            seen=self._seen,
        )
        symbols = None if bundle.spec.symbols is None else SymbolForecaster(bundle, threads=settings.threads)
        return Loaded(
            name=self.name,
            version=version,
            content=content,
            forecaster=Forecaster(bundle),
            batcher=batcher,
            aside=self._place.aside,
            symbols=symbols,
            since=datetime.now(UTC),
        )

    @property
    def _note(self) -> Path:
        return self._place.notes / f"{self.name}@{self.wanted}.json"

    def _remember(self, loaded: Loaded) -> None:
        """Write the note; where that fails the next start asks the registry, and this one goes on."""
        try:
            write_text(self._note, json.dumps({"version": loaded.version, "content": loaded.content}))
        except OSError as error:
            log.warning("note not written", extra={"model": loaded.name, "reason": error.strerror})

    def _tidy(self) -> None:
        """Drop old downloads, but for those that answered last here or in a process beside this one."""
        try:
            notes = self._place.notes.glob(f"{self.name}@*.json")
            keep = {int(json.loads(note.read_text(encoding="utf-8"))["version"]) for note in notes}
            self._place.registry.prune(self.name, self._place.cache, keep)
        except (OSError, ValueError, KeyError, TypeError, RegistryError) as error:
            log.warning("old versions not removed", extra={"model": self.name, "reason": type(error).__name__})


def _fits(batch: Batch, found: np.ndarray, spec: Spec) -> bool:
    """Whether the golden inputs and quantiles have the steps and levels that requests will be given."""
    if spec.symbols is not None:  # texts of any length
        return True
    places = 1 if spec.layout is None else spec.layout.places
    steps = {"past": spec.context, "future": spec.horizon}
    wanted = (len(batch["past"]), spec.horizon * places, len(spec.quantiles))
    return found.shape == wanted and all(batch[name].shape[1] == steps[name] for name in steps if name in batch)
