"""Speakers: a whole ragged sequence gets one label."""

from pathlib import Path

import numpy as np
import pytest

from examples import speakers


@pytest.fixture(scope="module")
def utterances(datasets: Path) -> tuple[speakers.Utterances, speakers.Utterances]:
    """What there is to learn from, and to be judged on."""
    folder = datasets / "sequences"
    train, test = (speakers.read(folder / f"JapaneseVowels_{part}.ts.gz") for part in ("TRAIN", "TEST"))
    return speakers.standardized(train, test)


def test_utterances_are_padded_in_front(utterances: tuple[speakers.Utterances, speakers.Utterances]) -> None:
    """270 and 370 of 7 to 29 steps, thirty of each speaker to learn from; what is padding is zero in every channel."""
    train, test = utterances
    lengths = train.past[:, :, -1].sum(axis=1)
    assert (len(train.past), len(test.past), lengths.min(), lengths.max()) == (270, 370, 7, 26)
    assert np.bincount(train.speaker).tolist() == [30] * 9
    assert np.array_equal(train.past.any(axis=-1), train.past[:, :, -1] == 1)
    assert np.all(np.diff(train.past[:, :, -1], axis=1) >= 0)


def test_network_names_nine_of_ten_speakers(utterances: tuple[speakers.Utterances, speakers.Utterances]) -> None:
    """After a third of the training it is far ahead of the most frequent speaker and of the mean coefficients."""
    share = speakers.recurrent(*utterances, speakers.TRAIN.model_copy(update={"epochs": 12}))
    rivals = speakers.linear(*utterances)
    assert rivals["most frequent speaker"] < 0.15
    assert share > 0.93
    assert share > rivals["ridge, mean coefficients"]
