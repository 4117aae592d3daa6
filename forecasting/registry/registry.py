"""MLflow: the runs of a job, its registered versions, and the aliases that say which of them is live."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import pandas as pd
from filelock import FileLock, Timeout

from forecasting.bundle.artifact import open_bundle
from forecasting.errors import ArtifactError, LockedError, RegistryError, UnknownVersionError
from forecasting.registry.client import connect
from forecasting.registry.versions import CONTENT, NOTE, Version, content_of, holds, put, version_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "Registry", "Run", "Version", "content_of"]

CHAMPION: Final = "champion"  # serves
CHALLENGER: Final = "challenger"  # registered last, judged, not (yet) promoted
PREVIOUS: Final = "previous"  # was champion before; what a rollback brings back

_KEY = "gatecast.key"  # of a run: the content address of everything that it depends on
_MOVE = "gatecast.move"  # of a registered model: an alias move that has begun
_LOCK_SECONDS = 600.0
_HANDED_OUT = 3600.0  # seconds
_BATCH = 1000  # metrics per request, MLflow's limit


class Run(NamedTuple):
    """A run of a job; `finished` runs need not be repeated."""

    run_id: str
    finished: bool


@dataclass(frozen=True)
class Registry:
    """The tracking server or database at `tracking_uri`; run files lie under `artifacts` unless a server keeps them.

    Every method raises RegistryError when MLflow does not answer or has no such run, UnknownVersionError when it has no
    such model, version or alias.
    Every writing method may be repeated after a kill and then ends where an undisturbed call ends.
    """

    tracking_uri: str
    artifacts: Path
    locks: Path

    # Runs

    def start_run(
        self, job: str, key: str, params: Mapping[str, str | float | int], tags: Mapping[str, str] | None = None
    ) -> Run:
        """The run of `job` whose content address is `key`: the finished or interrupted one, else a new one.

        Other runs of the job that nobody has ended are KILLED; each goes on once it is started again.
        """
        with self._mlflow() as client:
            experiment = self._experiment(client, job)
            found = _runs_of(client, experiment, key)
            if any(run.info.status == "FINISHED" for run in found):
                return Run(next(run.info.run_id for run in found if run.info.status == "FINISHED"), finished=True)
            if not found:
                client.create_run(experiment, tags={_KEY: key}, run_name=f"{job}-{key[:8]}")
                found = _runs_of(client, experiment, key)
            run_id, *twins = (str(run.info.run_id) for run in found)
            for twin in twins:  # an answer was lost, so MLflow's client has asked once more
                client.delete_run(twin)
            client.update_run(run_id, status="RUNNING")
            for other in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
                if _KEY in other.data.tags and other.info.run_id != run_id:
                    client.set_terminated(other.info.run_id, "KILLED")
            for name, value in params.items():
                client.log_param(run_id, name, value)
        self.set_tags(run_id, tags or {})
        return Run(run_id, finished=False)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float | Sequence[float]]) -> None:
        """Log numbers, and curves with one value per step from 1 on."""
        from mlflow.entities import Metric

        with self._mlflow() as client:
            # The run's own start, not now: a repeated call then repeats the same points instead of adding more.
            stamp = client.get_run(run_id).info.start_time
            points = [
                Metric(name, float(value), stamp, step)
                for name, curve in metrics.items()
                for step, value in (enumerate(curve, 1) if isinstance(curve, Sequence) else [(0, curve)])
            ]
            for start in range(0, len(points), _BATCH):
                client.log_batch(run_id, metrics=points[start : start + _BATCH])

    def log_artifacts(self, run_id: str, directory: Path, artifact_path: str | None = None) -> None:
        """Copy the files of `directory` into the run."""
        with self._mlflow() as client:
            client.log_artifacts(run_id, str(directory), artifact_path)

    def log_text(self, run_id: str, text: str, artifact_path: str) -> None:
        """Keep a text in the run as a file, for example `verdict.json`."""
        with self._mlflow() as client:
            client.log_text(run_id, text, artifact_path)

    def read_text(self, run_id: str, artifact_path: str) -> str:
        """The text of a run's file; raises RegistryError if the run has no such file."""
        with tempfile.TemporaryDirectory() as scratch, self._mlflow() as client:
            return Path(client.download_artifacts(run_id, artifact_path, scratch)).read_text(encoding="utf-8")

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags of the run."""
        with self._mlflow() as client:
            for name, value in tags.items():
                client.set_tag(run_id, name, value)

    def finish(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED") -> None:
        """End the run; only a FINISHED one is never repeated."""
        with self._mlflow() as client:
            client.set_terminated(run_id, status)

    # Versions

    def register(
        self,
        job: str,
        run_id: str,
        bundle: Path,
        *,
        verdict: str,
        metrics: Mapping[str, float],
        notes: Mapping[str, str] | None = None,
    ) -> int:
        """Log a judged bundle as a pyfunc model of the run, register it as @challenger, return its version.

        `notes` are kept with the version. The same bundle of the same run is registered once, however often this is
        called.
        """
        checked = open_bundle(bundle)
        tags = {
            **{f"{NOTE}{name}": text for name, text in (notes or {}).items()},
            CONTENT: content_of(checked.manifest),
            "gatecast.weights": checked.manifest.weights,
            "gatecast.model": checked.spec.model,
            "gatecast.verdict": verdict,
            "gatecast.metrics": json.dumps(dict(metrics)),
        }
        with self.promotion_lock(job), self._mlflow() as client:
            # Other weights of the same run would be another model: they get their own place and their own version.
            source = f"model-{tags[CONTENT][:12]}"
            version = self._only(client, job, f"runs:/{run_id}/{source}")
            if version is None:
                _log_model(client, run_id, bundle, source)
                if job not in self.jobs():
                    client.create_registered_model(job)
                created = client.create_model_version(job, f"runs:/{run_id}/{source}", run_id=run_id, tags=tags)
                version = self._only(client, job, f"runs:/{run_id}/{source}") or int(created.version)
            aliases = self._aliases(client, job)
            if version > max(aliases.values(), default=0):  # an old run that is repeated takes nobody's place
                client.set_registered_model_alias(job, CHALLENGER, str(version))
        return version

    def jobs(self) -> list[str]:
        """The names of all registered models."""
        with self._mlflow() as client:
            return sorted(model.name for model in client.search_registered_models(max_results=1000))

    def champion(self, job: str) -> Version | None:
        """The version that serves; None where nothing was promoted yet."""
        return self._named(job, CHAMPION)

    def version(self, job: str, name: str | int) -> Version:
        """The version with this number or alias; raises RegistryError that says which ones there are."""
        found = self._named(job, name)
        if found is not None:
            return found
        known = ", ".join(" @".join([str(v.version), *v.aliases]) for v in self._registered(job))
        raise UnknownVersionError(f"{job} has no version or alias {name}; it has: {known}")

    def versions(self, job: str) -> pd.DataFrame:
        """All versions, newest first: version, aliases, model, verdict, created, run_id and one column per metric."""
        rows = [
            {
                "version": version.version,
                "aliases": ", ".join(version.aliases),
                "model": version.model,
                "verdict": version.verdict,
                "created": version.created.replace(tzinfo=None),
                "run_id": version.run_id,
                **version.metrics,
            }
            for version in self._registered(job)
        ]
        return pd.DataFrame(rows)

    def download(self, job: str, name: str | int, cache: Path, *, largest: float = math.inf) -> Path:
        """The directory `cache/job/version` with the verified bundle of a version or alias; downloaded once.

        Raises ArtifactError for a bundle that is damaged, or has more than `largest` bytes.
        """
        version = self.version(job, name)
        target = cache / job / str(version.version)
        if target.is_dir() and holds(target, version):
            os.utime(target)  # see `prune`
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{version.version}-", dir=target.parent) as scratch:
            with self._mlflow() as client:
                path = f"{version.source.partition('/')[2].partition('/')[2]}/artifacts/bundle"
                size = sum(file.file_size or 0 for file in client.list_artifacts(version.run_id, path))
                if size > largest:
                    raise ArtifactError(f"the bundle has {size / 1e6:.0f} MB, allowed are {largest / 1e6:g}")
                fetched = Path(client.download_artifacts(version.run_id, path, scratch))
            if content_of(open_bundle(fetched).manifest) != version.content:
                raise ArtifactError(f"version {version.version} of {job} is not the bundle that was registered")
            put(fetched, target, version)
        return target

    def prune(self, job: str, cache: Path, keep: Collection[int]) -> None:
        """Remove the versions of `job` from a cache that others may share, but for those that have an alias.

        What is to be kept stays, and what `download` handed out within the last hour: somebody may just open it.
        """
        with self._mlflow() as client:
            needed = {*keep, *self._aliases(client, job).values()}
        for place in (cache / job).glob("[0-9]*"):
            with suppress(FileNotFoundError):  # another process was faster
                if int(place.name) not in needed and time.time() - place.stat().st_mtime > _HANDED_OUT:
                    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as gone:
                        os.replace(place, Path(gone) / place.name)  # nobody meets half of it

    # Aliases

    def promote(self, job: str, version: int, *, patience: float | None = None) -> None:
        """Make `version` the champion; the champion before it becomes @previous.

        Raises LockedError where others hold the promotion lock for more than `patience` seconds; nothing moved then.
        """
        with self.promotion_lock(job, patience), self._mlflow() as client:
            self.version(job, version)
            self._end_move(client, job)
            champion = self._aliases(client, job).get(CHAMPION)
            if champion != version:
                self._move(client, job, {"by": "promote", CHAMPION: version, PREVIOUS: champion})

    def succeed(self, job: str, version: int, twin: int) -> bool:
        """Put `version` in the place of its judged twin, if that is the champion; @previous stays.

        Returns whether `version` serves now.
        """
        with self.promotion_lock(job), self._mlflow() as client:
            self.version(job, version)
            self._end_move(client, job)
            champion = self._aliases(client, job).get(CHAMPION)
            if champion == twin:
                self._move(client, job, {"by": "succeed", CHAMPION: version, PREVIOUS: None})
            return champion in (version, twin)

    def rollback(self, job: str, *, patience: float | None = None) -> int:
        """Swap @champion and @previous and return the version that serves now.

        Repeated after a kill it ends the swap that was begun; repeated after a completed one it swaps back.
        `patience` is that of `promote`.
        """
        with self.promotion_lock(job, patience), self._mlflow() as client:
            ended = self._end_move(client, job)
            aliases = self._aliases(client, job)
            if ended == "rollback":
                return aliases[CHAMPION]
            if PREVIOUS not in aliases:
                raise UnknownVersionError(f"{job} has no previous champion to roll back to")
            self._move(client, job, {"by": "rollback", CHAMPION: aliases[PREVIOUS], PREVIOUS: aliases.get(CHAMPION)})
            return aliases[PREVIOUS]

    @contextmanager
    def promotion_lock(self, job: str, patience: float | None = None) -> Iterator[None]:
        """Hold this home's lock on the aliases of `job`; MLflow writes them without compare-and-set.

        Judging and promoting belong under one lock; `promote` and `rollback` may be called while it is held. Raises
        LockedError where others hold it for more than `patience` seconds.
        """
        patience = _LOCK_SECONDS if patience is None else patience
        self.locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.locks / f"promotion-{job}.lock", is_singleton=True)
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            raise LockedError(
                f"another process has held the promotion lock of {job} for more than {patience:.0f} s"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _only(self, client: MlflowClient, job: str, source: str) -> int | None:
        """The version of this bundle; a second one, made because an answer of MLflow was lost, goes."""
        found = sorted((v for v in self._versions(job) if v.source == source), key=lambda v: (not v.aliases, v.version))
        for twin in found[1:]:
            if not twin.aliases:
                client.delete_model_version(job, str(twin.version))
        return found[0].version if found else None

    def _move(self, client: MlflowClient, job: str, move: Mapping[str, Any]) -> None:
        # Several aliases change together: what shall be is written down first, so that a kill can be made good.
        client.set_registered_model_tag(job, _MOVE, json.dumps(move))
        self._end_move(client, job)

    def _end_move(self, client: MlflowClient, job: str) -> str | None:
        text = client.get_registered_model(job).tags.get(_MOVE)
        if text is None:
            return None
        move: dict[str, Any] = json.loads(text)
        for alias in (CHAMPION, PREVIOUS):
            if move[alias] is not None:
                client.set_registered_model_alias(job, alias, str(move[alias]))
        if self._aliases(client, job).get(CHALLENGER) == move[CHAMPION]:
            client.delete_registered_model_alias(job, CHALLENGER)
        client.delete_registered_model_tag(job, _MOVE)
        return str(move["by"])

    def _aliases(self, client: MlflowClient, job: str) -> dict[str, int]:
        return {alias: int(version) for alias, version in client.get_registered_model(job).aliases.items()}

    def _named(self, job: str, name: str | int) -> Version | None:
        """The version with this number or alias, by one request."""
        from mlflow.exceptions import MlflowException

        with self._mlflow() as client:
            try:
                if str(name).isdecimal():
                    item = client.get_model_version(job, str(name))
                else:
                    item = client.get_model_version_by_alias(job, str(name))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return version_of(item, dict.fromkeys(item.aliases, int(item.version)))

    def _versions(self, job: str) -> list[Version]:
        with self._mlflow() as client:
            found = client.search_model_versions(f"name = '{job}'", max_results=10_000)
            # The search gives versions without their aliases.
            aliases = self._aliases(client, job) if found else {}
        return sorted((version_of(item, aliases) for item in found), key=lambda version: -version.version)

    def _registered(self, job: str) -> list[Version]:
        versions = self._versions(job)
        if not versions:
            known = ", ".join(self.jobs()) or "none"
            raise UnknownVersionError(f"no model named {job} is registered; registered are: {known}")
        return versions

    def _experiment(self, client: MlflowClient, job: str) -> str:
        experiment = client.get_experiment_by_name(job)
        if experiment is None:
            location = None if self.tracking_uri.startswith("http") else (self.artifacts.absolute() / job).as_uri()
            return str(client.create_experiment(job, artifact_location=location))
        if experiment.lifecycle_stage != "active":
            raise RegistryError(
                f"the experiment {job} was deleted; bring it back with "
                f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
            )
        return str(experiment.experiment_id)

    def _mlflow(self) -> AbstractContextManager[MlflowClient]:
        return connect(self.tracking_uri)


def _runs_of(client: MlflowClient, experiment: str, key: str) -> list[MlflowRun]:
    return list(client.search_runs([experiment], f"tags.`{_KEY}` = '{key}'", order_by=["start_time ASC"]))


def _log_model(client: MlflowClient, run_id: str, bundle: Path, artifact_path: str) -> None:
    from forecasting.registry import pyfunc  # it imports MLflow, which takes seconds

    with tempfile.TemporaryDirectory() as scratch:
        pyfunc.save(bundle, Path(scratch) / "model")
        client.log_artifacts(run_id, str(Path(scratch) / "model"), artifact_path)
