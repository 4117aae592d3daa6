"""Pictures of characters show the numbers that they are made of."""

import numpy as np

from forecasting.cli.pictures import picture, sparkline


def test_a_sparkline_rises_with_its_series() -> None:
    """Eight levels from least to greatest; a part without a reading is blank, a constant series is flat."""
    assert sparkline(range(8), width=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], width=2) == "▁█"
    assert sparkline([0, np.nan, 7], width=3) == "▁ █"
    assert sparkline([5, 5, 5], width=3) == "▁▁▁"
    assert sparkline([np.nan] * 3, width=3) == "   "


def test_a_forecast_stands_in_its_interval_behind_its_history() -> None:
    """History from 0 to 10, then four steps at 5 within 0 and 10: the scale, a dot in each column, circles halfway."""
    history, middle = np.array([0.0, 10.0]), np.full(4, 5.0)
    rows = picture(history, middle, np.zeros(4), np.full(4, 10.0))
    cells = [row.split("┤")[1] for row in rows]
    assert (rows[0].split()[0], rows[-1].split()[0]) == ("10", "0")
    assert (cells[-1][0], cells[0][1]) == ("·", "·")
    circles = {index for index, row in enumerate(cells) if "●" in row}
    assert len(circles) == 1
    assert circles <= {5, 6}
    assert all(row[2:].strip("░●") == "" for row in cells)
    assert {len(row) for row in cells} == {6}


def test_a_gap_in_the_history_is_blank() -> None:
    """Missing readings leave their columns empty."""
    rows = picture(np.array([1.0, np.nan, 2.0]), np.ones(4), np.ones(4), np.ones(4))
    assert {row.split("┤")[1][1] for row in rows} == {" "}
