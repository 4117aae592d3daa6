"""Runs: what one execution of a job read, measured, and left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from forecasting.errors import RegistryError
from forecasting.registry.client import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

__all__ = ["Run", "Runs"]

_KEY: Final = "gatecast.key"  # of a run: the content address of everything that it depends on
_PARENT: Final = "mlflow.parentRunId"  # MLflow shows such runs under their parent
_KIND: Final = "mlflow.experimentKind"  # MLflow's page then opens with runs and models, not with traces of prompts
_TYPE: Final = "mlflow.runType"
_NOTE: Final = "mlflow.note.content"  # the description of a run
_LONGEST: Final = 5000  # characters of a tag, MLflow's limit
_BATCH: Final = 1000  # metrics per request, MLflow's limit


class Run(NamedTuple):
    """A run of a job; `finished` runs need not be repeated."""

    run_id: str
    finished: bool


@dataclass(frozen=True)
class Runs:
    """The runs at `tracking_uri`; their files lie under `artifacts` unless a server keeps them."""

    tracking_uri: str
    artifacts: Path

    def start(
        self, job: str, key: str, params: Mapping[str, str | float | int], tags: Mapping[str, str] | None = None
    ) -> Run:
        """The run of `job` whose content address is `key`: the finished or interrupted one, or a new one.

        Other runs of the job that were never ended become KILLED; each goes on once it is started again.
        """
        with connect(self.tracking_uri) as client:
            experiment = self._experiment(client, job)
            found = _runs_of(client, experiment, key)
            if any(run.info.status == "FINISHED" for run in found):
                return Run(next(run.info.run_id for run in found if run.info.status == "FINISHED"), finished=True)
            if not found:
                name = f"{job} {datetime.now(UTC):%Y-%m-%d %H:%M}"
                client.create_run(experiment, tags={_KEY: key, _TYPE: "training"}, run_name=name)
                found = _runs_of(client, experiment, key)
            run_id, *twins = (str(run.info.run_id) for run in found)
            for twin in twins:  # an answer was lost, and MLflow's client has retried
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

        with connect(self.tracking_uri) as client:
            # The run's own start, not now: a repeated call then repeats the same points instead of adding more.
            stamp = client.get_run(run_id).info.start_time
            points = [
                Metric(name, float(value), stamp, step)
                for name, curve in metrics.items()
                for step, value in (enumerate(curve, 1) if isinstance(curve, Sequence) else [(0, curve)])
            ]
            for start in range(0, len(points), _BATCH):
                client.log_batch(run_id, metrics=points[start : start + _BATCH])

    def nest(self, run_id: str, rows: Sequence[Mapping[str, object]]) -> None:
        """A finished run under `run_id` for each row: its texts are parameters, its numbers metrics; each made once.

        What is None is left out.
        """
        with connect(self.tracking_uri) as client:
            experiment = client.get_run(run_id).info.experiment_id
            under = f"tags.`{_PARENT}` = '{run_id}'"
            there = set()
            for run in client.search_runs([experiment], under, max_results=1000):
                if run.info.status == "FINISHED":
                    there.add(run.info.run_name)
                else:  # it was being made when the process was killed
                    client.delete_run(run.info.run_id)
            for number, row in enumerate(rows, start=1):
                name = f"{number:02} {row.get('settings', '')}".strip()
                if name not in there:
                    self._nested(client, experiment, run_id, name, row)

    def _nested(self, client: MlflowClient, experiment: str, parent: str, name: str, row: Mapping[str, object]) -> None:
        made = client.create_run(experiment, tags={_PARENT: parent}, run_name=name).info.run_id
        for key, value in row.items():
            if isinstance(value, int | float):
                client.log_metric(made, key, float(value))
            elif value is not None:
                client.log_param(made, key, value)
        client.set_terminated(made)

    def log_artifacts(self, run_id: str, directory: Path, artifact_path: str | None = None) -> None:
        """Copy the files of `directory` into the run."""
        with connect(self.tracking_uri) as client:
            client.log_artifacts(run_id, str(directory), artifact_path)

    def read_text(self, run_id: str, artifact_path: str) -> str:
        """The text of a run's file; raises RegistryError if the run has no such file."""
        with tempfile.TemporaryDirectory() as scratch, connect(self.tracking_uri) as client:
            return Path(client.download_artifacts(run_id, artifact_path, scratch)).read_text(encoding="utf-8")

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags of the run."""
        with connect(self.tracking_uri) as client:
            for name, value in tags.items():
                client.set_tag(run_id, name, value)

    def describe(self, run_id: str, text: str) -> None:
        """Set the description that MLflow's page shows above a run, in Markdown."""
        self.set_tags(run_id, {_NOTE: text[:_LONGEST]})

    def finish(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED") -> None:
        """End the run; only a FINISHED one is never repeated."""
        with connect(self.tracking_uri) as client:
            client.set_terminated(run_id, status)

    def _experiment(self, client: MlflowClient, job: str) -> str:
        experiment = client.get_experiment_by_name(job)
        if experiment is None:
            location = None if self.tracking_uri.startswith("http") else (self.artifacts.absolute() / job).as_uri()
            return str(
                client.create_experiment(job, artifact_location=location, tags={_KIND: "custom_model_development"})
            )
        if experiment.lifecycle_stage != "active":
            raise RegistryError(
                f"the experiment {job} was deleted; restore it with "
                f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
            )
        return str(experiment.experiment_id)


def _runs_of(client: MlflowClient, experiment: str, key: str) -> list[MlflowRun]:
    return list(client.search_runs([experiment], f"tags.`{_KEY}` = '{key}'", order_by=["start_time ASC"]))
