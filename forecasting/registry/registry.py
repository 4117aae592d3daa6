"""MLflow as one home sees it: the runs of a job, its registered versions, their aliases, and downloaded bundles."""

from __future__ import annotations

from pathlib import Path

from forecasting.registry.aliases import Aliases
from forecasting.registry.cache import Cache
from forecasting.registry.runs import Runs
from forecasting.registry.versions import Versions
from forecasting.runtime.workspace import Workspace

__all__ = ["Registry"]


class Registry:
    """The tracking server or database at `tracking_uri`, by subject; local files lie in `home`.

    `locks` is the folder of the promotion locks, by default that of the home; homes of one registry share it. Downloads
    go below `cache`, by default the home. Every
    method of the parts raises RegistryError if MLflow does not answer or has no such run, UnknownVersionError if it has
    no such model, version, or alias. Every writing method may be repeated after a kill and then ends as an undisturbed
    call ends.
    """

    def __init__(self, tracking_uri: str, home: Path, locks: Path | None = None, cache: Path | None = None) -> None:
        workspace = Workspace(home)
        self.runs = Runs(tracking_uri, workspace.artifacts)
        self.versions = Versions(tracking_uri, locks or workspace.locks)
        self.aliases = Aliases(self.versions)
        self.cache = Cache(self.versions, Workspace(cache or home).cache)
