"""An epoch's batches: every window once, in an order that seed and epoch alone decide."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from forecasting.series.prepare import prepare
from forecasting.series.windows import Windows
from forecasting.training.batches import Batches


@pytest.fixture(scope="module")
def windows(task: Callable[..., Any]) -> Windows:
    """The training windows of the small job."""
    job, table, fold = task()
    return prepare(table, job, fold).train


def test_every_window_is_in_the_epoch_once(windows: Windows) -> None:
    """The batches of an epoch are a permutation of all windows; only the last may be smaller."""
    batches = Batches(windows, 50, seed=1, epoch=3)
    sizes = [len(batches[index][1]) for index in range(len(batches))]
    assert sizes == [50] * (len(windows) // 50) + [len(windows) % 50]
    assert np.array_equal(np.sort(batches.order), np.arange(len(windows)))
    assert not np.array_equal(batches.order, np.arange(len(windows)))


def test_a_batch_holds_the_windows_that_its_order_names(windows: Windows) -> None:
    """Inputs and targets of a batch belong to the same windows, read one by one."""
    batches = Batches(windows, 50, seed=1)
    inputs, targets = batches[2]
    for place, index in enumerate(batches.order[100:150]):
        alone = windows.batch(np.array([index]))
        assert all(np.array_equal(inputs[name][place], values[0]) for name, values in alone.items())
        assert np.array_equal(targets[place], windows.targets(np.array([index]))[0], equal_nan=True)


def test_order_depends_on_seed_and_epoch_alone(windows: Windows) -> None:
    """A resumed fit sees the same windows: nothing that happened before changes the order of an epoch."""

    def order(seed: int, epoch: int) -> list[int]:
        return [int(index) for index in Batches(windows, 50, seed=seed, epoch=epoch).order]

    first = order(1, 4)
    np.random.default_rng(0).random(10)
    assert order(1, 4) == first
    assert order(1, 5) != first
    assert order(2, 4) != first


def test_most_bounds_the_epoch_and_other_epochs_bring_other_windows(windows: Windows) -> None:
    """Without repetition within an epoch, and not the same part of the data every time."""
    one, other = (Batches(windows, 50, seed=1, epoch=epoch, most=120).order for epoch in (0, 1))
    assert len(one) == len(np.unique(one)) == 120
    assert len(Batches(windows, 50, seed=1, most=120)) == 3
    assert set(one) != set(other)
    assert len(Batches(windows, 50, seed=1, most=10 * len(windows)).order) == len(windows)


def test_without_a_seed_windows_come_in_order_and_evenly_spread(windows: Windows) -> None:
    """What validation sees is the same in every epoch, and not just the beginning."""
    assert np.array_equal(Batches(windows, 50).order, np.arange(len(windows)))
    few = Batches(windows, 50, most=10).order
    assert (few[0], few[-1], len(few)) == (0, len(windows) - 1, 10)
    assert np.ptp(np.diff(few)) <= 1


def test_a_very_large_epoch_is_drawn_without_an_order_of_all_windows(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit windows are drawn, the same for the same seed and epoch, and all of them may be drawn."""
    monkeypatch.setattr("forecasting.training.batches._LARGEST_SHUFFLE", 100)
    first, again = (Batches(windows, 50, seed=1, epoch=1, most=5000).order for _ in range(2))
    assert np.array_equal(first, again)
    assert len(first) == min(5000, len(windows))
    assert first.min() < 20
    assert first.max() >= len(windows) - 20
