"""Aliases say which version serves: promotion, rollback, and the journal that completes a killed move."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from forecasting.errors import RefusedVersionError, UnknownVersionError
from forecasting.registry.client import connect
from forecasting.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, Version, Versions, aliases_of
from forecasting.runtime.locks import promotion_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Aliases", "Cause"]

_MOVE: Final = "gatecast.move"  # of a registered model: the alias move in progress
_AUDIT: Final = "gatecast.audit."  # begins the tag of every finished move, with its time
_LONGEST: Final = 1000  # characters of a reason


class Cause(NamedTuple):
    """Who moves an alias, from where, and why; with `force` even to a version that the gate refused."""

    why: str = ""
    by: str = ""  # none: the user of this process
    address: str = ""  # none: this machine
    force: bool = False

    def plain(self) -> dict[str, str]:
        """The cause as the audit keeps it."""
        by, address = self.by or _user(), self.address or socket.gethostname()
        return {"by": by, "from": address, "why": self.why[:_LONGEST]}


@dataclass(frozen=True)
class Aliases:
    """The aliases of these versions."""

    versions: Versions

    def promote(self, job: str, version: int, *, cause: Cause | None = None, patience: float | None = None) -> None:
        """Make `version` the champion; the old champion becomes @previous.

        Raises RefusedVersionError for a version that the gate refused, unless the cause forces it and says why;
        LockedError, with nothing moved, if another process holds the promotion lock for more than `patience` seconds.
        """
        cause = cause or Cause()
        with self.lock(job, patience), connect(self.versions.tracking_uri) as client:
            _check_verdict(self.versions.get(job, version), cause)
            _end_move(client, job)
            champion = aliases_of(client, job).get(CHAMPION)
            if champion != version:
                _move(client, job, {"by": "promote", CHAMPION: version, PREVIOUS: champion}, cause)

    def replace_twin(self, job: str, version: int, twin: int) -> bool:
        """Put `version` in the place of its judged twin, if that is the champion; @previous stays.

        Returns whether `version` serves now.
        """
        with self.lock(job), connect(self.versions.tracking_uri) as client:
            self.versions.get(job, version)
            _end_move(client, job)
            champion = aliases_of(client, job).get(CHAMPION)
            if champion == twin:
                cause = Cause("fitted once more on all readings")
                _move(client, job, {"by": "replace_twin", CHAMPION: version, PREVIOUS: None}, cause)
            return champion in (version, twin)

    def rollback(self, job: str, *, cause: Cause | None = None, patience: float | None = None) -> int:
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
            move = {"by": "rollback", CHAMPION: aliases[PREVIOUS], PREVIOUS: aliases.get(CHAMPION)}
            _move(client, job, move, cause or Cause())
            return aliases[PREVIOUS]

    def history(self, job: str) -> list[dict[str, Any]]:
        """The audit of all moves, newest first: at (UTC), what, version, before, by, from, why.

        Raises UnknownVersionError if there is no such model.
        """
        with connect(self.versions.tracking_uri) as client:
            self.versions.table(job)
            tags = client.get_registered_model(job).tags
        return [json.loads(tags[name]) for name in sorted(tags, reverse=True) if name.startswith(_AUDIT)]

    def lock(self, job: str, patience: float | None = None) -> AbstractContextManager[None]:
        """Hold the lock on the aliases of `job`; MLflow writes them without compare-and-set.

        Judging and promoting belong under one lock; `promote` and `rollback` may be called while it is held. Raises
        LockedError if another process holds it for more than `patience` seconds.
        """
        return promotion_lock(self.versions.locks, job, patience)


def _check_verdict(version: Version, cause: Cause) -> None:
    if version.verdict != "refused" or (cause.force and cause.why.strip()):
        return
    raise RefusedVersionError(
        f"the gate refused version {version.version} of {version.job}; to make it the champion all the same, force the"
        " promotion and say why"
    )


def _user() -> str:
    """The user of this process; containers often have no name for theirs."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _move(client: MlflowClient, job: str, move: Mapping[str, Any], cause: Cause) -> None:
    # several aliases change together: the target is written down first, so that a kill can be repaired
    now = datetime.now(UTC).replace(tzinfo=None)
    at = f"{now.isoformat(timespec='microseconds')}Z"  # a plus has no place in the name of a tag
    audit = {"at": at, "what": move["by"], "version": move[CHAMPION], "before": aliases_of(client, job).get(CHAMPION)}
    if cause.force:
        audit["what"] = f"{move['by']}, forced"
    client.set_registered_model_tag(job, _MOVE, json.dumps({**move, "audit": audit | cause.plain()}))
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
    if "audit" in move:  # moves that an older release began have none
        client.set_registered_model_tag(job, f"{_AUDIT}{move['audit']['at']}", json.dumps(move["audit"]))
    client.delete_registered_model_tag(job, _MOVE)
    return str(move["by"])
