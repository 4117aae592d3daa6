"""Arrays as examples, and a fit on them that leaves nothing behind."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.config.training import Train
from forecasting.errors import DataError
from forecasting.nn import heads, models
from forecasting.training.batches import Batches, draw
from forecasting.training.devices import set_up
from forecasting.training.examples import Arrays, learn_in_memory


@pytest.fixture
def ramps() -> Arrays:
    """Forty straight lines of three readings and what comes next."""
    draw = np.random.default_rng(1)
    lines = draw.normal(size=(40, 1)) + draw.normal(size=(40, 1)) * np.arange(4)  # (40, 4)
    return Arrays({"past": lines[:, :3, None].astype(np.float32)}, lines[:, 3:].astype(np.float32))


def test_arrays_are_the_batches_of_an_epoch(ramps: Arrays) -> None:
    """Every row comes once, with its own target."""
    batches = Batches(ramps, draw(len(ramps), 3, 0, None), 16)
    inputs, targets = (np.concatenate(parts) for parts in zip(*((b["past"], t) for b, t in batches), strict=True))
    assert np.allclose(targets[:, 0], 2 * inputs[:, 2, 0] - inputs[:, 1, 0], atol=1e-5)
    assert np.array_equal(np.sort(targets[:, 0]), np.sort(ramps.wanted[:, 0]))


def test_arrays_tell_the_value_before_where_it_is_given() -> None:
    """The input `previous` is what a network that is told it reads; without one there is a clear error."""
    known = {"past": np.zeros((2, 3, 1)), "previous": np.array([[1.0, 2.0], [3.0, 4.0]])}
    assert Arrays(known, np.zeros((2, 2))).previous(np.array([1])).tolist() == [[3.0, 4.0]]
    with pytest.raises(DataError, match="add the input `previous`"):
        Arrays({"past": known["past"]}, np.zeros((2, 2))).previous(np.array([1]))


@pytest.mark.parametrize(
    ("rows", "targets"), [({"past": 3, "future": 2}, 3), ({"past": 2, "static": 2}, 3), ({}, 3), ({"past": 0}, 0)]
)
def test_arrays_of_unequal_rows_are_refused(rows: dict[str, int], targets: int) -> None:
    """Inputs and targets must be as many, and there must be some; the error counts all of them."""
    with pytest.raises(DataError) as caught:
        Arrays({name: np.zeros((count, 1)) for name, count in rows.items()}, np.zeros((targets, 1)))
    assert all(f"{name}: {count}" in str(caught.value) for name, count in {**rows, "targets": targets}.items())


def test_learning_ends_with_the_best_epoch_and_leaves_no_files(
    ramps: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are those of the lowest validation loss in the history, and the folder of the fit is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    set_up(Train(seed=1))
    head = heads.build(NumberHead(quantiles=(0.5,)))
    shapes = models.Shapes(context=3, horizon=1, past=1)
    network = models.build(Stacked(units=[2], cell="simple", decoder=[4]), shapes, head)
    # so fast that the loss jumps about: the last epoch is not the best
    config = Train(epochs=6, patience=6, batch_size=8, learning_rate=0.3, decay="constant", seed=1)
    history = learn_in_memory(network, head.loss, ramps, ramps, config)
    found = float(head.loss(ramps.wanted, network(ramps.inputs, training=False)))
    losses = [epoch["val_loss"] for epoch in history]
    assert losses[-1] > min(losses)
    assert found == pytest.approx(min(losses), rel=1e-4)
    assert not list(tmp_path.iterdir())
    assert isinstance(network, keras.Model)
