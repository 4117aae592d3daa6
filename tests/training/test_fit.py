"""A fit: the same numbers for the same seed, as if nothing had happened after a kill, and a bundle that agrees."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.forecaster import open_forecaster
from forecasting.errors import DataError, TrainingError
from forecasting.series.prepare import prepare
from forecasting.storage.store import Store
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.fit import fit, fit_stored
from forecasting.training.progress import FitProgress
from forecasting.training.records import Fitted
from tests.training.conftest import Killed

# Keras reads its TensorFlow variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

ORIGIN = Origin(data_version="abc", git_commit="def")
DROPOUT = {"dropout": 0.3}


class Trained(NamedTuple):
    """The undisturbed fit of this file."""

    task: Any
    work: Path
    fitted: Fitted


@pytest.fixture(scope="module")
def trained(task: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Three epochs with dropout, in peace."""
    work = tmp_path_factory.mktemp("fit")
    asked = task(DROPOUT)
    return Trained(asked, work, fit(asked.table, asked.job, asked.fold, work, origin=ORIGIN))


def graph(fitted: Fitted) -> bytes:
    """The exported weights."""
    return (fitted.bundle / "model.onnx").read_bytes()


def losses(fitted: Fitted) -> list[list[float]]:
    """The curves without their times."""
    return fitted.curves[["epoch", "loss", "val_loss", "gradient_norm", "clipped"]].to_numpy().tolist()


def test_same_seed_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    """Two fits give byte-equal graphs, curves and calibration."""
    again = fit(trained.task.table, trained.task.job, trained.task.fold, tmp_path, origin=ORIGIN)
    assert graph(again) == graph(trained.fitted)
    assert losses(again) == losses(trained.fitted)
    for name in ("conformal.npz", "golden.npz"):
        with np.load(again.bundle / name) as one, np.load(trained.fitted.bundle / name) as other:
            assert all(np.array_equal(one[key], other[key]) for key in (*one.files, *other.files))


def test_another_seed_gives_other_weights(trained: Trained, task: Callable[..., Any], tmp_path: Path) -> None:
    """The seed is not ignored."""
    asked = task(DROPOUT, seed=2)
    assert graph(fit(asked.table, asked.job, asked.fold, tmp_path, origin=ORIGIN)) != graph(trained.fitted)


def test_bundle_forecasts_what_keras_forecasts(trained: Trained) -> None:
    """The graph that serves gives the numbers of the network that was trained, to 1e-5 in the scaled space."""
    data = prepare(trained.task.table, trained.task.job, trained.task.fold)
    network = keras.saving.load_model(trained.fitted.bundle / "model.keras", compile=False)
    indices = np.arange(len(data.valid))
    expected = keras.ops.convert_to_numpy(network(data.valid.batch(indices), training=False))
    served = open_forecaster(trained.fitted.bundle).scaled(data.valid, indices)

    assert served.shape == expected.shape == (len(indices), 4, 3)
    assert np.abs(served - expected).max() <= 1e-5
    assert np.std(expected) > 0.01


