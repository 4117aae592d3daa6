"""A bundle is tried in a process of its own, with limits: whatever is in it, the service goes on."""

from __future__ import annotations

import json
import logging
import resource
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.forecaster import forecaster_of
from forecasting.bundle.rehearsal import rehearse
from forecasting.errors import ArtifactError, TrainingError
from forecasting.runtime.child import call
from forecasting.runtime.files import writable, write_text
from forecasting.runtime.locks import trial_lock

__all__ = ["Trial", "Trials", "examine"]

log = logging.getLogger("gatecast.serve")

_SECONDS: Final = 60
_PATIENCE: Final = 2.0 * _SECONDS  # while a process beside this one tries a version of the same model
_MEMORY: Final = 512_000_000  # bytes more than the process has when it begins, and
_TIMES: Final = 4  # this many times the files: they are read, parsed, and laid out again by the engine
_TRIES: Final = 2  # of a version that ends the service


class Trial(BaseModel):
    """What was tried last, and why it was refused; no reason while that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    manifest: str  # checksum of it
    tries: int
    reason: str | None = None


@dataclass(frozen=True)
class Trials:
    """The trials of one slot, noted in a file: a bundle that ends the service does not end it again and again."""

    note: Path
    job: str

    def last(self) -> Trial | None:
        """What the note says; none where there is no note that can be read."""
        try:
            return Trial.model_validate_json(self.note.read_bytes())
        except (OSError, ValidationError):
            return None

    def run(self, directory: Path, version: int, manifest: str) -> None:
        """Open a bundle, replay its golden forecast and forecast once, elsewhere; raises ArtifactError if any fails.

        `manifest` is the checksum of its manifest. It may take a minute, and half a gigabyte more than its size. Raises
        LockedError where another process takes longer than that.
        """
        with self._alone():
            last = self.last()
            tries = 0 if last is None or last.manifest != manifest or last.reason is not None else last.tries
            if tries >= _TRIES:
                raise ArtifactError(f"the service ended {tries} times while it tried this version")
            self._write(Trial(version=version, manifest=manifest, tries=tries + 1))
            _elsewhere(directory, manifest)

    def refuse(self, version: int, manifest: str, reason: str) -> None:
        """Keep why a version is refused, for the next start."""
        self._write(Trial(version=version, manifest=manifest, tries=0, reason=reason))

    def clear(self) -> None:
        """Nothing is refused, and nothing is under way."""
        with suppress(OSError):
            self.note.unlink(missing_ok=True)

    def _alone(self) -> AbstractContextManager[None]:
        folder = self.note.parent  # one that can only be read knows no other process
        return trial_lock(folder, self.job, _PATIENCE) if writable(folder) else nullcontext()

    def _write(self, trial: Trial) -> None:
        try:
            write_text(self.note, json.dumps(trial.model_dump()))
        except OSError as error:
            log.warning("note not written", extra={"model": self.job, "reason": error.strerror})


def _elsewhere(directory: Path, registered: str) -> None:
    try:
        call("forecasting.serve.trial:examine", directory, registered, timeout=_SECONDS)
    except TrainingError:
        allowed = _allowance(directory) / 1e6
        text = f"trying it took more than {_SECONDS} s or {allowed:.0f} MB, or ended the process that tried it"
        raise ArtifactError(text) from None


def examine(directory: Path, registered: str) -> None:
    """What happens in that process: it cannot take more memory or processor time than is allowed."""
    with suppress(OSError, ValueError):  # where the system knows no such limit, the time is still one
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        limit = used + _allowance(directory)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    try:
        forecaster = forecaster_of(open_bundle(directory, threads=1, registered=registered))
        forecaster.check()
        rehearse(forecaster)
    except ArtifactError:
        raise
    except Exception as error:
        raise ArtifactError(f"it cannot be used: {type(error).__name__}: {error}") from error


def _allowance(directory: Path) -> int:
    return _MEMORY + _TIMES * sum(file.stat().st_size for file in directory.iterdir())
