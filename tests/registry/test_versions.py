"""Versions against a real MLflow database: each judged bundle is one, however often it is registered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from forecasting.bundle.artifact import open_bundle
from forecasting.errors import RegistryError
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from tests.registry.buoy import JOB, aliases, write_bundle
from tests.registry.kills import Killed, ask_twice, kill_at


def test_registering_twice_gives_one_version(registry: Registry, tmp_path: Path) -> None:
    """The same bundle of the same run is one version, with its facts as tags; written anew it is still the same."""
    run = registry.runs.start(JOB, "aa", {})
    bundle = write_bundle(tmp_path / "bundle", seed=3)
    first = registry.versions.register(JOB, run.run_id, bundle, verdict="passed", metrics={"wql": 0.25})
    second = registry.versions.register(
        JOB, run.run_id, write_bundle(tmp_path / "again", seed=3), verdict="passed", metrics={"wql": 0.25}
    )

    version = registry.versions.get(JOB, "challenger")
    assert first == second == version.version == 1
    assert registry.versions.table(JOB)["version"].tolist() == [1]
    assert version.weights == open_bundle(bundle).manifest.weights
    assert (version.model, version.verdict, version.metrics) == ("drift", "passed", {"wql": 0.25})


def test_other_weights_of_one_run_are_another_version(registry: Registry, tmp_path: Path) -> None:
    """A repeated training that ends elsewhere never changes what was registered and judged."""
    run = registry.runs.start(JOB, "aa", {})
    for seed in (1, 2):
        bundle = write_bundle(tmp_path / f"{seed}", seed=seed)
        registry.versions.register(JOB, run.run_id, bundle, verdict="passed", metrics={})

    for version in (1, 2):
        fetched = registry.cache.download(JOB, version)
        assert (fetched / "model.onnx").read_bytes() == (tmp_path / f"{version}" / "model.onnx").read_bytes()


def test_lost_answer_leaves_one_run_and_one_version(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MLflow made twice is there once, and is found by whoever asks again."""
    for name in ("create_run", "create_model_version"):
        ask_twice(monkeypatch, registry, name)

    assert [register(1), register(1)] == [1, 1]
    assert registry.versions.table(JOB)["version"].tolist() == [1]
    assert aliases(registry) == {"challenger": 1}
    with connect(registry.versions.tracking_uri) as client:
        experiment = client.get_experiment_by_name(JOB)
        assert experiment is not None
        assert len(client.search_runs([experiment.experiment_id])) == 1


def test_repeated_registration_of_an_old_run_takes_no_alias(registry: Registry, register: Callable[[int], int]) -> None:
    """Version 1 does not become challenger again because its run is repeated."""
    for seed in (1, 2):
        register(seed)
    registry.aliases.promote(JOB, 2)

    assert register(1) == 1
    assert register(2) == 2
    assert aliases(registry) == {"champion": 2}


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
    assert registry.versions.table(JOB)["version"].tolist() == [1]
    assert aliases(registry) == {"challenger": 1}


def test_versions_are_listed_newest_first_with_metrics(registry: Registry, register: Callable[[int], int]) -> None:
    """One row a version with everything that `gatecast models` shows."""
    for seed in (1, 2):
        register(seed)
    registry.aliases.promote(JOB, 1)

    table = registry.versions.table(JOB)

    assert table["version"].tolist() == [2, 1]
    assert table["aliases"].tolist() == ["challenger", "champion"]
    assert table["wql"].tolist() == [0.2, 0.1]
    assert table["model"].tolist() == ["drift", "drift"]
    assert table["created"].dt.tz is None
    assert registry.versions.jobs() == [JOB]


def test_unknown_names_say_what_there_is(registry: Registry, register: Callable[[int], int]) -> None:
    """A wrong job, version or alias is answered with the right ones."""
    with pytest.raises(RegistryError, match="no model named buoy is registered; known models: none"):
        registry.versions.table(JOB)
    register(1)
    registry.aliases.promote(JOB, 1)

    with pytest.raises(RegistryError, match="no model named bouy is registered; known models: buoy"):
        registry.aliases.promote("bouy", 1)
    with pytest.raises(RegistryError, match="buoy has no version or alias 7; it has: 1 @champion"):
        registry.aliases.promote(JOB, 7)
    with pytest.raises(RegistryError, match="no version or alias previous"):
        registry.versions.get(JOB, "previous")
    assert registry.versions.get(JOB, "1") == registry.versions.get(JOB, 1) == registry.versions.champion(JOB)


def test_a_version_is_found_without_listing_all(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request for an alias or a number, with all that the list tells of it."""
    for seed in (1, 2, 3):
        register(seed)
    registry.aliases.promote(JOB, 2)
    listed = {row["version"]: row for row in registry.versions.table(JOB).to_dict("records")}

    def listing(*_: object, **__: object) -> None:
        raise AssertionError("all versions were listed")

    monkeypatch.setattr("mlflow.MlflowClient.search_model_versions", listing)
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", listing)
    for name, number in (("champion", 2), ("challenger", 3), (1, 1), ("3", 3)):
        found = registry.versions.get(JOB, name)
        assert (found.version, ", ".join(found.aliases)) == (number, listed[number]["aliases"])
        assert (found.run_id, found.metrics["wql"]) == (listed[number]["run_id"], listed[number]["wql"])
    assert registry.versions.champion(JOB) == registry.versions.get(JOB, 2)
    assert registry.versions.champion("other") is None
