"""Warm starts of an ensemble: its networks go on from their weights, its shares are chosen anew, nothing leaks."""

import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Bundle, Origin, open_bundle, read_graphs
from forecasting.bundle.engine import Engine
from forecasting.bundle.spec import Spec
from forecasting.config.job import Job
from forecasting.errors import TrainingError
from forecasting.nn.exporters.ensemble import separated
from forecasting.selection.auto import fit_auto
from forecasting.selection.final_fit import fit_finally
from forecasting.selection.members import watch
from forecasting.selection.weights import unpack
from forecasting.series.folds import Fold, folds, past
from forecasting.series.prepare import Learned, prepare
from forecasting.training.records import Start, objections
from tests.selection.small import made

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

NEW = 40  # steps that have come since the champion's fit


class World(NamedTuple):
    """A champion of all candidates, fitted without the newest steps, and the task of the next run."""

    champion: Bundle
    job: Job
    table: pd.DataFrame
    fold: Fold


@pytest.fixture(scope="module", autouse=True)
def of_all() -> Any:
    """An ensemble of all candidates, whatever the choice says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forecasting.selection.auto.bagged", lambda _y, found, *_: np.full(len(found), 1 / len(found)))
        yield


@pytest.fixture(scope="module")
def world(short: None, of_all: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two series and a search as short as one can be."""
    job, table, fold = made()
    before = table[table["ds"] <= table["ds"].max() - pd.Timedelta(hours=NEW)]
    work = tmp_path_factory.mktemp("champion")
    champion = fit_auto(before, job, folds(before, job)[0], work, origin=Origin()).bundle
    return World(open_bundle(champion), job, table, fold)


def warm(world: World, work: Path, init: str = "champion", **train: Any) -> Bundle:
    """The ensemble that begins with the champion's weights."""
    job = world.job.model_copy(update={"train": world.job.train.model_copy(update=train)})
    start = Start(init, world.champion.path, 1)
    return open_bundle(fit_auto(world.table, job, world.fold, work, origin=Origin(), start=start).bundle)


def networks(bundle: Bundle, world: World) -> dict[str, np.ndarray]:
    """What every network says (B, H, Q) about the champion's inputs, scaled."""
    learned = Learned(world.champion.spec.features, world.champion.spec.scaler, None)
    windows = watch(prepare(world.table, world.job, world.fold, learned=learned)).reading(bundle.spec.context)
    batch = windows.batch(np.arange(len(windows)))
    graphs = separated(read_graphs(bundle.path).model, len(bundle.spec.members))
    return {
        member.title: Engine(graph, threads=1).run(batch)["quantiles"]
        for member, graph in zip(bundle.spec.members, graphs, strict=True)
        if member.fit is not None
    }


