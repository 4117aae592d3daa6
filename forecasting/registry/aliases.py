"""Aliases say which version serves: promotion, rollback, and the journal that completes a killed move."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from forecasting.errors import UnknownVersionError
from forecasting.registry.client import connect
from forecasting.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, Versions, aliases_of
from forecasting.runtime.locks import promotion_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Aliases"]

_MOVE: Final = "gatecast.move"  # of a registered model: the alias move in progress


@dataclass(frozen=True)
class Aliases:
    """The aliases of these versions."""

    versions: Versions

    def promote(self, job: str, version: int, *, patience: float | None = None) -> None:
        """Make `version` the champion; the old champion becomes @previous.

        Raises LockedError, with nothing moved, if another process holds the promotion lock for more than `patience`
        seconds.
        """
        with self.lock(job, patience), connect(self.versions.tracking_uri) as client:
            self.versions.get(job, version)
            _end_move(client, job)
            champion = aliases_of(client, job).get(CHAMPION)
            if champion != version:
                _move(client, job, {"by": "promote", CHAMPION: version, PREVIOUS: champion})

    def replace_twin(self, job: str, version: int, twin: int) -> bool:
        """Put `version` in the place of its judged twin, if that is the champion; @previous stays.

        Returns whether `version` serves now.
        """
        with self.lock(job), connect(self.versions.tracking_uri) as client:
            self.versions.get(job, version)
            _end_move(client, job)
            champion = aliases_of(client, job).get(CHAMPION)
            if champion == twin:
                _move(client, job, {"by": "replace_twin", CHAMPION: version, PREVIOUS: None})
            return champion in (version, twin)

    def rollback(self, job: str, *, patience: float | None = None) -> int:
        """Swap @champion and @previous and return the version that serves now.

        Repeated after a kill, it completes the swap; repeated after a completed swap, it swaps back. `patience` is that
        of `promote`.
        """
        with self.lock(job, patience), connect(self.versions.tracking_uri) as client:
            self.versions.table(job)  # raises UnknownVersionError that lists the models there are
            ended = _end_move(client, job)
            aliases = aliases_of(client, job)
            if ended == "rollback":
                return aliases[CHAMPION]
            if PREVIOUS not in aliases:
                raise UnknownVersionError(f"{job} has no previous champion to roll back to")
            _move(client, job, {"by": "rollback", CHAMPION: aliases[PREVIOUS], PREVIOUS: aliases.get(CHAMPION)})
            return aliases[PREVIOUS]

    def lock(self, job: str, patience: float | None = None) -> AbstractContextManager[None]:
        """Hold the lock on the aliases of `job`; MLflow writes them without compare-and-set.

        Judging and promoting belong under one lock; `promote` and `rollback` may be called while it is held. Raises
        LockedError if another process holds it for more than `patience` seconds.
        """
        return promotion_lock(self.versions.locks, job, patience)


def _move(client: MlflowClient, job: str, move: Mapping[str, Any]) -> None:
    # several aliases change together: the target is written down first, so that a kill can be repaired
    client.set_registered_model_tag(job, _MOVE, json.dumps(move))
    _end_move(client, job)


def _end_move(client: MlflowClient, job: str) -> str | None:
    """Complete a move in progress, if there is one, and return its name."""
    text = client.get_registered_model(job).tags.get(_MOVE)
    if text is None:
        return None
    move: dict[str, Any] = json.loads(text)
    for alias in (CHAMPION, PREVIOUS):
        if move[alias] is not None:
            client.set_registered_model_alias(job, alias, str(move[alias]))
    if aliases_of(client, job).get(CHALLENGER) == move[CHAMPION]:
        client.delete_registered_model_alias(job, CHALLENGER)
    client.delete_registered_model_tag(job, _MOVE)
    return str(move["by"])