def test_bundle_says_where_it_comes_from(trained: Trained) -> None:
    """Parity, seed, data, commit, and the optimizer steps up to the best epoch."""
    manifest = open_bundle(trained.fitted.bundle).manifest
    data = prepare(trained.task.table, trained.task.job, trained.task.fold)
    best = int(trained.fitted.curves["val_loss"].idxmin()) + 1
    assert 0 <= manifest.origin.parity <= 1e-5
    assert (manifest.origin.seed, manifest.origin.data_version, manifest.origin.git_commit) == (1, "abc", "def")
    assert manifest.origin.steps == best * -(-len(data.train) // 64)


def unlike_its_validation_span(asked: Any) -> Any:
    """The task with noise in its validation span: the better the season is learned, the worse it fits there."""
    later = asked.table["ds"] > asked.fold.fit_until
    y = asked.table["y"]
    noise = y.mean() + y.std() * np.random.default_rng(2).normal(size=len(y))
    return asked._replace(table=asked.table.assign(y=y.where(~later, noise)))


def test_bundle_holds_the_best_epoch_not_the_last(task: Callable[..., Any], tmp_path: Path) -> None:
    """Where later epochs forecast the validation span worse, the weights are those of the lowest validation loss."""
    asked = unlike_its_validation_span(task({}, epochs=7, learning_rate=0.03, decay="constant"))
    fitted = fit(asked.table, asked.job, asked.fold, tmp_path, origin=ORIGIN)
    best = int(fitted.curves["val_loss"].idxmin()) + 1
    assert best < len(fitted.curves)

    data = prepare(asked.table, asked.job, asked.fold)
    forecast = open_forecaster(fitted.bundle).scaled(data.valid, np.arange(len(data.valid)))
    y = data.valid.targets(np.arange(len(data.valid)))[:, :, None]
    levels = np.array(asked.job.head.quantiles)
    pinball = 2 * np.maximum(levels * (y - forecast), (levels - 1) * (y - forecast)).mean()
    assert pinball == pytest.approx(fitted.curves["val_loss"].min(), rel=1e-4)


def test_training_stops_when_patience_is_exhausted(task: Callable[..., Any], tmp_path: Path) -> None:
    """The epoch after the last allowed one without progress is never begun."""
    asked = unlike_its_validation_span(task({}, epochs=30, learning_rate=0.03, decay="constant", patience=2))
    curves = fit(asked.table, asked.job, asked.fold, tmp_path, origin=ORIGIN).curves
    best = int(curves["val_loss"].idxmin()) + 1
    assert len(curves) == best + 2 < 30


def in_the_middle_of_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Die after 14 of 20 batches."""
    left, watch = [14], FitProgress.watch

    def dying(self: FitProgress, batches: Iterable[Any]) -> Iterator[Any]:
        for batch in watch(self, batches):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            yield batch

    monkeypatch.setattr(FitProgress, "watch", dying)


def after_the_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Die as soon as the first epoch is saved."""
    save = Checkpoint.save

    def dying(self: Checkpoint, network: keras.Model, line: Any) -> None:
        save(self, network, line)
        raise Killed

    monkeypatch.setattr(Checkpoint, "save", dying)


def before_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Die when all epochs are saved."""

    def dying(self: Checkpoint, network: keras.Model) -> None:
        raise Killed

    monkeypatch.setattr(Checkpoint, "load_best", dying)


@pytest.mark.parametrize("die", [after_the_first_epoch, in_the_middle_of_the_second_epoch, before_the_bundle])
def test_killed_fit_goes_on_as_if_nothing_had_happened(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Resumed, it has exactly the weights and the history of an undisturbed fit: order, rate, moments, dropout."""
    job, table, fold = trained.task
    with monkeypatch.context() as patch:
        die(patch)
        with pytest.raises(Killed):
            fit(table, job, fold, tmp_path, origin=ORIGIN)
    before = json.loads((tmp_path / "history.json").read_text())
    assert not (tmp_path / "bundle").exists()

    resumed = fit(table, job, fold, tmp_path, origin=ORIGIN)

    assert losses(resumed) == losses(trained.fitted)
    assert graph(resumed) == graph(trained.fitted)
    after = json.loads((tmp_path / "history.json").read_text())
    assert after[: len(before)] == before  # done epochs are not done again, their seconds show it


def test_loss_that_is_lost_ends_the_fit_with_a_way_out(task: Callable[..., Any], tmp_path: Path) -> None:
    """A diverging fit raises, names the round and the key, and leaves no bundle and no history behind."""
    asked = task({"cell": "simple", "activation": "relu", "normalise": "none"}, learning_rate=1e30, decay="constant")
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf).* in round \d: lower train.learning_rate"):
        fit(asked.table, asked.job, asked.fold, tmp_path, origin=ORIGIN)
    assert not (tmp_path / "bundle").exists()


def test_an_epoch_reads_no_more_windows_than_asked_for(
    task: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`windows_per_epoch` bounds the batches of every epoch."""
    asked = task({}, windows_per_epoch=130, epochs=2)
    sizes: list[int] = []
    watch = FitProgress.watch

    def counting(self: FitProgress, batches: Iterable[Any]) -> Iterator[Any]:
        for inputs, targets in watch(self, batches):
            sizes.append(len(targets))
            yield inputs, targets

    monkeypatch.setattr(FitProgress, "watch", counting)
    fitted = fit(asked.table, asked.job, asked.fold, tmp_path, origin=ORIGIN)
    assert sizes == [64, 64, 2, 64, 64, 2]
    assert open_bundle(fitted.bundle).manifest.origin.steps in (3, 6)


def test_a_fold_never_sees_what_comes_after_it(trained: Trained, tmp_path: Path) -> None:
    """Other readings after `seen_until` change not one byte of the weights."""
    job, table, fold = trained.task
    changed = table.assign(y=table["y"].where(table["ds"] <= fold.seen_until, 1e6))
    assert (changed["y"] != table["y"]).any()
    assert graph(fit(changed, job, fold, tmp_path, origin=ORIGIN)) == graph(trained.fitted)


def test_too_little_data_is_refused_before_any_epoch(trained: Trained, tmp_path: Path) -> None:
    """One clear sentence instead of an empty data set in Keras."""
    job, table, fold = trained.task
    short = table.groupby("unique_id").tail(30).reset_index(drop=True)
    with pytest.raises(DataError, match=r"the training span holds no window of 12 \+ 4 steps"):
        fit(short, job, fold, tmp_path, origin=ORIGIN)
    assert not list(tmp_path.iterdir())


def test_stored_observations_give_the_same_fit(trained: Trained, tmp_path: Path) -> None:
    """What a child process is asked to do, from the stored version alone, is the same fit."""
    job, table, _ = trained.task
    store = Store(tmp_path)
    version = store.observations.merge(job.name, table[["unique_id", "ds", "y"]]).version
    later = table[["unique_id", "ds", "y"]].assign(y=0.0)
    store.observations.merge(job.name, later)

    fitted = fit_stored(tmp_path, job, version, 0, work=tmp_path / "work", origin=ORIGIN)

    assert graph(fitted) == graph(trained.fitted)


def test_progress_tells_data_device_and_every_epoch(
    task: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On standard error: windows and device first, then one line an epoch; nothing on standard output."""
    asked = task({}, epochs=2)
    fit(asked.table, asked.job, asked.fold, tmp_path, origin=ORIGIN)
    out, err = capfd.readouterr()
    text = re.sub(r"\s+", " ", err)
    assert out == ""
    assert re.search(r"\d+ training and \d+ validation windows; device: CPU \(\w+\); gru_1: generic loop", text)
    assert re.findall(r"epoch (\d)/2 loss \d\.\d+ validation \d\.\d+", text) == ["1", "2"]
