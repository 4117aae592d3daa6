"""Lanes of symbols, and a fit on them: carried states, ragged sequences, exact resumption, a bundle."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, parse_job
from forecasting.errors import DataError
from forecasting.series.folds import folds
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.symbols import fit_symbols
from forecasting.training.tbptt import Lanes

SENTENCE = "Jane saw Spot . Spot saw Jane . Doug saw Spot . "


def book(repeats: dict[str, int]) -> pd.DataFrame:
    """Series of words, each the sentence so many times."""
    parts = []
    for name, count in repeats.items():
        words = (SENTENCE * count).split()
        ds = pd.date_range("2000-01-01", periods=len(words), freq="s", unit="us")
        parts.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": words}))
    return pd.concat(parts, ignore_index=True).astype({"unique_id": "str", "y": "str"})


def job(**sections: Any) -> Job:
    """A job over such series."""
    content = {
        "name": "book",
        "source": {"kind": "synthetic"},
        "series": {"freq": "s"},
        "window": {"context": 6, "horizon": 4},
        "model": {"name": "in_step", "params": {"units": [8], "inputs": "one_hot", "dropout": 0.1}},
        "head": {"name": "categorical"},
        "train": {"epochs": 3, "batch_size": 4, "learning_rate": 0.03, "seed": 1},
        "backtest": {"windows": 5, "step": 4},
    }
    return parse_job({**content, **sections})


def test_lanes_hold_every_symbol_once_in_order() -> None:
    """Read lane by lane, targets are the sequences in full; what is read is one symbol behind, 0 at a beginning."""
    sequences = [np.arange(1, 24), np.arange(101, 104), np.arange(201, 209)]
    lanes = Lanes(sequences, lanes=3, steps=4)
    indices = np.arange(len(lanes)).reshape(-1, 3).T.ravel()  # lane after lane
    wanted, given = lanes.targets(indices).ravel(), lanes.batch(indices)
    seen = ~np.isnan(wanted)
    np.testing.assert_array_equal(wanted[seen], np.concatenate(sequences))
    behind = np.concatenate([np.concatenate([[0], sequence[:-1]]) for sequence in sequences])
    np.testing.assert_array_equal(given["symbols"].ravel()[seen], behind)
    # chunks: 6 of the first, 1 of the second, 2 of the third sequence; lanes begin at 0, 3 and 6
    assert np.flatnonzero(given["fresh"][:, 0]).tolist() == [0, 3, 6, 7]


def test_without_carry_every_chunk_begins_anew() -> None:
    """`carry: false` marks all chunks as fresh."""
    lanes = Lanes([np.arange(1, 24)], lanes=2, steps=4, carry=False)
    assert (lanes.batch(np.arange(len(lanes)))["fresh"] == 1).all()


def test_nothing_to_learn_from_is_refused() -> None:
    """Sequences without a symbol are one clear error."""
    with pytest.raises(DataError, match="no symbol to learn from"):
        Lanes([np.array([], np.int32)], lanes=2, steps=4)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Job, Path]:
    """A fit on three ragged series that was left alone."""
    table, work = book({"long": 40, "short": 7, "tiny": 1}), tmp_path_factory.mktemp("fit")
    fit_symbols(table, job(), folds(table, job())[0], work, origin=Origin())
    return table, job(), work


def test_a_fit_that_was_killed_ends_with_the_same_weights(
    fitted: tuple[pd.DataFrame, Job, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its first epoch and begun again, a fit with carried states and dropout ends with equal graphs."""
    table, whole, alone = fitted

    class KilledError(Exception):
        pass

    save: Callable[..., None] = Checkpoint.save

    def save_and_die(self: Checkpoint, *args: Any) -> None:
        save(self, *args)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(KilledError):
            fit_symbols(table, whole, folds(table, whole)[0], tmp_path / "fit", origin=Origin())
    fit_symbols(table, whole, folds(table, whole)[0], tmp_path / "fit", origin=Origin())
    assert (tmp_path / "fit/bundle/model.onnx").read_bytes() == (alone / "bundle/model.onnx").read_bytes()


def test_ragged_sequences_are_continued_each_from_its_own_end(fitted: tuple[pd.DataFrame, Job, Path]) -> None:
    """Every series, of whatever length, gets its horizon from its own last step on, in known words."""
    table, _, work = fitted
    found = open_forecaster(work / "bundle").forecast(table)
    assert found.groupby("unique_id").size().to_dict() == {"long": 4, "short": 4, "tiny": 4}
    assert found.groupby("unique_id")["cutoff"].first().equals(table.groupby("unique_id")["ds"].max().rename("cutoff"))
    assert set(found["symbol"]) <= set(table["y"])
    assert found["probability"].between(0, 1).all()


def test_unknown_symbols_are_counted_and_never_told(fitted: tuple[pd.DataFrame, Job, Path]) -> None:
    """A name that was never seen is read as the unknown one, reported, and no forecast says it."""
    table, _, work = fitted
    strange = table.assign(y=table["y"].replace("Spot", "Rex"))
    found = open_forecaster(work / "bundle").forecast(strange[strange["unique_id"] == "tiny"], horizon=200)
    assert (found["unknown"] == 1).all()  # one of the last six words
    assert set(found["symbol"]) <= set(table["y"])


def test_a_damaged_bundle_is_refused(fitted: tuple[pd.DataFrame, Job, Path], tmp_path: Path) -> None:
    """Another vocabulary under the same weights does not verify."""
    bundle = shutil.copytree(fitted[2] / "bundle", tmp_path / "bundle")
    spec = bundle / "spec.json"
    spec.write_text(spec.read_text().replace("Jane", "Tarz"))
    with pytest.raises(Exception, match="checksum differs"):
        open_forecaster(bundle)
