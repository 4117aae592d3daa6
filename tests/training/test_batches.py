"""An epoch's batches: every window once, in an order that seed and epoch alone decide."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from forecasting.series.prepare import prepare
from forecasting.series.windows import Windows
from forecasting.training.batches import Batches, draw, stream


@pytest.fixture(scope="module")
def windows(task: Callable[..., Any]) -> Windows:
    """The training windows of the small job."""
    job, table, fold = task()
    return prepare(table, job, fold).train


def test_every_window_is_in_the_epoch_once(windows: Windows) -> None:
    """The batches of an epoch are a permutation of all windows; only the last may be smaller."""
    batches = Batches(windows, draw(len(windows), 1, 3, None), 50)
    sizes = [len(batches[index][1]) for index in range(len(batches))]
    assert sizes == [50] * (len(windows) // 50) + [len(windows) % 50]
    assert np.array_equal(np.sort(batches.order), np.arange(len(windows)))
    assert not np.array_equal(batches.order, np.arange(len(windows)))


def test_a_batch_holds_the_windows_that_its_order_names(windows: Windows) -> None:
    """Inputs and targets of a batch belong to the same windows, read one by one."""
    batches = Batches(windows, draw(len(windows), 1, 0, None), 50)
    inputs, targets = batches[2]
    for place, index in enumerate(batches.order[100:150]):
        alone = windows.batch(np.array([index]))
        assert all(np.array_equal(inputs[name][place], values[0]) for name, values in alone.items())
        assert np.array_equal(targets[place], windows.targets(np.array([index]))[0], equal_nan=True)


def test_order_depends_on_seed_and_epoch_alone(windows: Windows) -> None:
    """A resumed fit sees the same windows: nothing that happened before changes the order of an epoch."""

    def order(seed: int, epoch: int) -> list[int]:
        return [int(index) for index in draw(len(windows), seed, epoch, None)]

    first = order(1, 4)
    np.random.default_rng(0).random(10)
    assert order(1, 4) == first
    assert order(1, 5) != first
    assert order(2, 4) != first


def test_most_bounds_the_epoch_and_other_epochs_bring_other_windows(windows: Windows) -> None:
    """Without repetition within an epoch, and not the same part of the data every time."""
    one, other = (draw(len(windows), 1, epoch, 120) for epoch in (0, 1))
    assert len(one) == len(np.unique(one)) == 120
    assert len(Batches(windows, one, 50)) == 3
    assert set(one) != set(other)
    assert len(draw(len(windows), 1, 0, 10 * len(windows))) == len(windows)


def test_without_a_seed_windows_come_in_order_and_evenly_spread(windows: Windows) -> None:
    """What validation sees is the same in every epoch, and not just the beginning."""
    assert np.array_equal(draw(len(windows), None, 0, None), np.arange(len(windows)))
    few = draw(len(windows), None, 0, 10)
    assert (few[0], few[-1], len(few)) == (0, len(windows) - 1, 10)
    assert np.ptp(np.diff(few)) <= 1


def test_a_very_large_epoch_is_drawn_without_an_order_of_all_windows(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit windows are drawn, the same for the same seed and epoch, and all of them may be drawn."""
    monkeypatch.setattr("forecasting.training.batches._LARGEST_SHUFFLE", 100)
    first, again = (draw(len(windows), 1, 1, 5000) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(first) == min(5000, len(windows))
    assert first.min() < 20
    assert first.max() >= len(windows) - 20


def test_batches_come_in_order_though_they_are_gathered_ahead(windows: Windows) -> None:
    """Iterating gives what indexing gives."""
    batches = Batches(windows, draw(len(windows), 1, 0, None), 50)
    read = list(batches)
    assert len(read) == len(batches)
    for index, (inputs, targets) in enumerate(read):
        expected, wanted = batches[index]
        assert np.array_equal(inputs["past"], expected["past"])
        assert np.array_equal(targets, wanted, equal_nan=True)


@pytest.mark.parametrize(("begin", "count"), [(0, 7), (3, 9), (6, 1), (13, 30), (7, 7)])
def test_stream_is_all_passes_behind_each_other(begin: int, count: int) -> None:
    """Any stretch of it equals that stretch of the passes, so that a resumed fit reads on where it stopped."""
    passes = np.concatenate([draw(7, 5, number, None) for number in range(8)])
    assert np.array_equal(stream(7, 5, begin, count), passes[begin : begin + count])
