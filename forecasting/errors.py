"""The exception tree: every error that a user can cause or must act on is one of these."""

import errno
from collections.abc import Sequence

__all__ = [
    "ArtifactError",
    "ConfigError",
    "DataError",
    "GatecastError",
    "LockedError",
    "NothingPromotedError",
    "PermissionDeniedError",
    "RefusedVersionError",
    "RegistryError",
    "SourceError",
    "SpaceError",
    "StorageError",
    "TrainingError",
    "UnknownVersionError",
    "no_space",
    "not_installed",
]

_EXTRAS = {  # what the base install leaves out, by the name under which it is imported
    "distributed", "h5netcdf", "holidays", "keras", "onnx", "optuna", "PIL", "plotly", "prefect", "prefect_dask",
    "sklearn", "tensorflow", "xarray",
}  # fmt: skip
_FULL = ("No space left on device", "database or disk is full", "Disk quota exceeded")  # in the words of libraries


class GatecastError(Exception):
    """Base of all errors that Gatecast raises on purpose; its text is one clear message for a person.

    `exit_code` is the exit code of the command line.
    """

    exit_code = 1


class ConfigError(GatecastError):
    """The configuration is wrong; the message lists every violation."""

    exit_code = 2


class SourceError(GatecastError):
    """The source cannot be read: no file, no table, wrong columns, unreadable values."""


class DataError(GatecastError):
    """The data was read but cannot be used; `violations` holds one sentence each."""

    def __init__(self, message: str, violations: Sequence[str] = ()) -> None:
        lines = [message, *(f"  - {violation}" for violation in violations)]
        super().__init__("\n".join(lines))
        self.violations = tuple(violations)


class ArtifactError(GatecastError):
    """A bundle is damaged, incomplete, of an unknown format, or does not reproduce its golden forecast."""


class TrainingError(GatecastError):
    """Training could not start or ended without a usable network."""


class RegistryError(GatecastError):
    """The model registry has no such model, version, or alias, or does not answer."""


class UnknownVersionError(RegistryError):
    """The registry answers, but has no such model, version, or alias."""


class RefusedVersionError(RegistryError):
    """A version that the gate refused is to be promoted, and nobody said that it must be, and why."""


class PermissionDeniedError(RegistryError):
    """The registry answers, but this account may not do that."""


class LockedError(RegistryError):
    """Another process judges or promotes a version of this model, and has not finished in time."""


class NothingPromotedError(GatecastError):
    """No candidate passed the gate and there is no champion to keep serving."""

    exit_code = 3


class StorageError(GatecastError):
    """A stored table is damaged and cannot be read, or a folder cannot be written."""


class SpaceError(GatecastError):
    """A disk is full, or a quota is used up."""


def no_space(error: BaseException | None) -> SpaceError | None:
    """The error to raise if a library failed for lack of disk space; none if it failed for another reason."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(text in str(error) for text in _FULL):
            why = " ".join(str(error).split())
            return SpaceError(f"no space left on a disk: {why}; free some and run again, finished work is kept")
        error = error.__cause__ or error.__context__
    return None


def not_installed(error: ImportError) -> ConfigError | None:
    """The error to raise if a package of an extra is missing; none if something else could not be imported."""
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        return None
    return ConfigError(
        f"the package {package} is not installed: the base install serves models and does not make them;"
        " for all of Gatecast: pip install 'gatecast[all]'"
    )
