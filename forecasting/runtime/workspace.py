"""The paths of one home: the only place that knows the names of its folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Workspace"]


@dataclass(frozen=True)
class Workspace:
    """The paths of a home; naming one makes nothing."""

    home: Path

    # Of all jobs

    @property
    def database(self) -> Path:
        """MLflow's database, unless a tracking server or another database keeps the runs."""
        return self.home / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The files of runs and models, unless a tracking server keeps them."""
        return self.home / "artifacts"

    @property
    def locks(self) -> Path:
        """The locks of processes that share this home."""
        return self.home / "locks"

    @property
    def cache(self) -> Path:
        """Bundles from the registry, one folder per job; it may be deleted while nothing runs."""
        return self.home / "cache"

    @property
    def served(self) -> Path:
        """Notes of the service: the version of its last answer."""
        return self.home / "serve"

    # Of one job

    def tables(self, job: str) -> Path:
        """The Delta tables of a job and what belongs to them."""
        return self.home / "tables" / job

    def observations(self, job: str) -> Path:
        """Every reading, a Delta table."""
        return self.tables(job) / "observations"

    def forecasts(self, job: str) -> Path:
        """Every vintage, a Delta table."""
        return self.tables(job) / "forecasts"

    def alternatives(self, job: str) -> Path:
        """The vintages of named alternatives of what is known ahead, a Delta table."""
        return self.tables(job) / "alternatives"

    def scores(self, job: str) -> Path:
        """The live scores of the vintages, a Delta table."""
        return self.tables(job) / "scores"

    def verdicts(self, job: str) -> Path:
        """The verdicts of the monitor, a Delta table."""
        return self.tables(job) / "verdicts"

    def judgments(self, job: str) -> Path:
        """Readings as they were judged when they came, a Delta table."""
        return self.tables(job) / "judgments"

    def anomalies(self, job: str) -> Path:
        """Events of unusual readings, a Delta table."""
        return self.tables(job) / "anomalies"

    def notices(self, job: str) -> Path:
        """The messages about a job, sent and to be sent, a Delta table."""
        return self.tables(job) / "notices"

    def parts(self, job: str) -> Path:
        """Forecasts of shards until they are committed, and of the last few plans."""
        return self.tables(job) / "parts"

    def spool(self, job: str) -> Path:
        """Readings that a service was sent, until they are merged."""
        return self.tables(job) / "spool"

    def ingestion(self, job: str) -> Path:
        """The report of the last ingestion."""
        return self.tables(job) / "ingestion.json"

    def watermark(self, job: str) -> Path:
        """How far the source was read."""
        return self.tables(job) / "watermark.json"

    def remarks(self, job: str) -> Path:
        """The remarks on single series of the latest forecasts."""
        return self.tables(job) / "remarks.json"

    def run(self, job: str, key: str) -> Path:
        """The working folder of one run, until it ends: the same content, the same folder."""
        return self.home / "work" / job / key[:16]

    def tuning(self, job: str, key: str) -> Path:
        """The study of a job: the same content, the same folder, until somebody deletes it."""
        return self.home / "tuning" / job / key[:16]

    def intervals(self, job: str) -> Path:
        """The working folder of renewed intervals."""
        return self.home / "work" / job / "intervals"

    def results(self, job: str, run_id: str) -> Path:
        """Pending logs to MLflow of a run that ends."""
        return self.home / "work" / job / "results" / run_id

    def report(self, job: str, run_id: str) -> Path:
        """The report page of a run."""
        return self.home / "reports" / job / f"{run_id}.html"
