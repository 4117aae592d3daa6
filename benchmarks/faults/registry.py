"""MLflow behind the proxy: register, promote, roll back and download while requests are lost, late, broken or cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.bench import Bench, Round
from benchmarks.faults.homes import NAME
from benchmarks.faults.proxy import Proxy
from benchmarks.harness.servers import mlflow
from forecasting.bundle.artifact import open_bundle
from forecasting.errors import GatecastError, UnknownVersionError
from forecasting.registry.cache import Cache
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry

__all__ = ["proxied"]

SHARE = 0.25  # of requests that meet a fault
# Requests that change something: in every round the answer to one of them is lost on purpose.
TARGETS = (
    b"model-versions/create",
    b"runs/create",
    b"POST /api/2.0/mlflow/registered-models/alias",
    b"DELETE /api/2.0/mlflow/registered-models/alias",
    b"registered-models/delete-tag",
    b"registered-models/create",
    b"registered-models/set-tag",
    b"experiments/create",
    b"runs/log-batch",
    b"runs/update",
)
AGAIN = 4  # attempts under faults, before the faults end


def proxied(bench: Bench, rounds: int, *, delay: float = 5.0) -> Iterator[Round]:
    """Two versions, two promotions, a rollback and a download through a proxy that fails."""
    for name in ("FACTOR", "JITTER"):
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_BACKOFF_{name}", "0")  # MLflow's own repetitions need not wait here
    trained, place = bench.trained, bench.place / "proxied"
    shutil.rmtree(place, ignore_errors=True)
    bundles = [Cache(trained.registry.versions, place / "bundles").download(NAME, number) for number in (1, 2)]
    files = f"--artifacts-destination={(place / 'files').as_uri()}"
    with (
        mlflow(place, f"sqlite:///{place / 'mlflow.db'}", files) as server,
        Proxy(server.port, bench.draw, delay).open() as proxy,
    ):
        for number in range(rounds):
            proxy.target = TARGETS[number % len(TARGETS)]
            yield _Trial(proxy, server.url, place, f"job-{number}", bundles).run()


class _Trial:
    """One job's way through the registry, looked at from outside after every attempt."""

    def __init__(self, proxy: Proxy, address: str, place: Path, job: str, bundles: list[Path]) -> None:
        self.proxy, self.job, self.bundles = proxy, job, bundles
        self.failing = Registry(proxy.address, place)
        self.direct = Registry(address, place)
        self.cache = place / f"cache-{job}"
        self.target = proxy.target
        self.wrong: list[str] = []
        self.errors = 0

    def run(self) -> Round:
        """All steps, each repeated until it is done; then what has come of them."""
        self.proxy.met.clear()
        job, (first, second) = self.job, self.bundles
        run = self._step("start", lambda: self.failing.runs.start(job, "key", {"epochs": 1}).run_id, {None})
        curves = {"loss": [1.0, 0.5]}
        self._step("metrics", lambda: self.failing.runs.log_metrics(run, curves), {None})
        one = self._step("register", lambda: self._register(run, first), {None})
        self._step("promote", lambda: self.failing.aliases.promote(job, one), {None, one})
        two = self._step("register", lambda: self._register(run, second), {one})
        self._step("promote", lambda: self.failing.aliases.promote(job, two), {one, two})
        self._step("rollback", lambda: self._back(one), {one, two})
        self._step("download", lambda: Cache(self.failing.versions, self.cache).download(job, "champion"), {one})
        self._step("finish", lambda: self.failing.runs.finish(run), {one})
        self._judge(run)
        met, total = self.proxy.met.total() - self.proxy.met["none"], self.proxy.met.total()
        lost = "no" if self.proxy.target else self.target.decode()
        note = f"answer of {lost} lost, {met} of {total} requests met a fault, {self.errors} errors"
        return Round(note, self.wrong)

    def _register(self, run: str, bundle: Path) -> int:
        return self.failing.versions.register(self.job, run, bundle, verdict="passed", metrics={"wql": 0.1})

    def _back(self, wanted: int) -> None:
        """Roll back, again where a swap has begun and not ended; a swap that was done would be undone."""
        with connect(self.direct.versions.tracking_uri) as client:
            begun = "gatecast.move" in client.get_registered_model(self.job).tags
        live = self.direct.versions.champion(self.job)
        if begun or live is None or live.version != wanted:
            self.failing.aliases.rollback(self.job)

    def _step(self, name: str, call: Callable[[], Any], allowed: set[int | None]) -> Any:
        """What the call returns in the end."""
        for attempt in range(AGAIN + 1):
            self.proxy.share = SHARE if attempt < AGAIN else 0.0
            try:
                result = call()
            except GatecastError:
                self.errors += 1
                self._look(name, allowed)
            except Exception as error:  # noqa: BLE001  (that is what is looked for)
                self.wrong.append(f"{name}: {type(error).__name__}: {error}")
            else:
                self._look(name, allowed)
                return result
        raise SystemExit(f"{name} does not end though nothing fails any more: {self.wrong}")

    def _look(self, name: str, allowed: set[int | None]) -> None:
        """Aliases and versions as somebody else sees them now."""
        champion = self.direct.versions.champion(self.job)
        live = champion.version if champion else None
        if live not in allowed:
            self.wrong.append(f"{name}: version {live} is live, not one of {allowed}")
        try:
            versions = self.direct.versions.table(self.job)["version"]
        except UnknownVersionError:
            return
        seen = self.cache / "seen"
        for version in versions:
            try:
                open_bundle(Cache(self.direct.versions, seen).download(self.job, int(version)))
            except GatecastError as error:
                self.wrong.append(f"{name}: version {version} is not whole: {error}")
        shutil.rmtree(seen, ignore_errors=True)

    def _judge(self, run: str) -> None:
        """The end: two versions, the first one live, the second one before it, one finished run, two points."""
        table = self.direct.versions.table(self.job).sort_values("version")
        found = [*table[["version", "aliases"]].itertuples(index=False, name=None)]
        if [aliases for _, aliases in found] != ["champion", "previous"]:
            self.wrong.append(f"versions and aliases are {found}")
            return
        open_bundle(self.cache / self.job / str(found[0][0]))
        with connect(self.direct.versions.tracking_uri) as client:
            experiment = client.get_experiment_by_name(self.job)
            states = [each.info.status for each in client.search_runs([experiment.experiment_id])]
            points = client.get_metric_history(run, "loss")
        if states != ["FINISHED"]:
            self.wrong.append(f"the runs are {states}")
        if [(point.step, point.value) for point in points] != [(1, 1.0), (2, 0.5)]:
            self.wrong.append(f"the curve has {len(points)} points")
