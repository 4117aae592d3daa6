"""The files of strangers say nothing of themselves, and what is found in them is counted without favor."""

from pathlib import Path

import pytest

from benchmarks.newcomer.__main__ import judged, look, verdict
from benchmarks.newcomer.files import FILES
from forecasting.inspection.findings import Finding


def test_keys_count_as_right_asked_or_wrong() -> None:
    """Sure and equal, not sure, sure and different; a key that was not found is wrong."""
    found = {
        "a": Finding("a", 1, "", sure=True),
        "b": Finding("b", 2, "", sure=False),
        "c": Finding("c", 9, "", sure=False),
        "d": Finding("d", 9, "", sure=True),
    }
    expected = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert judged(found, expected) == {"right": ["a"], "asked": ["b", "c: 9"], "wrong": ["d: 9", "e: None"]}


def test_the_last_word_is_the_verdict_or_the_error() -> None:
    """A sentence either way."""
    assert verdict("x\nauto passed every rule and is the champion, version 1.\nreport: r\n", "noise").startswith("auto")
    assert verdict("", "progress\nerror: b.csv cannot be forecast:\n  - why\n").startswith("error: b.csv")


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_found_wrong_and_sure_in_a_file_of_a_stranger(name: str, datasets: Path, tmp_path: Path) -> None:
    """Every key that its owner would write is right, or is asked; and no file has errors that would stop it."""
    found = look(FILES[name].write(datasets, tmp_path), FILES[name])
    assert (found["wrong"], found["errors"]) == ([], [])
    assert found["right"]
