"""Runs, versions and aliases against a real MLflow database, and what a kill between two writes leaves behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.bundle.artifact import Origin, open_bundle, write
from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.errors import ArtifactError, LockedError, RegistryError
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.series.features import Features
from forecasting.series.scaling import Scaler

JOB = "buoy"


def write_bundle(directory: Path, *, seed: int = 0) -> Path:
    """A linear model of 4 steps that forecasts 2; another seed is another model."""
    random = np.random.default_rng(seed)
    linear = Linear(4, random.normal(size=(4, 2)), np.empty((0, 2)), np.zeros(2))
    spec = Spec(
        job=JOB,
        model="drift",
        table=TableSpec(freq="h"),
        features=Features(freq="h"),
        scaler=Scaler(),
        context=4,
        horizon=2,
        quantiles=(0.5,),
        wanted=(0.1, 0.5, 0.9),
    )
    return write(
        directory,
        spec,
        Graphs(to_onnx(linear, inputs=1, ahead=0)),
        calibration=Calibration((0.5,), np.sort(random.normal(size=(2, 1, 20)).astype(np.float32))),
        golden={"past": random.normal(size=(3, 4, 1)).astype(np.float32)},
        origin=Origin(),
    )


@pytest.fixture
def register(registry: Registry, tmp_path: Path) -> Callable[[int], int]:
    """Registers the bundle of a seed in a run of its own."""

    def call(seed: int) -> int:
        run = registry.start_run(JOB, f"key{seed}", {"seed": seed})
        bundle = write_bundle(tmp_path / f"bundle-{seed}", seed=seed)
        return registry.register(JOB, run.run_id, bundle, verdict="passed", metrics={"wql": 0.1 * seed})

    return call


def aliases(registry: Registry) -> dict[str, int]:
    """Which version each alias names."""
    table = registry.versions(JOB)
    return {a: v for v, text in zip(table["version"], table["aliases"], strict=True) for a in text.split(", ") if a}


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, registry: Registry, write_number: int) -> None:
    """Let the client die in the place of its n-th write of an alias or of a tag of the registered model."""
    left = [write_number]
    with connect(registry.tracking_uri) as client:
        for name in (
            "set_registered_model_alias",
            "delete_registered_model_alias",
            "set_registered_model_tag",
            "delete_registered_model_tag",
            "create_model_version",
            "create_registered_model",
        ):
            original: Callable[..., Any] = getattr(client, name)

            def dying(*args: Any, _original: Callable[..., Any] = original, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return _original(*args, **kwargs)

            monkeypatch.setattr(client, name, dying)


def test_finished_run_with_the_same_key_is_found_again(registry: Registry) -> None:
    """A content address that was computed once is not computed twice; another key is another run."""
    first = registry.start_run(JOB, "aa", {"units": 64}, {"git": "abc"})
    registry.finish(first.run_id)

    again, other = registry.start_run(JOB, "aa", {"units": 64}), registry.start_run(JOB, "bb", {})

    assert not first.finished
    assert again == (first.run_id, True)
    assert other.run_id != first.run_id
    assert not other.finished


@pytest.mark.parametrize("status", [None, "FAILED", "KILLED"])
def test_interrupted_run_is_resumed(registry: Registry, status: Any) -> None:
    """A run that was killed or failed keeps its id, its parameters, and runs again."""
    first = registry.start_run(JOB, "aa", {"units": 64})
    if status:
        registry.finish(first.run_id, status)

    again = registry.start_run(JOB, "aa", {"units": 64})

    with connect(registry.tracking_uri) as client:
        run = client.get_run(first.run_id)
    assert again == (first.run_id, False)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"units": "64"}


def ask_twice(monkeypatch: pytest.MonkeyPatch, registry: Registry, name: str) -> None:
    """Let the client do again what it has done, as it does where MLflow's answer was lost."""
    with connect(registry.tracking_uri) as client:
        original: Callable[..., Any] = getattr(client, name)

        def again(*args: Any, **kwargs: Any) -> Any:
            original(*args, **kwargs)
            return original(*args, **kwargs)

        monkeypatch.setattr(client, name, again)