def weights(bundle: Bundle) -> dict[str, bytes]:
    """The Keras file of every network."""
    with zipfile.ZipFile(bundle.path / "members.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_network_is_kept_and_no_linear_map(world: World) -> None:
    """The archive names each by its place among the members."""
    expected = [f"{place}.keras" for place, one in enumerate(world.champion.spec.members) if one.fit is not None]
    assert sorted(weights(world.champion)) == expected
    assert 0 < len(expected) < len(world.champion.spec.members)
    known = past(world.table, world.fold.fit_until)
    assert world.champion.spec.context > world.job.window.context
    assert objections(world.champion, world.job, [world.fold], known) == []
    longer = world.job.model_copy(update={"window": world.job.window.model_copy(update={"context": 99})})
    assert any("window.context" in one for one in objections(world.champion, longer, [world.fold], known))


def test_networks_that_learn_nothing_are_the_champions(world: World, tmp_path: Path) -> None:
    """With a learning rate of nearly 0 each forecasts as before; settings, features, and scaler are the champion's."""
    still = warm(world, tmp_path, learning_rate=1e-30, weight_decay=0.0)
    before, after = networks(world.champion, world), networks(still, world)
    assert list(after) == list(before)
    for title, expected in before.items():
        np.testing.assert_allclose(after[title], expected, atol=1e-6)
        assert np.std(expected) > 0.1
    assert (still.spec.features, still.spec.scaler) == (world.champion.spec.features, world.champion.spec.scaler)


def test_networks_learn_from_what_is_new(world: World, tmp_path: Path) -> None:
    """Their forecasts move; their settings stay."""
    learned = warm(world, tmp_path)
    before, after = networks(world.champion, world), networks(learned, world)
    assert any(not np.allclose(after[title], before[title], atol=1e-4) for title in before)
    settings = [(one.title, one.fit.params) for one in learned.spec.members if one.fit]
    assert settings == [(one.title, one.fit.params) for one in world.champion.spec.members if one.fit]


def test_what_comes_after_the_fold_changes_nothing(world: World, tmp_path: Path) -> None:
    """Members and every byte of the graph stay as they were."""
    changed = world.table.assign(y=world.table["y"].where(world.table["ds"] <= world.fold.seen_until, 1e6))
    first, second = warm(world, tmp_path / "one"), warm(world._replace(table=changed), tmp_path / "two")
    assert second.spec.members == first.spec.members
    assert second.manifest.weights == first.manifest.weights


def test_the_last_fit_begins_where_the_judged_one_began(world: World, tmp_path: Path) -> None:
    """Members without a single step to take are still the champion's networks."""
    judged = warm(world, tmp_path / "judged", learning_rate=1e-30, weight_decay=0.0)
    unmoved = judged.spec.model_copy(
        update={
            "members": tuple(
                one.model_copy(update={"fit": one.fit and one.fit.model_copy(update={"steps": 0})})
                for one in judged.spec.members
            )
        }
    )
    start = Start("champion", world.champion.path, 1)
    last = fit_finally(
        world.table, world.job, world.fold, judged._replace(spec=unmoved), tmp_path / "last", start=start
    ).bundle
    before, after = networks(world.champion, world), networks(open_bundle(last), world)
    for title, expected in before.items():
        np.testing.assert_allclose(after[title], expected, atol=1e-6)


def test_an_ensemble_without_weights_is_trained_from_scratch(world: World, tmp_path: Path) -> None:
    """As bundles of before are; one whose archive lacks a network is refused by name."""
    files = {name: file for name, file in world.champion.manifest.files.items() if name != "members.zip"}
    older = world.champion._replace(manifest=world.champion.manifest.model_copy(update={"files": files}))
    known = past(world.table, world.fold.fit_until)
    assert objections(older, world.job, [world.fold], known) == ["its bundle holds no weights of a network"]

    shutil.copytree(world.champion.path, tmp_path / "bundle")
    with zipfile.ZipFile(tmp_path / "bundle" / "members.zip", "w") as archive:
        archive.writestr("0.keras", b"")
    title = next(one.title for one in world.champion.spec.members if one.fit)
    with pytest.raises(TrainingError, match=rf"members\.zip lacks the weights of {title}"):
        unpack(world.champion._replace(path=tmp_path / "bundle"), Start("champion"), tmp_path / "out")


def test_logarithms_that_were_chosen_stay_while_all_readings_have_them(world: World) -> None:
    """The job does not name a transform, so the champion's counts; readings of zero have no logarithm."""
    spec = world.champion.spec.model_dump(mode="json")
    logged = world.champion._replace(spec=Spec.model_validate(spec | {"table": spec["table"] | {"transform": "log"}}))
    known = past(world.table, world.fold.fit_until)
    assert objections(logged, world.job, [world.fold], known) == []
    sunk = known.assign(y=known["y"] - known["y"].min())
    expected = ["it reads logarithms, and not all readings are above 0"]
    assert objections(logged, world.job, [world.fold], sunk) == expected

    named = world.job.model_copy(update={"series": world.job.series.model_copy(update={"transform": "none"})})
    assert objections(logged, named, [world.fold], known) == ["its series.transform is log, the job's is none"]
