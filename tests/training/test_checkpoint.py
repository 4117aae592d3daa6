"""The state of a fit on disk: which epoch is the best, when patience ends, and what a kill leaves behind."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from forecasting.training.checkpoint import Checkpoint, Round

# Keras reads its TensorFlow variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def network() -> keras.Model:
    """Two weights and a trained-with optimizer."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(keras.layers.Dense(1)(inputs)))
    model.compile(optimizer=keras.optimizers.AdamW(0.1), loss="mse")
    return model


def fit(model: keras.Model) -> None:
    """One more epoch of one batch."""
    model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0)


def epoch(number: int, val_loss: float) -> Round:
    """A line of the history."""
    return Round(epoch=number, loss=1.0, val_loss=val_loss, seconds=0.0)


def weights(model: keras.Model) -> list[Any]:
    """All weights as lists."""
    return [array.tolist() for array in model.get_weights()]


def train(directory: Path, losses: list[float]) -> tuple[Checkpoint, list[list[Any]]]:
    """A checkpoint after epochs with these validation losses, and the weights after each."""
    keras.utils.set_random_seed(1)
    checkpoint, model, seen = Checkpoint(directory), network(), []
    for number, loss in enumerate(losses, 1):
        fit(model)
        checkpoint.save(model, epoch(number, loss))
        seen.append(weights(model))
    return checkpoint, seen


@pytest.mark.parametrize(
    ("losses", "best"), [([3.0, 1.0, 2.0], 2), ([1.0, 2.0, 3.0], 1), ([3.0, 2.0, 1.0], 3), ([2.0, 1.0, 1.0], 2)]
)
def test_best_weights_are_those_of_the_lowest_validation_loss(tmp_path: Path, losses: list[float], best: int) -> None:
    """The earlier one of two equals; files of epochs that nobody needs again are gone."""
    checkpoint, seen = train(tmp_path, losses)
    other = network()
    other.optimizer.build(other.trainable_variables)
    line = checkpoint.load_best(other)

    assert (checkpoint.best, line["epoch"], line["val_loss"]) == (best, best, losses[best - 1])
    assert weights(other) == seen[best - 1]
    kept = {path.name for path in tmp_path.glob("*.weights.h5")}
    assert kept == {f"epoch-{best}.weights.h5", f"epoch-{len(losses)}.weights.h5"}


def test_patience_counts_epochs_without_a_better_one() -> None:
    """After two epochs that bring nothing, patience 2 is exhausted and patience 3 is not."""
    checkpoint = Checkpoint(Path("unused"))
    checkpoint.history = [epoch(1, 2.0), epoch(2, 1.0), epoch(3, 1.0)]
    assert not checkpoint.exhausted(2)
    checkpoint.history.append(epoch(4, 1.5))
    assert checkpoint.exhausted(2)
    assert not checkpoint.exhausted(3)


def test_nothing_stored_means_a_fresh_start(tmp_path: Path) -> None:
    """An empty folder, or one where only a first epoch was begun, changes no weight."""
    model = network()
    before = weights(model)
    assert Checkpoint(tmp_path).restore(model) == 0
    (tmp_path / "scratch.weights.h5").write_bytes(b"half")
    (tmp_path / "epoch-1.weights.h5").write_bytes(b"not named by a history")
    assert Checkpoint(tmp_path).restore(model) == 0
    assert weights(model) == before


def test_restoring_brings_back_weights_optimiser_and_history(tmp_path: Path) -> None:
    """Another network becomes the one that was saved: moments and step count of the optimizer included."""
    keras.utils.set_random_seed(1)
    model, first = network(), Checkpoint(tmp_path)
    for number in (1, 2):
        fit(model)
        first.save(model, epoch(number, 1.0 / number))
    other, second = network(), Checkpoint(tmp_path)

    assert second.restore(other) == 2
    assert weights(other) == weights(model)
    assert int(other.optimizer.iterations) == 2
    saved, restored = ([np.asarray(v).tolist() for v in m.optimizer.variables] for m in (model, other))
    assert restored == saved
    assert second.history == first.history == [epoch(1, 1.0), epoch(2, 0.5)]


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize("name", ["epoch-3.weights.h5", "history.json"])
def test_killed_while_saving_the_epoch_before_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Dying before either file takes its place leaves the two epochs before, readable."""
    checkpoint, seen = train(tmp_path, [2.0, 1.0])
    replace: Callable[..., None] = os.replace

    def dying(source: Path, target: Path) -> None:
        if Path(target).name == name:
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", dying)
    model = network()
    with pytest.raises(Killed):
        checkpoint.save(model, epoch(3, 0.5))
    monkeypatch.undo()

    fresh = Checkpoint(tmp_path)
    assert fresh.restore(model) == 2
    assert weights(model) == seen[1]
    assert json.loads((tmp_path / "history.json").read_text()) == fresh.history == [epoch(1, 2.0), epoch(2, 1.0)]
    fresh.save(model, epoch(3, 3.0))
    assert fresh.load_best(model)["epoch"] == 2


def test_the_round_before_the_first_step_may_be_the_best(tmp_path: Path) -> None:
    """A network that forecasts before it has learned is saved as round 0, and may be taken back."""
    checkpoint, model = Checkpoint(tmp_path), network()
    checkpoint.save(model, epoch(0, 1.0))
    before = weights(model)
    for number in (1, 2):
        fit(model)
        checkpoint.save(model, epoch(number, 2.0))
    assert (checkpoint.best, checkpoint.last) == (0, 2)
    assert checkpoint.exhausted(2)
    assert checkpoint.load_best(model)["epoch"] == 0
    assert weights(model) == before
