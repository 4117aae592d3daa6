"""What a step costs, counted and not timed: traces, calls of Python, copies of a batch."""

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras
import numpy as np
import pytest

from forecasting.series.prepare import prepare
from forecasting.series.windows import Windows
from forecasting.training.batches import Batches, draw
from forecasting.training.fit import network_for
from forecasting.training.loop import compile_network, mean_loss
from forecasting.training.parts import SMALLEST
from forecasting.training.plan import FitPlan

MOST_CALLS = 1_350  # of Python functions in a step: about 1,230, of which nearly all are Keras's and TensorFlow's
MOST_COPIES = 2.1  # of a batch at the same moment: what was gathered, and what a network reads


@pytest.fixture(scope="module", params=[64, SMALLEST], ids=["small", "halves"])
def learner(request: Any, task: Callable[..., Any]) -> tuple[keras.Model, Windows, int]:
    """A compiled network, the windows to train on, and its batch size."""
    job, table, fold = task(batch_size=request.param)
    data = prepare(table, job, fold)
    network = network_for(job, data.features)
    made = compile_network(network, network.get_layer("head").loss, job.train, FitPlan(request.param, 10, 3, 3))
    return made, data.train, request.param


def batches(windows: Windows, size: int, count: int) -> Batches:
    """So many full batches."""
    order = np.resize(draw(len(windows), 1, 0, None), size * count)
    return Batches(windows, order, size)


def test_no_step_is_traced_again(learner: tuple[keras.Model, Windows, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a first round, in which the last batch of the check is smaller, only graphs run."""
    made, windows, size = learner
    traced: list[str] = []

    def counted(name: str) -> Callable[[Any], Any]:
        step = getattr(made, name)
        return lambda given: traced.append(name) or step(given)  # type: ignore[func-returns-value]

    for name in ("train_step", "test_step"):
        monkeypatch.setattr(made, name, counted(name))
    made.make_train_function(force=True)
    made.make_test_function(force=True)
    checked = Batches(windows, np.resize(np.arange(len(windows)), 2 * size + 7), size)
    first: list[str] = []
    for _ in range(3):
        mean_loss(made.train_on_batch, batches(windows, size, 3))
        mean_loss(made.test_on_batch, checked)
        first = first or [*traced]
    assert set(first) == {"train_step", "test_step"}
    assert traced == first


def test_a_step_calls_few_functions_of_python(learner: tuple[keras.Model, Windows, int]) -> None:
    """What a step does besides its graph does not grow unseen; gathering runs in another thread."""
    made, windows, size = learner
    mean_loss(made.train_on_batch, batches(windows, size, 2))
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        mean_loss(made.train_on_batch, batches(windows, size, 20))
    finally:
        sys.setprofile(None)
    assert calls / 20 <= MOST_CALLS


def test_a_batch_is_copied_no_more_than_it_must_be(learner: tuple[keras.Model, Windows, int]) -> None:
    """The largest array is gathered once and put into place once, and then only the batch itself is left."""
    _, windows, _ = learner
    given = batches(windows, 4_096, 1)
    inputs, targets = given[0]
    own = targets.nbytes + sum(values.nbytes for values in inputs.values())
    tracemalloc.start()
    try:
        kept = given[0]
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= MOST_COPIES * own
    assert now <= 1.1 * own
    assert len(kept) == 2
