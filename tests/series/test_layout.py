"""Where the series of a table stand, and the tables that a layout refuses."""

import re
from collections.abc import Callable

import pandas as pd
import pytest

from forecasting.config.series import Series
from forecasting.errors import DataError
from forecasting.series.layout import Layout, cell_names, learn_layout


def test_grid_is_read_from_names(make_table: Callable[..., pd.DataFrame]) -> None:
    """Cells without a series are empty places."""
    layout = learn_layout(make_table({"r01c2": [1.0], "r00c0": [1.0]}), Series(freq="h", layout="grid"))
    assert layout == Layout(shape=(2, 3), unique_id=("r00c0", None, None, None, None, "r01c2"))


def test_names_of_cells_sort_in_raster_order() -> None:
    """Twelve rows need two digits, and the names sort as the cells stand."""
    names = cell_names(12, 3)
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("r00c0", "r11c2")


@pytest.mark.parametrize("places", [[], ["b", "a", "c"]])
def test_line_has_the_order_of_its_places_or_names(places: list[str], make_table: Callable[..., pd.DataFrame]) -> None:
    """Without places the names are sorted; a place without a series stays empty."""
    layout = learn_layout(make_table({"b": [1.0], "a": [1.0]}), Series(freq="h", layout="line", places=tuple(places)))
    assert layout is not None
    assert layout.unique_id == (("b", "a", None) if places else ("a", "b"))


@pytest.mark.parametrize(
    ("names", "series", "sentence"),
    [
        (["r0c0", "north"], {"layout": "grid"}, "not called like a cell, such as r03c117:\n  - north"),
        (["r0c0", "r00c0"], {"layout": "grid"}, "2 series have the names of 1 cells"),
        (["a", "b"], {"layout": "line", "places": ["a"]}, "b has no place"),
    ],
)
def test_series_without_a_place_are_listed(
    names: list[str], series: dict[str, object], sentence: str, make_table: Callable[..., pd.DataFrame]
) -> None:
    """One error names what came and what was expected."""
    table = make_table({name: [1.0] for name in names})
    with pytest.raises(DataError, match=re.escape(sentence)):
        learn_layout(table, Series.model_validate({"freq": "h", **series}))
