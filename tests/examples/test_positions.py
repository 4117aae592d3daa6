"""Positions: the end of a sentence shows only in what follows it."""

import numpy as np

from examples import positions

SHORT = positions.TRAIN.model_copy(update={"epochs": 4})


def test_labels_are_those_of_whole_sentences() -> None:
    """Every text begins with a beginning and ends with an end; behind an end comes a beginning, or nothing."""
    texts = positions.texts(50, seed=9)
    for words, labels in zip(texts.inputs["past"], texts.wanted, strict=True):
        length = int((~np.isnan(labels)).sum())
        assert words[:length].sum() == length == words.sum()
        assert labels[0] == 0
        assert labels[length - 1] == 2
        assert np.array_equal(np.flatnonzero(labels[: length - 1] == 2) + 1, np.flatnonzero(labels[1:length] == 0) + 1)
        assert set(words[:length].argmax(axis=-1)[labels[:length] != 1]) <= {0, 1, 2}


def test_reading_forwards_cannot_know_an_end() -> None:
    """Six times of ten it goes on after a name that was seen, so forwards the best guess is never an end."""
    begin, middle, end, _ = positions.shares(positions.fit(SHORT, both=False))
    assert begin > 0.999
    assert middle > 0.999
    assert end < 0.001


def test_reading_both_ways_labels_every_word() -> None:
    """With the words behind it read as well, no label is wrong."""
    assert positions.shares(positions.fit(SHORT, both=True)) == [1.0, 1.0, 1.0, 1.0]
