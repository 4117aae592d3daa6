"""Speakers: nine people say a Japanese vowel, ragged sequences of twelve coefficients. Who is it?

    GATECAST_DATASETS=../shared/datasets python -m examples.speakers

Many to one: a bidirectional GRU reads a whole utterance, padded in front and with a channel that tells what is padding,
and gives one label (Kudo et al. 1999; 270 utterances to learn from, 370 to be judged on). Beside it: always the most
frequent speaker, and a linear classifier of each coefficient's mean, and of all padded coefficients.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import RidgeClassifierCV

from forecasting.bundle.engine import Engine
from forecasting.config.head import SymbolHead
from forecasting.config.network import Stacked
from forecasting.config.training import Train
from forecasting.nn import export, heads, models
from forecasting.training.devices import set_up
from forecasting.training.examples import Arrays, learn_in_memory

STEPS = 29  # of the longest utterance
TRAIN = Train(epochs=30, batch_size=32, learning_rate=0.005, patience=30, seed=1)


class Utterances(NamedTuple):
    """Padded coefficients with their mask (E, STEPS, 13), and who spoke, 0 … 8 (E,)."""

    past: np.ndarray
    speaker: np.ndarray


def main() -> None:
    """Print the share of the 370 utterances whose speaker each classifier names."""
    folder = Path(os.environ.get("GATECAST_DATASETS", "../shared/datasets")) / "sequences"
    if not folder.is_dir():
        sys.exit(f"there is no folder {folder}: set GATECAST_DATASETS to the folder of the larger data sets")
    train, test = standardized(*(read(folder / f"JapaneseVowels_{part}.ts.gz") for part in ("TRAIN", "TEST")))
    print(f"{'classifier':34}{'right':>8}")
    for name, right in (linear(train, test) | {"GRU, both ways": recurrent(train, test, TRAIN)}).items():
        print(f"{name:34}{right:8.1%}")


def read(path: Path) -> Utterances:
    """The utterances of a file, one a line: coefficients separated by colons, their values by commas."""
    fields = [line.split(":") for line in gzip.decompress(path.read_bytes()).decode().partition("@data")[2].split()]
    past = np.zeros((len(fields), STEPS, 13), dtype=np.float32)
    for row, field in zip(past, fields, strict=True):
        values = np.array([coefficient.split(",") for coefficient in field[:-1]], dtype=np.float32)  # (12, steps)
        row[-values.shape[1] :] = np.append(values, np.ones_like(values[:1]), axis=0).T
    return Utterances(past, np.array([int(field[-1]) - 1 for field in fields]))


def standardized(train: Utterances, test: Utterances) -> tuple[Utterances, Utterances]:
    """Both with each coefficient's mean and spread in training taken off; the padding stays zero."""
    said = train.past[train.past[:, :, -1] == 1][:, :-1]
    mean, spread = np.append(said.mean(axis=0), 0.0), np.append(said.std(axis=0), 1.0)

    def apply(part: Utterances) -> Utterances:
        return Utterances(((part.past - mean) / spread * part.past[:, :, -1:]).astype(np.float32), part.speaker)

    return apply(train), apply(test)


def linear(train: Utterances, test: Utterances) -> dict[str, float]:
    """The share that is right without a network: the most frequent speaker, and two ridge classifiers."""
    most = np.bincount(train.speaker).argmax()
    found = {"most frequent speaker": float(np.mean(test.speaker == most))}
    for name, features in (("ridge, mean coefficients", _means), ("ridge, all padded coefficients", _flat)):
        ridge = RidgeClassifierCV(alphas=np.logspace(-3, 3, 13)).fit(features(train.past), train.speaker)
        found[name] = float(ridge.score(features(test.past), test.speaker))
    return found


def recurrent(train: Utterances, test: Utterances, config: Train) -> float:
    """The share that is right after training on four fifths of what there is to learn from; one fifth validates."""
    set_up(config)
    head = heads.build(SymbolHead(), classes=9)
    shapes = models.Shapes(context=STEPS, horizon=1, past=13, mask=True)
    params = Stacked(cell="gru", units=(64,), bidirectional=True, dropout=0.5, normalise="none")
    network = models.build(params, shapes, head)
    held_out = np.arange(len(train.past)) % 5 == 0
    taught, valid = (_examples(train.past[part], train.speaker[part]) for part in (~held_out, held_out))
    learn_in_memory(network, head.loss, taught, valid, config)
    logits = Engine(export.to_onnx(network, "parameters")).run({"past": test.past})["parameters"]  # (E, 1, 9)
    return float(np.mean(logits[:, 0].argmax(axis=-1) == test.speaker))


def _examples(past: np.ndarray, speaker: np.ndarray) -> Arrays:
    return Arrays({"past": past}, speaker[:, None].astype(np.float32))


def _means(past: np.ndarray) -> np.ndarray:
    return np.asarray(past[:, :, :-1].sum(axis=1) / past[:, :, -1:].sum(axis=1))


def _flat(past: np.ndarray) -> np.ndarray:
    return past.reshape(len(past), -1)


if __name__ == "__main__":
    main()