def test_lost_answer_leaves_one_run_and_one_version(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MLflow made twice is there once, and is found by whoever asks again."""
    for name in ("create_run", "create_model_version"):
        ask_twice(monkeypatch, registry, name)

    assert [register(1), register(1)] == [1, 1]
    assert registry.versions(JOB)["version"].tolist() == [1]
    assert aliases(registry) == {"challenger": 1}
    with connect(registry.tracking_uri) as client:
        experiment = client.get_experiment_by_name(JOB)
        assert experiment is not None
        assert len(client.search_runs([experiment.experiment_id])) == 1


def test_run_that_nobody_ended_is_killed_by_the_next_one(registry: Registry) -> None:
    """One run of the job is under way, those that were killed say so, finished ones stay finished."""
    finished, killed, running = (registry.start_run(JOB, key, {}).run_id for key in ("aa", "bb", "cc"))
    registry.finish(finished)
    registry.start_run(JOB, "cc", {})
    with connect(registry.tracking_uri) as client:
        states = [client.get_run(run).info.status for run in (finished, killed, running)]
    assert states == ["FINISHED", "KILLED", "RUNNING"]
    assert registry.start_run(JOB, "bb", {}) == (killed, False)


def test_metrics_logged_twice_are_kept_once(registry: Registry) -> None:
    """Curves have one value per step, from 1 on, however often they are logged; 1,500 points fit."""
    run = registry.start_run(JOB, "aa", {})
    curve = [1 / step for step in range(1, 1501)]
    for _ in range(2):
        registry.log_metrics(run.run_id, {"loss": curve, "wql": 0.25, "broken": float("nan")})

    with connect(registry.tracking_uri) as client:
        history = client.get_metric_history(run.run_id, "loss")
        metrics = client.get_run(run.run_id).data.metrics
    assert sorted((point.step, point.value) for point in history) == list(enumerate(curve, 1))
    assert metrics["wql"] == 0.25
    assert np.isnan(metrics["broken"])


def test_files_and_tags_are_kept_with_the_run(registry: Registry, tmp_path: Path) -> None:
    """What is logged can be read back, from files under the artifacts directory of the job."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("<p>é</p>", encoding="utf-8")
    run = registry.start_run(JOB, "aa", {})
    registry.log_artifacts(run.run_id, tmp_path / "out", "report")
    registry.log_text(run.run_id, '{"passed": true}', "verdict.json")
    registry.set_tags(run.run_id, {"verdict": "passed"})

    assert registry.read_text(run.run_id, "report/report.html") == "<p>é</p>"
    assert registry.read_text(run.run_id, "verdict.json") == '{"passed": true}'
    assert (tmp_path / "artifacts" / JOB / run.run_id / "artifacts" / "verdict.json").is_file()
    with pytest.raises(RegistryError, match="failed"):
        registry.read_text(run.run_id, "nothing.json")


def test_registering_twice_gives_one_version(registry: Registry, tmp_path: Path) -> None:
    """The same bundle of the same run is one version, with its facts as tags; written anew it is still the same."""
    run = registry.start_run(JOB, "aa", {})
    bundle = write_bundle(tmp_path / "bundle", seed=3)
    first = registry.register(JOB, run.run_id, bundle, verdict="passed", metrics={"wql": 0.25})
    second = registry.register(
        JOB, run.run_id, write_bundle(tmp_path / "again", seed=3), verdict="passed", metrics={"wql": 0.25}
    )

    version = registry.version(JOB, "challenger")
    assert first == second == version.version == 1
    assert registry.versions(JOB)["version"].tolist() == [1]
    assert version.weights == open_bundle(bundle).manifest.weights
    assert (version.model, version.verdict, version.metrics) == ("drift", "passed", {"wql": 0.25})


def test_other_weights_of_one_run_are_another_version(registry: Registry, tmp_path: Path) -> None:
    """A repeated training that ends elsewhere never changes what was registered and judged."""
    run = registry.start_run(JOB, "aa", {})
    for seed in (1, 2):
        bundle = write_bundle(tmp_path / f"{seed}", seed=seed)
        registry.register(JOB, run.run_id, bundle, verdict="passed", metrics={})

    for version in (1, 2):
        fetched = registry.download(JOB, version, tmp_path / "cache")
        assert (fetched / "model.onnx").read_bytes() == (tmp_path / f"{version}" / "model.onnx").read_bytes()


def test_promotion_moves_champion_and_previous(registry: Registry, register: Callable[[int], int]) -> None:
    """The old champion becomes previous, the promoted one is challenger no more; repeating changes nothing."""
    for seed in (1, 2, 3):
        register(seed)
    assert registry.champion(JOB) is None
    registry.promote(JOB, 1)
    assert aliases(registry) == {"champion": 1, "challenger": 3}

    registry.promote(JOB, 3)
    registry.promote(JOB, 3)

    champion = registry.champion(JOB)
    assert champion is not None
    assert champion.version == 3
    assert aliases(registry) == {"champion": 3, "previous": 1}


def test_repeated_registration_of_an_old_run_takes_no_alias(registry: Registry, register: Callable[[int], int]) -> None:
    """Version 1 does not become challenger again because its run is repeated."""
    for seed in (1, 2):
        register(seed)
    registry.promote(JOB, 2)

    assert register(1) == 1
    assert register(2) == 2
    assert aliases(registry) == {"champion": 2}


def test_rollback_swaps_and_swaps_back(registry: Registry, register: Callable[[int], int]) -> None:
    """One call brings the previous champion back, a second one undoes that; without a previous it is refused."""
    for seed in (1, 2):
        register(seed)
    registry.promote(JOB, 1)
    with pytest.raises(RegistryError, match="buoy has no previous champion to roll back to"):
        registry.rollback(JOB)
    registry.promote(JOB, 2)

    assert registry.rollback(JOB) == 1
    assert aliases(registry) == {"champion": 1, "previous": 2}
    assert registry.rollback(JOB) == 2
    assert aliases(registry) == {"champion": 2, "previous": 1}


@pytest.mark.parametrize("moment", range(5))
def test_promotion_killed_at_any_write_ends_right_when_repeated(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Wherever it dies, there is a champion all the time, and the repeated call ends like an undisturbed one."""
    for seed in (1, 2, 3):
        register(seed)
    registry.promote(JOB, 1)
    registry.promote(JOB, 2)
    with monkeypatch.context() as patch:
        kill_at(patch, registry, moment)
        with pytest.raises(Killed):
            registry.promote(JOB, 3)
    assert aliases(registry)["champion"] in (2, 3)

    registry.promote(JOB, 3)

    assert aliases(registry) == {"champion": 3, "previous": 2}


@pytest.mark.parametrize("moment", range(4))
def test_rollback_killed_at_any_write_ends_right_when_repeated(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """A swap that was begun is ended, not begun anew."""
    for seed in (1, 2):
        register(seed)
        registry.promote(JOB, seed)
    with monkeypatch.context() as patch:
        kill_at(patch, registry, moment)
        with pytest.raises(Killed):
            registry.rollback(JOB)

    assert registry.rollback(JOB) == 1
    assert aliases(registry) == {"champion": 1, "previous": 2}


def test_promotion_begun_and_killed_does_not_swallow_a_rollback(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback after a half-done promotion first ends it, then undoes it."""
    for seed in (1, 2):
        register(seed)
    registry.promote(JOB, 1)
    with monkeypatch.context() as patch:
        kill_at(patch, registry, 1)
        with pytest.raises(Killed):
            registry.promote(JOB, 2)

    assert registry.rollback(JOB) == 1
    assert aliases(registry) == {"champion": 1, "previous": 2}


@pytest.mark.parametrize("moment", range(3))
def test_registration_killed_at_any_write_gives_one_version(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Repeated after a kill there is one version, and it is the challenger."""
    with monkeypatch.context() as patch:
        kill_at(patch, registry, moment)
        with pytest.raises(Killed):
            register(1)

    assert register(1) == 1
    assert registry.versions(JOB)["version"].tolist() == [1]
    assert aliases(registry) == {"challenger": 1}


def test_versions_are_listed_newest_first_with_metrics(registry: Registry, register: Callable[[int], int]) -> None:
    """One row a version with everything that `gatecast models` shows."""
    for seed in (1, 2):
        register(seed)
    registry.promote(JOB, 1)

    table = registry.versions(JOB)

    assert table["version"].tolist() == [2, 1]
    assert table["aliases"].tolist() == ["challenger", "champion"]
    assert table["wql"].tolist() == [0.2, 0.1]
    assert table["model"].tolist() == ["drift", "drift"]
    assert table["created"].dt.tz is None
    assert registry.jobs() == [JOB]


def test_unknown_names_say_what_there_is(registry: Registry, register: Callable[[int], int]) -> None:
    """A wrong job, version or alias is answered with the right ones."""
    with pytest.raises(RegistryError, match="no model named buoy is registered; registered are: none"):
        registry.versions(JOB)
    register(1)
    registry.promote(JOB, 1)

    with pytest.raises(RegistryError, match="no model named bouy is registered; registered are: buoy"):
        registry.promote("bouy", 1)
    with pytest.raises(RegistryError, match="buoy has no version or alias 7; it has: 1 @champion"):
        registry.promote(JOB, 7)
    with pytest.raises(RegistryError, match="no version or alias previous"):
        registry.version(JOB, "previous")
    assert registry.version(JOB, "1") == registry.version(JOB, 1) == registry.champion(JOB)


def test_download_gives_the_registered_bundle_and_mends_a_damaged_cache(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """The cached copy is used as long as it is whole; nothing half-done stays beside it."""
    register(1)
    cache = tmp_path / "cache"
    first = registry.download(JOB, "challenger", cache)
    untouched = (first / "model.onnx").stat().st_ino
    assert registry.download(JOB, 1, cache) == first == cache / JOB / "1"
    assert (first / "model.onnx").stat().st_ino == untouched

    (first / "model.onnx").write_bytes(b"damaged")
    registry.download(JOB, 1, cache)

    assert (first / "model.onnx").read_bytes() == (tmp_path / "bundle-1" / "model.onnx").read_bytes()
    assert [path.name for path in (cache / JOB).iterdir()] == ["1"]


def test_download_refuses_files_that_changed_in_the_store(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """A whole but exchanged bundle is not what was judged, so it is not handed out, nor cached."""
    register(1)
    stored = next((tmp_path / "artifacts").rglob("model.onnx")).parent
    shutil.rmtree(stored)
    write_bundle(stored, seed=2)

    with pytest.raises(ArtifactError, match="version 1 of buoy is not the bundle that was registered"):
        registry.download(JOB, 1, tmp_path / "cache")
    assert list((tmp_path / "cache" / JOB).iterdir()) == []


def test_promotion_lock_keeps_other_processes_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one process judges and promotes, another waits; the holder itself may promote."""
    code = (
        "import sys, pathlib, filelock\n"
        "lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    monkeypatch.setattr("forecasting.registry.registry._LOCK_SECONDS", 0.2)
    registry.locks.mkdir()
    path = registry.locks / f"promotion-{JOB}.lock"
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RegistryError, match="another process has held the promotion lock of buoy"),
            registry.promotion_lock(JOB),
        ):
            pass
    with registry.promotion_lock(JOB), registry.promotion_lock(JOB):
        pass


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("./mlruns", r"must start with sqlite:///, postgresql\+psycopg:// or http"),
        ("file:///tmp/mlruns", r"must start with sqlite:///, postgresql\+psycopg:// or http"),
        ("sqlite:////proc/none/mlflow.db", "cannot be opened"),
        ("http://user:secret@127.0.0.1:9", r"MLflow at http://user:\*\*\*@127.0.0.1:9 failed"),
        (
            "postgresql+psycopg://user:secret@127.0.0.1:9/mlflow",
            r"postgresql\+psycopg://user:\*\*\*@127.0.0.1:9/mlflow cannot be opened",
        ),
    ],
)
def test_mlflow_out_of_reach_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, message: str
) -> None:
    """No stack of retries, no password, one line."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=message) as caught:
        Registry(uri, tmp_path / "artifacts", tmp_path / "locks").champion(JOB)

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_deleted_experiment_is_refused_with_the_remedy(registry: Registry) -> None:
    """MLflow keeps deleted experiments and their names; the message says how to bring one back."""
    registry.start_run(JOB, "aa", {})
    with connect(registry.tracking_uri) as client:
        client.delete_experiment("1")

    with pytest.raises(RegistryError, match=r"the experiment buoy was deleted; .* --experiment-id 1"):
        registry.start_run(JOB, "bb", {})


def test_fresh_database_is_made_without_a_word(tmp_path: Path) -> None:
    """MLflow's own log lines and warnings never reach the terminal, and no training package is loaded."""
    code = (
        "import sys, pathlib; from forecasting.registry.registry import Registry; home = pathlib.Path(sys.argv[1])\n"
        "registry = Registry(f'sqlite:///{home}/mlflow.db', home / 'artifacts', home / 'locks')\n"
        "registry.finish(registry.start_run('buoy', 'aa', {}).run_id); registry.jobs()\n"
        "sys.exit(bool({'tensorflow', 'keras', 'prefect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "new"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "new" / "mlflow.db").is_file()


def test_tracking_server_serves_as_well_as_a_database(tmp_path: Path) -> None:
    """Over HTTP, with the server keeping the files: the same calls, the same answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/kept"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=tmp_path, start_new_session=True
        )
    try:
        wait_until_ready(port, server, tmp_path / "log")
        registry = Registry(f"http://127.0.0.1:{port}", tmp_path / "artifacts", tmp_path / "locks")
        bundle = write_bundle(tmp_path / "bundle", seed=1)
        for key in ("aa", "bb", "bb"):
            run = registry.start_run(JOB, key, {"units": 64})
            registry.log_metrics(run.run_id, {"loss": [2.0, 1.0]})
            registry.log_text(run.run_id, "yes", "verdict.txt")
            version = registry.register(JOB, run.run_id, bundle, verdict="passed", metrics={"wql": 0.25})
            registry.promote(JOB, version)
            registry.finish(run.run_id)
        found = registry.download(JOB, "champion", tmp_path / "cache")

        assert registry.start_run(JOB, "bb", {}) == (run.run_id, True)
        assert registry.read_text(run.run_id, "verdict.txt") == "yes"
        assert aliases(registry) == {"champion": 2, "previous": 1}
        assert (found / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
        assert registry.rollback(JOB) == 1
        assert not (tmp_path / "artifacts").exists()
        with pytest.raises(RegistryError, match="no model named other"):
            registry.version("other", 1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def wait_until_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server says that it is well."""
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


def test_a_version_is_found_without_listing_all(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request for an alias or a number, with all that the list tells of it."""
    for seed in (1, 2, 3):
        register(seed)
    registry.promote(JOB, 2)
    listed = {row["version"]: row for row in registry.versions(JOB).to_dict("records")}

    def listing(*_: object, **__: object) -> None:
        raise AssertionError("all versions were listed")

    monkeypatch.setattr("mlflow.MlflowClient.search_model_versions", listing)
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", listing)
    for name, number in (("champion", 2), ("challenger", 3), (1, 1), ("3", 3)):
        found = registry.version(JOB, name)
        assert (found.version, ", ".join(found.aliases)) == (number, listed[number]["aliases"])
        assert (found.run_id, found.metrics["wql"]) == (listed[number]["run_id"], listed[number]["wql"])
    assert registry.champion(JOB) == registry.version(JOB, 2)
    assert registry.champion("other") is None


def test_old_downloads_are_removed_but_for_what_somebody_needs(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """Aliases, what is to be kept, and what was just handed out stay; another job's folder is not touched."""
    cache = tmp_path / "cache"
    for seed in range(1, 7):
        register(seed)
        registry.download(JOB, seed, cache)
        os.utime(cache / JOB / str(seed), (1e9, 1e9))
    registry.promote(JOB, 1)
    registry.promote(JOB, 2)  # 1 is @previous, 6 is @challenger
    shutil.copytree(cache / JOB / "3", cache / "other" / "3")
    os.utime(cache / "other" / "3", (1e9, 1e9))
    (cache / JOB / ".5-scratch").mkdir()  # a download of another process
    registry.download(JOB, 5, cache)

    registry.prune(JOB, cache, {4})

    assert sorted(path.name for path in (cache / JOB).iterdir()) == [".5-scratch", "1", "2", "4", "5", "6"]
    assert [path.name for path in (cache / "other").iterdir()] == ["3"]


def test_two_processes_may_tidy_the_same_cache(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """Whoever comes second finds nothing to do; nothing half-removed is left."""
    cache = tmp_path / "cache"
    register(1)
    registry.promote(JOB, 1)
    register(2)
    template = registry.download(JOB, 1, cache)
    for version in range(10, 60):
        shutil.copytree(template, cache / JOB / str(version))
        os.utime(cache / JOB / str(version), (1e9, 1e9))
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(registry.prune, JOB, cache, ()) for _ in range(4)]:
            done.result()
    assert [path.name for path in (cache / JOB).iterdir()] == ["1"]


def test_who_has_no_patience_leaves_the_aliases_alone(registry: Registry, register: Callable[[int], int]) -> None:
    """While another thread holds the lock nothing moves, neither then nor later."""
    for seed in (1, 2):
        register(seed)
    registry.promote(JOB, 1)
    with registry.promotion_lock(JOB), ThreadPoolExecutor(1) as other:
        for order in (lambda: registry.promote(JOB, 2, patience=0.2), lambda: registry.rollback(JOB, patience=0.2)):
            with pytest.raises(LockedError, match="promotion lock"):
                other.submit(order).result()
    assert aliases(registry) == {"champion": 1, "challenger": 2}
