"""A small job for the tests of training, and its clean table."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import keras
import pandas as pd
import pytest

from forecasting import sources
from forecasting.config.job import Job, parse_job
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds
from forecasting.training.checkpoint import Checkpoint


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


class Task(NamedTuple):
    """What a fit is asked to do."""

    job: Job
    table: pd.DataFrame
    fold: Fold


def make_job(params: dict[str, Any], **train: Any) -> Job:
    """Three noisy sine waves of 260 hours, four ahead, one small recurrent layer."""
    return parse_job(
        {
            "name": "tiny",
            "source": {"kind": "synthetic", "series": 3, "length": 260, "season": 24, "noise": 0.2, "seed": 1},
            "series": {"freq": "h"},
            "window": {"context": 12, "horizon": 4},
            "model": {"name": "stacked", "params": {"cell": "gru", "units": [4], **params}},
            "train": {"epochs": 3, "batch_size": 64, "learning_rate": 0.02, "patience": 9, **train},
            "backtest": {"windows": 5, "step": 2},
        }
    )


@pytest.fixture(scope="module", autouse=True)
def precision() -> Iterator[None]:
    """A fit sets Keras's precision; the tests after this file see the one before."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def task() -> Callable[..., Task]:
    """A task whose network has these parameters and whose `train` section has these keys."""

    def make(params: dict[str, Any] | None = None, **train: Any) -> Task:
        job = make_job(params or {}, **train)
        table = clean(sources.read(job), job.series).table
        return Task(job, table, folds(table, job)[0])

    return make


@pytest.fixture
def killed_after_a_save(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """A block in which a fit dies as soon as it has saved its state."""
    save = Checkpoint.save

    def dying(self: Checkpoint, network: keras.Model, line: Any) -> None:
        save(self, network, line)
        raise Killed

    @contextmanager
    def block() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "save", dying)
            with pytest.raises(Killed):
                yield

    return block
