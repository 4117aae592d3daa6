"""Columns of quantiles, their order and the intervals that they bound; the axis letters of every array."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from forecasting.columns import (
    AXES,
    column_quantile,
    interval_columns,
    median_column,
    quantile_column,
    quantile_columns,
)

PACKAGES = [Path(__file__).parents[1] / name for name in ("forecasting", "pipelines")]
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
SHAPE = re.compile(r"\(([^()]*,[^()]*)\)")
SIZE = re.compile(r"[-+*/^·⌈⌉ \w]+|\.\.\.|…")
LETTER = re.compile(r"(?<![^\W\d])[A-Z](?!\w)")
CHECKED = re.compile(r"""check_axes\(\w+, "([A-Z]+)\"""")


@pytest.mark.parametrize("quantile", [0.1, 0.025, 1e-5, 0.5, 0.999])
def test_column_tells_its_quantile(quantile: float) -> None:
    """There and back."""
    assert column_quantile(quantile_column(quantile)) == quantile


def test_quantile_columns_are_found_and_put_in_order() -> None:
    """By their quantile, not by their name."""
    assert quantile_columns(["q0.5", "ds", "q1e-05", "q0.025", "quality", "q0.9"]) == [
        "q1e-05",
        "q0.025",
        "q0.5",
        "q0.9",
    ]


def test_intervals_pair_from_the_outside_inwards() -> None:
    """With the level in percent; the middle has no partner."""
    pairs = interval_columns(["q0.05", "q0.1", "q0.5", "q0.9", "q0.95"])
    assert pairs == [("q0.05", "q0.95", 90.0), ("q0.1", "q0.9", 80.0)]
    assert interval_columns(["q0.5"]) == []


def test_forecast_is_the_quantile_nearest_to_the_median() -> None:
    """Another version may not have forecast 0.5."""
    assert median_column(["q0.1", "q0.4", "q0.9"]) == "q0.4"
    assert median_column(["q0.1", "q0.5", "q0.9"]) == "q0.5"


def letters(path: Path) -> Iterator[str]:
    """The axis letters of every shape in the comments and texts of a file, and of every check of axes."""
    for letters in CHECKED.findall(path.read_text(encoding="utf-8")):
        yield from letters
    with tokenize.open(path) as file:
        texts = [token.string for token in tokenize.generate_tokens(file.readline) if token.type in TEXTS]
    for found in SHAPE.finditer("\n".join(texts)):
        sizes = [size.strip() for size in found[1].rstrip(",").split(",")]
        if all(SIZE.fullmatch(size) and len(size.split()) <= 5 for size in sizes):
            yield from (letter for size in sizes for letter in LETTER.findall(size))


def test_every_axis_letter_has_one_meaning() -> None:
    """Shapes in docstrings and comments use the letters of the table, and the table holds no other."""
    found = {
        str(path): set(letters(path))
        for package in PACKAGES
        for path in package.rglob("*.py")
        if path.name != "columns.py"
    }
    assert {path: used - set(AXES) for path, used in found.items() if used - set(AXES)} == {}
    assert set().union(*found.values()) == set(AXES)


def test_a_letter_without_a_meaning_is_found(tmp_path: Path) -> None:
    """In a docstring, a comment, a product and a check; words, sentences and calls are no shapes."""
    path = tmp_path / "made_up.py"
    path.write_text(
        '"""Values (B, Z), see (Kish, L. 1965, who said so in a long sentence)."""\n'
        "# (2*J*K,) of (batch, X1, NaN)\n"
        'check_axes(base, "BHQ")\nPAIR = (I, O)\n',
        encoding="utf-8",
    )
    assert sorted(set(letters(path))) == ["B", "H", "J", "K", "Q", "Z"]
